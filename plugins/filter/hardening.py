"""What the role hardening writes: pure functions of its controls.

A control is a mapping with `id`, `title`, `why`, `references` and what it sets, by kind: `sshd`, `login_defs`,
`pwquality`, `faillock`, `coredump` and `sysctl` map names to values, `profile`, `sudo`, `limits` and `modules` list
lines or names, `modes` maps paths to octal modes, `pam` maps files of /etc/pam.d to the module that must stand in them,
`apt` names to values or lists, `timers` lists timers that run, `auditd` maps names to values, `audit_watches` lists
files and folders (with a slash at the end), `audit_calls` rules without their key, `aide` paths that are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Control = Mapping[str, Any]

_LOGINS = "%(logins)s"


def controls_in_force(controls: Iterable[Control], excepted: Sequence[str], logins: Sequence[str]) -> list[Control]:
    """The controls of a host, with the logins that SSH takes filled in.

    Args:
        controls: All of them.
        excepted: Ids that a site does without on this host.
        logins: Who may log in; the operator's own login is one of them.

    Raises:
        AnsibleFilterError: If an exception names no control, or SSH would no longer let the operator in.
    """
    controls = list(controls)
    if unknown := sorted(set(excepted) - {each["id"] for each in controls}):
        raise AnsibleFilterError(f"hardening_excepted names no control: {', '.join(unknown)}")
    mine = [each for each in controls if each["id"] not in excepted]
    ids = {each["id"] for each in mine}
    if "ssh.users" in ids and not logins:
        raise AnsibleFilterError("hardening.ssh.users would let nobody in: set ansible_user, or hardening_logins")
    if "ssh.root" in ids and "root" in logins:
        raise AnsibleFilterError(
            "hardening.ssh.root would lock out root, which is the operator's login here: log in as another user with "
            "sudo, or waive hardening.ssh.root with a reason"
        )
    return [_with_logins(each, logins) for each in mine]


def hardening_pairs(controls: Iterable[Control], kind: str) -> list[dict[str, Any]]:
    """What the controls set of one kind, control by control: `id`, `title` and `pairs` of name and value."""
    return [
        {"id": each["id"], "title": each["title"], "pairs": list(each[kind].items())}
        for each in controls
        if each.get(kind)
    ]


def hardening_lines(controls: Iterable[Control], kind: str) -> list[dict[str, Any]]:
    """What the controls list of one kind, control by control: `id`, `title` and `lines`."""
    return [
        {"id": each["id"], "title": each["title"], "lines": list(each[kind])} for each in controls if each.get(kind)
    ]


def _with_logins(control: Control, logins: Sequence[str]) -> Control:
    if _LOGINS not in control.get("sshd", {}).values():
        return control
    filled = {
        name: " ".join(dict.fromkeys(logins)) if value == _LOGINS else value for name, value in control["sshd"].items()
    }
    return {**control, "sshd": filled}


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "controls_in_force": controls_in_force,
            "hardening_pairs": hardening_pairs,
            "hardening_lines": hardening_lines,
        }
