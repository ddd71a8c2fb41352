"""What role hardening refuses, read from the role: the controls, and which of them a host does without."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from installer.documents import read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "hardening."
_ROOT: Final = Path(__file__).resolve().parents[2]
_FILE: Final = Path("roles/hardening/vars/main.yml")
_KEY: Final = "__hardening_controls"
_ABOUT: Final = frozenset({"id", "title", "why", "references"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One thing that is refused.

    Attributes:
        id: Its name; a waiver names it as `hardening.<id>`.
        title: What is so afterwards.
        why: The reason.
        references: Where the benchmarks ask for it.
        settings: What it sets, by kind (see `plugins/filter/hardening.py`).
    """

    id: str
    title: str
    why: str
    references: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def sysctls(self) -> Mapping[str, int]:
        """Kernel settings by key."""
        found: Mapping[str, int] = self.settings.get("sysctl", {})
        return found

    @property
    def audit_rules(self) -> int:
        """How many rules of auditd it has."""
        return sum(len(self.settings.get(kind, ())) for kind in ("audit_watches", "audit_calls"))


@cache
def known_controls(root: Path = _ROOT) -> Mapping[str, Control]:
    """Every control by id, in the role's order."""
    listed = read_document(root / _FILE).value[_KEY]
    return {
        said["id"]: Control(
            id=said["id"],
            title=said["title"],
            why=said["why"],
            references=tuple(said["references"]),
            settings={kind: value for kind, value in said.items() if kind not in _ABOUT},
        )
        for said in listed
    }


def control_checks() -> set[str]:
    """What a waiver may name to do without a control."""
    return {f"{PREFIX}{name}" for name in known_controls()}


def exceptions(site: Mapping[str, Any], host: str) -> dict[str, str]:
    """Controls that a host does without, with the reason and the day until which.

    Args:
        site: The resolved site.
        host: Short name of the host.
    """
    return {
        waiver["check"].removeprefix(PREFIX): f"until {waiver['expires']}: {waiver['reason']}"
        for waiver in site["waivers"]
        if waiver["check"].startswith(PREFIX) and waiver["host"] in (None, host)
    }


def sysctls(site: Mapping[str, Any], host: str) -> dict[str, tuple[int, str]]:
    """Kernel settings that the controls of a host want, each with the control that wants it."""
    excepted = exceptions(site, host)
    return {
        key: (value, f"{PREFIX}{control.id}")
        for control in known_controls().values()
        if control.id not in excepted
        for key, value in control.sysctls.items()
    }
