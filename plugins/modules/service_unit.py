#!/usr/bin/python
"""Keep a systemd unit enabled, running, and started later than its configuration; or stopped."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_unit
short_description: A systemd unit that runs what its files say
description:
  - Enables and starts a unit, and restarts (or reloads) it when one of its watched files changed
    after the running process read them. The comparison is made with what systemd knows about the
    process, not with what this Ansible run did, so a restart that an interrupted run owed is found
    by the next one. It replaces handlers.
options:
  names:
    description: Units, treated one after the other in the order given.
    type: list
    elements: str
    aliases: [name]
    required: true
  watch:
    description: Files the process reads only when it starts. The unit's own files are always watched.
    type: list
    elements: path
    default: []
  on_stale:
    description: What to do with a unit older than its files; V(report) only says so.
    type: str
    choices: [restart, reload, report]
    default: restart
  enabled:
    description: Start at boot.
    type: bool
    default: true
  running:
    description: Run now; where not, the unit is stopped, and one that does not exist is as it should be.
    type: bool
    default: true
  check_argv:
    description: Command that returns 0 when the service answers; repeated until then.
    type: list
    elements: str
    default: []
  check_environment:
    description: Environment of the check; the place for a password.
    type: dict
    default: {}
  check_timeout_seconds:
    description: How long the check may take altogether, in seconds.
    type: int
    default: 60
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure Redis runs what is configured
  sitewright.platform.service_unit:
    name: redis-server.service
    watch: [/etc/redis/redis.conf]
- name: Install | Ensure Debian's own nginx unit does not run
  sitewright.platform.service_unit:
    name: nginx.service
    enabled: false
    running: false
"""

RETURN = r"""
diff:
  description: What was (or would be) done to which unit, in the form that Ansible shows.
  returned: always
  type: dict
action:
  description: The strongest thing done to any of the units (none, enable, reload, restart, start, stop).
  returned: always
  type: str
stale:
  description: Files newer than the process that should have read them, before anything was done.
  returned: always
  type: list
  elements: str
plan:
  description:
    - "In check mode, for the installer's plan, without a secret: for each of C(units) its name, whether it
      runs, what was found stale, what would be done now, and what would be done if one of C(watch) changed."
  returned: in check mode
  type: dict
unmet:
  description: Units systemd did not start because a condition in their file is not met on this machine.
  returned: always
  type: list
  elements: str
"""

import os
import subprocess
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "Type",
    "ActiveEnterTimestampMonotonic",
    "StateChangeTimestampMonotonic",
    "ExecMainStartTimestampMonotonic",
    "InactiveExitTimestampMonotonic",
    "ConditionResult",
    "ConditionTimestampMonotonic",
)
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "linked")
STRENGTH = ("none", "enable", "reload", "restart", "start", "stop")
MICROSECONDS = 1_000_000


class Unit:
    """One systemd unit, as systemctl describes it now."""

    def __init__(self, module: AnsibleModule, name: str, shown: str | None = None) -> None:
        """Take the state systemctl has shown, or ask for it."""
        self.module = module
        self.name = name
        self.properties: dict[str, str] = {}
        self.read(shown)

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl; a failure ends the module with what the journal says about it."""
        code, out, err = self.module.run_command(["systemctl", *arguments])
        if code != 0:
            self.fail(f"systemctl {' '.join(arguments)}: {err.strip() or out.strip()}")
        return str(out)

    def fail(self, reason: str) -> NoReturn:
        """End the module; the last lines of the unit's journal are the part an operator needs."""
        _, journal, _ = self.module.run_command(
            ["journalctl", "--unit", self.name, "--lines", "20", "--no-pager", "--output", "cat"]
        )
        self.module.fail_json(msg=f"{self.name}: {reason}", journal=journal.splitlines())
        raise AssertionError("fail_json returned")

    def read(self, shown: str | None = None) -> None:
        """Read the properties this module decides by."""
        shown = shown or self.systemctl("show", self.name, "--property", ",".join(PROPERTIES))
        self.properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    @property
    def exists(self) -> bool:
        """Whether systemd can load the unit."""
        return self.properties["LoadState"] == "loaded"

    @property
    def active(self) -> bool:
        """Whether the unit runs; one that starts or reloads just now is on its way there."""
        return self.properties["ActiveState"] in ("active", "reloading", "activating")

    @property
    def enabled(self) -> bool:
        """Whether the unit starts at boot, or by what needs it."""
        return self.properties["UnitFileState"] in ENABLED

    def follow_at_boot(self, *, enabled: bool) -> str:
        """Have the unit start at boot or not, and say what was (or in check mode would be) done."""
        if enabled == self.enabled:
            return "none"
        if not self.module.check_mode:
            self.systemctl("enable" if enabled else "disable", self.name)
        return "enable"

    @property
    def cannot_run_here(self) -> bool:
        """Whether one of the unit's conditions is not met.

        That is how a unit says that this machine lacks what it needs: chrony in a container has
        no clock to set. What systemd found when it last tried is in its memory, unless nothing
        needs the unit and it was forgotten since; then it is asked to look again.
        """
        if self.active:
            return False
        if self.properties["ConditionTimestampMonotonic"] != "0":
            return self.properties["ConditionResult"] == "no"
        code, _, _ = self.module.run_command(["systemd-analyze", "condition", f"--unit={self.name}"])
        return bool(code != 0)

    @property
    def files(self) -> list[str]:
        """The unit's file and its drop-ins."""
        paths = [self.properties["FragmentPath"], *self.properties["DropInPaths"].split()]
        return [path for path in paths if path]

    def read_files_at(self, on_stale: str) -> float:
        """When the running process last read its files, in seconds since the epoch.

        systemd reports microseconds of the monotonic clock, which no clock step disturbs; file
        times are wall clock, so the difference of the two clocks is taken now. A reload shows in
        the last change of state, a start in the moment the main process was made.
        """
        # The start of the process, not the end of its starting: a file that changed in between
        # may or may not have been read.
        moment = self.properties.get("ExecMainStartTimestampMonotonic", "0")
        if self.properties.get("Type") == "oneshot" or moment == "0":
            moment = self.properties["InactiveExitTimestampMonotonic"]
        if on_stale == "reload":
            moment = max(moment, self.properties["StateChangeTimestampMonotonic"], key=int)
        return int(moment) / MICROSECONDS + (time.time() - time.clock_gettime(time.CLOCK_MONOTONIC))

    def newer_files(self, watch: list[str], on_stale: str) -> list[str]:
        """Files that changed after the process read them."""
        if not self.active:
            return []
        since = self.read_files_at(on_stale)
        paths = [Path(path) for path in (*watch, *self.files)]
        return [str(path) for path in paths if path.exists() and path.stat().st_mtime > since]


def units_of(module: AnsibleModule) -> list[Unit]:
    """All units, asked for at once: systemctl shows one block for each name, in their order."""
    names = module.params["names"]
    code, out, _ = module.run_command(["systemctl", "show", *names, "--property", ",".join(PROPERTIES)])
    blocks = out.strip().split("\n\n") if code == 0 else []  # asked for one by one, the wrong one is named
    return [Unit(module, name, shown) for name, shown in zip_longest(names, blocks[: len(names)])]


def silence(unit: Unit, parameters: dict[str, Any]) -> str:
    """Have one unit not run, and say what was (or in check mode would be) done."""
    if not unit.exists:
        return "none"
    action = unit.follow_at_boot(enabled=parameters["enabled"])
    if unit.active:
        action = "stop"
        if not unit.module.check_mode:
            unit.systemctl("stop", unit.name)
    return action


def treat(unit: Unit, parameters: dict[str, Any]) -> tuple[str, list[str]]:
    """Bring one unit to the wished state.

    Returns:
        What was (or in check mode would be) done, and the files that made the process stale.
    """
    check_mode = unit.module.check_mode
    if not unit.exists:
        if check_mode:
            return "start", []
        if unit.properties["NeedDaemonReload"] != "yes":
            unit.systemctl("daemon-reload")
            unit.read()
        if not unit.exists:
            unit.fail(f"no such unit (systemd says {unit.properties['LoadState']}); is its package installed?")
    if unit.properties["NeedDaemonReload"] == "yes" and not check_mode:
        unit.systemctl("daemon-reload")
        unit.read()
    action = unit.follow_at_boot(enabled=parameters["enabled"])
    stale = unit.newer_files(parameters["watch"], parameters["on_stale"])
    if not unit.active and not (check_mode and unit.cannot_run_here):
        action = "start"
    elif stale and parameters["on_stale"] != "report":
        action = parameters["on_stale"]
    if action in ("start", "reload", "restart") and not check_mode:
        if unit.properties["ActiveState"] == "failed":
            unit.systemctl("reset-failed", unit.name)
        unit.systemctl(action, unit.name)
        unit.read()
        if unit.cannot_run_here:
            return "none", stale
    return action, stale


def wait_until_answering(module: AnsibleModule, parameters: dict[str, Any]) -> None:
    """Repeat the check until it returns 0.

    The environment carries secrets, so the child is run without going through run_command's log.
    """
    environment = {**os.environ, **{key: str(value) for key, value in parameters["check_environment"].items()}}
    deadline = time.monotonic() + parameters["check_timeout_seconds"]
    said = "nothing"
    while True:
        left = max(1.0, deadline - time.monotonic())
        try:
            answer = subprocess.run(  # noqa: S603 - the role's own command
                parameters["check_argv"], env=environment, capture_output=True, text=True, timeout=left, check=False
            )
        except subprocess.TimeoutExpired:
            said = "no answer in time"
        except OSError as error:
            module.fail_json(msg=f"the check cannot be run: {error}")
        else:
            if answer.returncode == 0:
                return
            said = (answer.stderr.strip() or answer.stdout.strip() or f"exit code {answer.returncode}")[-600:]
        if time.monotonic() >= deadline:
            names = ", ".join(parameters["names"])
            seconds = parameters["check_timeout_seconds"]
            Unit(module, parameters["names"][-1]).fail(f"{names} did not answer within {seconds} s: {said}")
        time.sleep(0.3)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True, "aliases": ["name"]},
            "watch": {"type": "list", "elements": "path", "default": []},
            "on_stale": {"type": "str", "choices": ["restart", "reload", "report"], "default": "restart"},
            "enabled": {"type": "bool", "default": True},
            "running": {"type": "bool", "default": True},
            "check_argv": {"type": "list", "elements": "str", "default": []},
            "check_environment": {"type": "dict", "default": {}, "no_log": True},
            "check_timeout_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    done = "none"
    stale: list[str] = []
    unmet: list[str] = []
    units: list[dict[str, Any]] = []
    for unit in units_of(module):
        if done != "none":
            unit.read()  # what was done to one before may have changed this one
        action, newer = treat(unit, parameters) if parameters["running"] else (silence(unit, parameters), [])
        if parameters["running"] and unit.cannot_run_here:
            unmet.append(unit.name)
        done = max(done, action, key=STRENGTH.index)
        stale.extend(newer)
        units.append(
            {
                "name": unit.name,
                "active": unit.exists and unit.active,
                "action": action,
                "stale": newer,
                "watch": [*parameters["watch"], *unit.files] if parameters["running"] else [],
                "on_stale": parameters["on_stale"],
            }
        )
    if parameters["check_argv"] and not module.check_mode:
        wait_until_answering(module, parameters)
    plan = {"plan": {"units": units}} if module.check_mode else {}
    acted = [f"{unit['action']} {unit['name']}\n" for unit in units if unit["action"] != "none"]
    diff = {"before": "", "after": "".join(acted)}
    module.exit_json(changed=done != "none", action=done, stale=sorted(set(stale)), unmet=unmet, diff=diff, **plan)


if __name__ == "__main__":
    main()
