#!/usr/bin/python
"""Load a host's packet filter so that a mistake cannot lock anybody out for longer than a minute."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: firewall_rules
short_description: Rules of nftables, loaded at once and taken back by the host itself when the controller loses it
description:
  - Compares the rules in the kernel and the file they are loaded from at boot with what is wanted. Where either
    differs, the new rules are judged by nft, a timer that would bring the old ones back is armed, and the new ones
    are loaded at once. The controller then logs in anew; only when that works the timer is disarmed and the file is
    written.
  - When no new login comes through, the host is back on its old rules after RV(ignore:seconds), also when the
    controller is gone, and the task fails and says so. A reboot before the proof brings the old rules as well.
  - The address this controller comes from, and the port of sshd it came to, are put in front of the rules as
    C($controllers) and C($ssh_port), so that it can log in again.
options:
  rules:
    description: Text for nft. It makes one table, O(table), and nothing else.
    type: str
    required: true
  table:
    description: Name of that table, of the family inet. Other tables are not touched.
    type: str
    default: sitewright
  controllers:
    description: Further networks or addresses controllers come from.
    type: list
    elements: str
    default: []
  path:
    description: File from which nftables.service loads the rules at boot, before the network is up.
    type: path
    default: /etc/nftables.conf
  seconds:
    description: After how long the host goes back to its old rules when nobody has logged in anew.
    type: int
    default: 45
  act:
    description: V(load), or V(keep) for the second half, which the controller asks for itself.
    type: str
    choices: [load, keep]
    default: load
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure the rules are loaded, and again after a boot
  sitewright.platform.firewall_rules:
    rules: "{{ lookup('ansible.builtin.template', 'nftables.j2') }}"
    controllers: [10.20.9.0/24]
"""

RETURN = r"""
diff:
  description: The file before and after, in the form that Ansible shows.
  returned: always
  type: dict
repaired:
  description: Whether the rules in the kernel were not those of the file, although the file is as wanted.
  returned: always
  type: bool
taken_back:
  description:
    - Whether the host went back to its old rules by itself since the last call, because nobody logged in anew. The
      result warns of it as well, once.
  returned: always
  type: bool
controllers:
  description: Who may log in.
  returned: always
  type: list
  elements: str
"""

NFT = "/usr/sbin/nft"
STATE = Path("/var/lib/sitewright/firewall")
CANDIDATE, BEFORE, APPLIED = STATE / "candidate.nft", STATE / "before.nft", STATE / "applied.txt"
LOADED, REVERTED = STATE / "loaded.txt", STATE / "reverted"
# For every login to see: the rules loaded last are in force.
IN_FORCE = Path("/run/sitewright-firewall-in-force")
REVERT, APPLY = "sitewright-firewall-revert", "sitewright-firewall-apply"
AT_BOOT = Path("/etc/systemd/system/sysinit.target.wants/nftables.service")
# The task's answer is on its way before the rules change; then a broken connection hides nothing.
PAUSE_SECONDS = 0.3
LOADING_SECONDS = 5.0


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """A command without a shell; its code and words."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - ours


def listing(table: str) -> str:
    """The table in the kernel as nft writes it, without counters; empty when there is none."""
    if not Path(NFT).exists():
        return ""
    answer = run(NFT, "--stateless", "list", "table", "inet", table)
    return without_newcomers(answer.stdout) if answer.returncode == 0 else ""


def without_newcomers(listing: str) -> str:
    """The rules without those whom preflight lets in for two minutes when the site's model is about to change."""
    return re.sub(r"(set newcomers \{[^}]*?)\n\s*elements = \{[^}]*\}", r"\1", listing)


def text_of(path: Path) -> str:
    """A file's text, empty when there is none."""
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


def login(process: int | None = None) -> tuple[str, str]:
    """Address the controller's login comes from and port of sshd it came to, as sshd told the first of our parents.

    sudo takes SSH_CONNECTION away, so it is read where it was given (ssh(1): client address and port, server address
    and port). Empty words when no parent has it.
    """
    process = os.getpid() if process is None else process
    while process > 1:
        for line in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
            if line.startswith(b"SSH_CONNECTION="):
                client, _, _, port = line.decode().partition("=")[2].split()
                return client, port
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        process = int(status.rpartition(")")[2].split()[1])
    return "", ""


def whole(rules: str, controllers: list[str], ssh_port: str, table: str) -> str:
    """The file: it replaces the table whatever it held, in one step of the kernel's."""
    return (
        "#!/usr/sbin/nft -f\n"
        f"define controllers = {{ {', '.join(controllers)} }}\n"
        f"define ssh_port = {ssh_port}\n"
        f"table inet {table}\ndelete table inet {table}\n{rules.strip()}\n"
    )


def collapsed(networks: list[str]) -> list[str]:
    """Networks and addresses without those that others hold, sorted; an address stands without its /32."""
    found = ipaddress.collapse_addresses(ipaddress.IPv4Network(each) for each in networks)
    return [str(each).removesuffix("/32") for each in found]


def is_armed() -> bool:
    """Whether the host is about to go back."""
    return run("systemctl", "is-active", "--quiet", f"{REVERT}.timer").returncode == 0


def taken_back(module: AnsibleModule) -> bool:
    """Say once that the rules loaded last did not stay: their controller was lost, or never came back for the proof."""
    if not REVERTED.exists():
        return False
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(REVERTED.stat().st_mtime))
    module.warn(
        f"this host went back to its old firewall rules by itself at {when}: no new login of the controller followed"
        f" the rules loaded last, which are in {CANDIDATE}"
    )
    if not module.check_mode:
        REVERTED.unlink()
    return True


def load(module: AnsibleModule, told: dict[str, Any]) -> None:
    """First half: judge, arm, load."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_armed():  # a run was killed before its proof: what it loaded counts for nothing
        run("systemctl", "stop", f"{REVERT}.timer")
        run(NFT, "-f", str(BEFORE))
    CANDIDATE.touch(mode=0o600)
    CANDIDATE.write_text(told["diff"]["after"], encoding="utf-8")
    judged = run(NFT, "--check", "--file", str(CANDIDATE))
    if judged.returncode != 0:
        module.fail_json(
            msg=f"nft refuses the rules in {CANDIDATE}, nothing was loaded: {judged.stderr.strip()[-800:]}"
        )
    table = module.params["table"]
    BEFORE.touch(mode=0o600)
    BEFORE.write_text(f"table inet {table}\ndelete table inet {table}\n{listing(table)}", encoding="utf-8")
    for path in (APPLIED, REVERTED, IN_FORCE):
        path.unlink(missing_ok=True)
    for unit, when, script in (
        (REVERT, f"{module.params['seconds']}s", f"{NFT} -f {BEFORE} && touch {REVERTED}"),
        (
            APPLY,
            f"{PAUSE_SECONDS}s",
            f"{NFT} -f {CANDIDATE} && {NFT} --stateless list table inet {table} >{APPLIED}.new"
            f" && mv {APPLIED}.new {APPLIED} && touch {IN_FORCE}",
        ),
    ):
        run("systemctl", "reset-failed", f"{unit}.service", f"{unit}.timer")
        timer = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={when}"]
        armed = run(*timer, "--timer-property=AccuracySec=50ms", "/bin/sh", "-c", script)
        if armed.returncode != 0:
            run("systemctl", "stop", f"{REVERT}.timer")
            module.fail_json(msg=f"systemd cannot arm {unit}, nothing was loaded: {armed.stderr.strip()[-800:]}")
    module.exit_json(**told, staged=True)


def keep(module: AnsibleModule, told: dict[str, Any]) -> None:
    """Second half: somebody has logged in under the new rules, so they stay, and come back at boot."""
    deadline = time.monotonic() + LOADING_SECONDS
    while not (APPLIED.exists() or REVERTED.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    run("systemctl", "stop", f"{REVERT}.timer")
    loaded = listing(module.params["table"])
    if REVERTED.exists() or not loaded or loaded != text_of(APPLIED):
        said = run("journalctl", "--quiet", "--output=cat", "--lines=5", f"--unit={APPLY}.service").stdout.strip()
        why = f"the new rules in {CANDIDATE} are not those in the kernel; the old ones hold: {said[-400:]}"
        module.fail_json(msg=why, reverted=REVERTED.exists())
    path = Path(module.params["path"])
    fresh = path.with_name(f".{path.name}.sitewright")
    fresh.touch(mode=0o600)
    fresh.write_text(text_of(CANDIDATE), encoding="utf-8")
    fresh.replace(path)
    APPLIED.replace(LOADED)
    at_boot(module)
    module.exit_json(**told)


def at_boot(module: AnsibleModule) -> None:
    """Let systemd load the file before the network is up (Debian's unit: Before=network-pre.target)."""
    if AT_BOOT.is_symlink():
        return
    enabled = run("systemctl", "enable", "nftables.service")
    if enabled.returncode != 0:
        module.fail_json(msg=f"nftables.service cannot be enabled: {enabled.stderr.strip()[-400:]}")


def main() -> None:
    """Entry point of the module."""
    os.umask(0o022)  # whatever the login has: folders on the way to a service's files are for all
    module = AnsibleModule(
        argument_spec={
            "rules": {"type": "str", "required": True},
            "table": {"type": "str", "default": "sitewright"},
            "controllers": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "path", "default": "/etc/nftables.conf"},
            "seconds": {"type": "int", "default": 45},
            "act": {"type": "str", "choices": ["load", "keep"], "default": "load"},
        },
        supports_check_mode=True,
    )
    client, port = login()
    try:
        controllers = collapsed([*module.params["controllers"], *([client] if client else [])])
    except ValueError as error:
        module.fail_json(msg=f"the site is IPv4 only, and so are its controllers: {error}")
    if not controllers:
        module.fail_json(msg="nobody could log in any more: there is no SSH login here, and controllers is empty")
    table, path = module.params["table"], Path(module.params["path"])
    wanted = whole(module.params["rules"], controllers, port or "22", table)
    before, now = text_of(path), listing(table)
    in_file = before == wanted
    in_kernel = bool(now) and now == text_of(LOADED)
    told: dict[str, Any] = {
        "changed": not (in_file and in_kernel and AT_BOOT.is_symlink()),
        "repaired": in_file and not in_kernel,
        "taken_back": module.params["act"] == "load" and taken_back(module),
        "controllers": controllers,
        "diff": {"before": before, "after": wanted, "before_header": str(path), "after_header": str(path)},
    }
    if told["repaired"]:
        told["msg"] = "the rules in the kernel were not those of the file: somebody changed or flushed them"
    if module.params["act"] == "keep":
        keep(module, {**told, "changed": True})
    if module.check_mode and told["changed"]:
        note = told.get("msg", "no connection that exists is interrupted")
        told["plan"] = {"changes": [{"kind": "file", "name": str(path), "note": note}]}
    if module.check_mode or not told["changed"]:
        module.exit_json(**told)
    if in_file and in_kernel and not is_armed():
        at_boot(module)
        module.exit_json(**told)
    load(module, told)


if __name__ == "__main__":
    main()
