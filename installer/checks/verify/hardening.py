"""Which controls of role hardening are in force on each host, by what the host itself says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.manifests.controls import PREFIX, exceptions, known_controls
from installer.report import CheckResult, Verdict, passed_if
from installer.services.health.answers import of_each

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from installer.manifests.controls import Control
    from installer.services.health.subject import Host, Subject

# A container shares the controller's kernel and may set these only.
_OF_A_CONTAINER: Final = "net."
# What the kernel does not have cannot be used: a host without IPv6 takes no redirect of IPv6.
_ABSENT: Final = "absent"
_REFUSED_MODULES: Final = "sed 's/#.*//' /etc/modprobe.d/sitewright.conf"


def check(subject: Subject) -> list[CheckResult]:
    """Ask each host once, as root."""
    return of_each(subject.group("all"), lambda host: _host(subject, host), name="hardening", port=0, unit="")


def question() -> str:
    """A script that prints what is in force: lines of a kind, a name and a value."""
    controls = known_controls().values()
    keys = sorted({key for control in controls for key in control.sysctls})
    paths = sorted({path for control in controls for path in control.settings.get("modes", {})})
    return (
        "/usr/sbin/sshd -T | sed 's/^/sshd /'; "
        f"for k in {' '.join(keys)}; do "
        f"echo sysctl $k $(cat /proc/sys/$(echo $k | tr . /) 2>/dev/null || echo {_ABSENT}); done; "
        f"for p in {' '.join(paths)}; do test ! -e $p || stat -c 'mode %n 0%a' $p; done; "
        f"{_REFUSED_MODULES} | sed 's/^install /module /'; "
        "cut -d' ' -f1 /proc/modules | sed 's/^/loaded /'; "
        "sed -n 's/^\\([A-Z_]*\\) /login_defs \\1 /p' /etc/login.defs"
    )


def read(answer: str) -> dict[str, dict[str, str]]:
    """What is in force, by kind and name; a name that is said several times has all its values."""
    found: dict[str, dict[str, str]] = {}
    for line in answer.splitlines():
        kind, _, rest = line.partition(" ")
        name, _, value = rest.strip().partition(" ")
        of_kind = found.setdefault(kind, {})
        of_kind[name] = f"{of_kind[name]} {value.strip()}" if name in of_kind else value.strip()
    return found


def missing(control: Control, found: Mapping[str, Mapping[str, str]], *, container: bool) -> Iterator[str]:
    """What a control wants and the host does not have, in words.

    Args:
        control: The control.
        found: What is in force, see `read`.
        container: Whether the host is one: kernel settings outside `net.` are then not looked at.
    """
    for name, value in control.settings.get("sshd", {}).items():
        got = found.get("sshd", {}).get(name.lower(), "nothing")
        if "%(" not in value and got.lower() != value.lower():
            yield f"sshd {name} is {got}, not {value}"
    for key, number in control.sysctls.items():
        got = found.get("sysctl", {}).get(key, "nothing")
        if got not in (str(number), _ABSENT) and not (container and not key.startswith(_OF_A_CONTAINER)):
            yield f"{key} is {got}, not {number}"
    for path, mode in control.settings.get("modes", {}).items():
        got = found.get("mode", {}).get(path, mode)  # what is not there is closed to all
        if got != mode:
            yield f"{path} has mode {got}, not {mode}"
    for module in control.settings.get("modules", []):
        if found.get("module", {}).get(module) != "/bin/false":
            yield f"module {module} may be loaded"
        elif not container and module.replace("-", "_") in found.get("loaded", {}):
            yield f"module {module} is loaded"
    for name, value in control.settings.get("login_defs", {}).items():
        if (got := found.get("login_defs", {}).get(name, "nothing")) != value:
            yield f"{name} is {got}, not {value}"


def _host(subject: Subject, host: Host) -> list[CheckResult]:
    found = read(subject.run_as_root(host.name, question()))
    waived = exceptions(subject.site, host.name)
    container = bool(subject.site["rehearsal"])
    mine = [control for control in known_controls().values() if control.id not in waived]
    wrong = {control.id: said for control in mine if (said := list(missing(control, found, container=container)))}
    not_here = sum(1 for each in mine if container and any(not key.startswith(_OF_A_CONTAINER) for key in each.sysctls))
    whole = passed_if(
        not wrong,
        check="hardening.controls",
        host=host.name,
        measured=f"{len(mine) - len(wrong)} of {len(mine)} in force"
        + "".join(f"; {PREFIX}{name}: {', '.join(said)}" for name, said in wrong.items()),
        wanted=f"{len(mine)} in force",
        fix="run the installation again; what is changed back after it has another owner on the host",
        note=f"a container has no kernel of its own: not looked at in {not_here} of them" if not_here else "",
    )
    return [whole, *(_waived(host.name, name, why) for name, why in waived.items())]


def _waived(host: str, control: str, why: str) -> CheckResult:
    return CheckResult(
        check=f"{PREFIX}{control}",
        host=host,
        measured="not asked for",
        wanted=known_controls()[control].title,
        verdict=Verdict.WAIVED,
        note=f"waived {why}",
    )
