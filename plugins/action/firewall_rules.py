"""Load rules, log in anew, and only then let them stay: the controller's half of the module firewall_rules."""

from __future__ import annotations

import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE = "sitewright.platform.firewall_rules"
# The host loads its rules a moment after it has answered.
PAUSE_SECONDS = 0.6
LOGIN_SECONDS = 5
# The host makes the file when its rules are in force. A login that began before proves nothing, and a host with much to
# do may be seconds late.
IN_FORCE = (
    "for i in $(seq 50); do test -e /run/sitewright-firewall-in-force && exit 0; sleep 0.1; done; "
    "echo the rules were not in force after 5 s >&2; exit 1"
)
LOGINS = 3
# Beyond the time the host takes to go back by itself.
PATIENCE_SECONDS = 30


class ActionModule(ActionBase):  # type: ignore[misc] # ansible ships no types
    """See the module of the same name."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Load; where something was loaded, prove and keep it."""
        super().run(tmp, task_vars)
        told: dict[str, Any] = self._act("load", task_vars)
        if not told.pop("staged", False):
            return told
        loaded = time.monotonic()
        time.sleep(PAUSE_SECONDS)
        came, fault = self._come_in(task_vars or {})
        if not came:
            return {**told, **self._lost(task_vars or {}, fault, loaded)}
        try:
            kept: dict[str, Any] = self._act("keep", task_vars)
        except AnsibleConnectionFailure as error:
            return {**told, **self._lost(task_vars or {}, str(error), loaded)}
        if kept.get("reverted"):  # the login that came in at last did so under the old rules
            return {**told, **self._lost(task_vars or {}, fault or "too late", loaded)}
        return kept if kept.get("failed") else {**told, "changed": True}

    def _act(self, act: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        arguments = {**self._task.args, "act": act}
        told: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        return told

    def _come_in(self, task_vars: Mapping[str, Any]) -> tuple[bool, str]:
        """Whether a login of its own that began under the new rules works, and why the last that did not did not."""
        fault = ""
        for _ in range(LOGINS):
            said = self._log_in(task_vars, IN_FORCE) or self._log_in(task_vars)
            if not said:
                return True, fault
            fault = said
        return False, fault

    def _log_in(self, task_vars: Mapping[str, Any], command: str = "true") -> str:
        """One login that shares nothing with those that exist; what went wrong."""
        seconds = LOGIN_SECONDS
        try:
            answer = subprocess.run(  # noqa: S603 - ssh with the inventory's own settings, no shell
                self._argv(task_vars, command),
                capture_output=True,
                text=True,
                check=False,
                timeout=4 * seconds,
                input="",
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {4 * seconds} s"
        return "" if answer.returncode == 0 else answer.stderr.strip()[-300:] or f"ssh ended with {answer.returncode}"

    def _argv(self, task_vars: Mapping[str, Any], command: str) -> list[str]:
        """OpenSSH as Ansible would call it; of an option that is given twice, ssh takes the first."""

        def value(name: str) -> str:
            return str(self._templar.template(task_vars.get(name) or ""))

        alone = {"ControlMaster": "no", "ControlPath": "none", "BatchMode": "yes", "ConnectTimeout": str(LOGIN_SECONDS)}
        alone |= {"ServerAliveInterval": "2", "ServerAliveCountMax": "3"}  # rules may cut it in the middle
        argv = ["ssh", *(word for name, said in alone.items() for word in ("-o", f"{name}={said}"))]
        argv += shlex.split(constants.config.get_config_value("ssh_args", plugin_type="connection", plugin_name="ssh"))
        for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
            argv += shlex.split(value(name))
        for option, name in (
            ("-i", "ansible_ssh_private_key_file"),
            ("-p", "ansible_port"),
            ("-l", "ansible_user"),
        ):
            if given := value(name):
                argv += [option, given]
        return [*argv, "--", value("ansible_host") or value("inventory_hostname"), command]

    def _lost(self, task_vars: Mapping[str, Any], fault: str, loaded: float) -> dict[str, Any]:
        """Wait for the host to go back to its old rules, and say what happened."""
        seconds = int(self._task.args.get("seconds", 45))
        back = fault
        while time.monotonic() - loaded < seconds + PATIENCE_SECONDS:
            back = self._log_in(task_vars)
            if not back:
                break
            time.sleep(1)
        waited = time.monotonic() - loaded
        why = f"the new firewall rules let no new SSH connection of this controller in ({fault})"
        if back:
            return {
                "failed": True,
                "msg": f"{why}, and the host does not answer {waited:.0f} s later either. On its console: "
                "nft delete table inet sitewright",
            }
        return {
            "failed": True,
            "msg": f"{why}. The host went back to its old rules by itself; it answered again {waited:.0f} s later. "
            "The refused rules are there in /var/lib/sitewright/firewall/candidate.nft; name this controller's network "
            "in firewall_controller_networks, or correct the rules.",
        }
