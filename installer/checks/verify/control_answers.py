"""What a host is asked about the controls of role hardening, and how its answer is judged, kind by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.checks.verify import integrity
from installer.manifests.controls import known_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from installer.manifests.controls import Control

    Found = Mapping[str, Mapping[str, str]]

# A container shares the controller's kernel and may set these only.
_OF_A_CONTAINER: Final = "net."
# What the kernel does not have cannot be used: a host without IPv6 takes no redirect of IPv6.
_ABSENT: Final = "absent"
# What the kernel says of rules that cannot be changed before the next boot.
_LOCKED: Final = "2"
_REFUSED_MODULES: Final = "sed 's/#.*//' /etc/modprobe.d/sitewright.conf"
_PAIR: Final = r"\([A-Za-z_][A-Za-z_]*\)"


def question() -> str:
    """A script that prints what is in force: lines of a kind, a name and a value."""
    controls = known_controls().values()
    keys = sorted({key for control in controls for key in control.sysctls})
    paths = sorted({path for control in controls for path in control.settings.get("modes", {})})
    timers = sorted({timer for control in controls for timer in control.settings.get("timers", [])})
    return (
        "/usr/sbin/sshd -T | sed 's/^/sshd /'; "
        f"for k in {' '.join(keys)}; do "
        f"echo sysctl $k $(cat /proc/sys/$(echo $k | tr . /) 2>/dev/null || echo {_ABSENT}); done; "
        f"for p in {' '.join(paths)}; do test ! -e $p || stat -c 'mode %n 0%a' $p; done; "
        f"{_REFUSED_MODULES} | sed 's/^install /module /'; "
        "cut -d' ' -f1 /proc/modules | sed 's/^/loaded /'; "
        f"sed -n 's/^{_PAIR} /login_defs \\1 /p' /etc/login.defs; "
        f"sed -n 's/^{_PAIR} *=* */faillock \\1 /p' /etc/security/faillock.conf; "
        "for f in /etc/pam.d/common-*; do "
        r'sed -n "s/^[a-z].*\(pam_[a-z0-9_]*\.so\).*/pam ${f##*/} \1/p" $f; done; '
        f"sed -n 's/^{_PAIR} = /auditd \\1 /p' /etc/audit/auditd.conf; "
        "sed -n 's/.* -F key=/written /p' /etc/audit/rules.d/60-sitewright.rules | sort | uniq -c | "
        "while read n kind key; do echo $kind $key $n; done; "
        "auditctl -l 2>/dev/null | sed -n 's/.* -F key=/in_kernel /p' | sort | uniq -c | "
        "while read n kind key; do echo $kind $key $n; done; "
        "auditctl -s 2>/dev/null | sed -n 's/^enabled /auditctl enabled /p'; "
        "apt-config dump --format 'apt %f %v%n' | grep -E '^apt (APT::Periodic|Unattended-Upgrade)::'; "
        f"for t in {' '.join(timers)}; do echo timer $t $(systemctl is-active $t); done; " + integrity.QUESTION
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


def missing(control: Control, found: Found, *, container: bool) -> Iterator[str]:
    """What a control wants and the host does not have, in words.

    Args:
        control: The control.
        found: What is in force, see `read`.
        container: Whether the host is one: what needs a kernel of its own is then not looked at.
    """
    for kind, said in control.settings.items():
        if kind in _LOOKS:
            yield from _LOOKS[kind](said, found, container)
    if control.audit_rules:
        yield from _audit(control, found, container)


def needs_a_kernel(control: Control) -> bool:
    """Whether a container cannot have all of a control."""
    return bool(control.audit_rules) or any(not key.startswith(_OF_A_CONTAINER) for key in control.sysctls)


def _sshd(said: Mapping[str, str], found: Found, _container: bool) -> Iterator[str]:
    for name, value in said.items():
        got = found.get("sshd", {}).get(name.lower(), "nothing")
        if "%(" not in value and got.lower() != value.lower():
            yield f"sshd {name} is {got}, not {value}"


def _sysctl(said: Mapping[str, int], found: Found, container: bool) -> Iterator[str]:
    for key, number in said.items():
        got = found.get("sysctl", {}).get(key, "nothing")
        if got not in (str(number), _ABSENT) and not (container and not key.startswith(_OF_A_CONTAINER)):
            yield f"{key} is {got}, not {number}"


def _modes(said: Mapping[str, str], found: Found, _container: bool) -> Iterator[str]:
    for path, mode in said.items():
        got = found.get("mode", {}).get(path, mode)  # what is not there is closed to all
        if got != mode:
            yield f"{path} has mode {got}, not {mode}"


def _modules(said: list[str], found: Found, container: bool) -> Iterator[str]:
    for module in said:
        if found.get("module", {}).get(module) != "/bin/false":
            yield f"module {module} may be loaded"
        elif not container and module.replace("-", "_") in found.get("loaded", {}):
            yield f"module {module} is loaded"


def _pam(said: Mapping[str, str], found: Found, _container: bool) -> Iterator[str]:
    for file, module in said.items():
        if module not in found.get("pam", {}).get(file, "").split():
            yield f"/etc/pam.d/{file} has no {module}"


def _apt(said: Mapping[str, str | list[str]], found: Found, _container: bool) -> Iterator[str]:
    for name, value in said.items():
        wanted = (name, value) if isinstance(value, str) else (f"{name}::", " ".join(value))
        if (got := found.get("apt", {}).get(wanted[0], "nothing")) != wanted[1]:
            yield f"apt's {name} is {got}, not {wanted[1]}"


def _timers(said: list[str], found: Found, _container: bool) -> Iterator[str]:
    for name in said:
        if (got := found.get("timer", {}).get(name, "not known")) != "active":
            yield f"{name} is {got}"


def _audit(control: Control, found: Found, container: bool) -> Iterator[str]:
    """Rules that are written but not loaded yet wait for a boot, because those in force are locked."""
    written = found.get("written", {}).get(control.id, "0")
    if written != str(control.audit_rules):
        yield f"{written} rules of auditd are written, not {control.audit_rules}"
    if container:
        return
    if (state := found.get("auditctl", {}).get("enabled", "not known")) != _LOCKED:
        yield f"auditd's rules are not locked (enabled {state}, not {_LOCKED})"
    if control.id not in found.get("in_kernel", {}):
        yield "no rule of auditd is in the kernel"


def _same_words(kind: str) -> Callable[[Any, Found, bool], Iterator[str]]:
    """A look at a kind whose file says a name and its value, as the control does."""

    def look(said: Mapping[str, str], found: Found, _container: bool) -> Iterator[str]:
        for name, value in said.items():
            if (got := found.get(kind, {}).get(name, "nothing")) != value:
                yield f"{name} is {got}, not {value}"

    return look


_LOOKS: Final[Mapping[str, Callable[[Any, Found, bool], Iterator[str]]]] = {
    "sshd": _sshd,
    "sysctl": _sysctl,
    "modes": _modes,
    "modules": _modules,
    "pam": _pam,
    "apt": _apt,
    "timers": _timers,
    "login_defs": _same_words("login_defs"),
    "faillock": _same_words("faillock"),
    "auditd": _same_words("auditd"),
}
