"""From changed files to interrupted services.

A role writes files and then lets `service_unit` find out which units are older than their files. In check mode no
file is written, so no unit is stale; but which files would change and which unit reads them is known, and that is
enough to conclude what the role would do. `on_stale: report` means that the role restarts the unit itself, one host
after the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.operations.plan.effects import effects_of
from installer.operations.plan.model import Interruption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_UNIT_FOLDERS: Final = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
_STRENGTH: Final = ("none", "reload", "restart", "stop")
_BY_STALENESS: Final = {"restart": "restart", "report": "restart", "reload": "reload"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitUse:
    """A unit as one task on one host found it.

    Attributes:
        host: The host.
        unit: Its full name.
        active: Whether it runs; one that does not is started, which interrupts nobody.
        watch: Files its process reads only when it starts, or when it reloads.
        on_stale: What the task does when one of them changed: `restart`, `reload`, or `report` to let the role do it.
        action: What the task would do even if no file changed.
        stale: Files that had changed before, as an interrupted run leaves them.
    """

    host: str
    unit: str
    active: bool
    watch: tuple[str, ...]
    on_stale: str
    action: str = "none"
    stale: tuple[str, ...] = ()

    def reads(self, path: str) -> bool:
        """Whether the unit is stale when this file changes."""
        return path in self.watch or path in _own_files(self.unit) or path.startswith(_own_folders(self.unit))


def conclude(
    uses: Iterable[UnitUse],
    changed: Mapping[str, Mapping[str, str]],
    *,
    hosts: Sequence[str],
    last: Mapping[str, str],
    declared: Iterable[Interruption] = (),
) -> tuple[Interruption, ...]:
    """What would happen to running services.

    Args:
        uses: All units as all tasks found them, in the order of the run.
        changed: Host to the paths that would change there, each with the words for a reader.
        hosts: All hosts, in the order in which roles treat them.
        last: Unit to the host that is treated last, because it is primary or master.
        declared: What modules said themselves.
    """
    found = list(uses)
    acts: dict[tuple[str, str], tuple[str, list[str]]] = {}  # unit and host: what, why
    for use in found:
        what, why = _act(use, changed.get(use.host, {}))
        known_what, known_why = acts.get((use.unit, use.host), ("none", []))
        if _STRENGTH.index(what) > _STRENGTH.index(known_what):
            acts[use.unit, use.host] = (what, why)
        elif what == known_what:
            acts[use.unit, use.host] = (what, [*known_why, *why])
    # The instances of a template, as workers are, are one service to a reader.
    services: dict[tuple[str, str], list[str]] = {}  # service and what: units
    for (unit, _), (what, _) in acts.items():
        if what != "none":
            services.setdefault((effects_of(unit).called, what), []).append(unit)
    running: dict[str, set[str]] = {}
    for use in found:
        if use.active:
            running.setdefault(effects_of(use.unit).called, set()).add(use.host)
    concluded = []
    for (service, what), units in services.items():
        why_by_host: dict[str, list[str]] = {}
        for (unit, host), (act, why) in acts.items():
            if unit in units and act == what:
                why_by_host.setdefault(host, []).extend(why)
        final = next((last[unit] for unit in units if unit in last), None)
        treated = [host for host in hosts if host in why_by_host]
        if what == "restart":
            treated.sort(key=lambda host: host == final)
        concluded.append(
            _interruption(units[0], what, treated, why_by_host, one_host=len(running.get(service, ())) <= 1)
        )
    return (*declared, *concluded)


def _act(use: UnitUse, changed: Mapping[str, str]) -> tuple[str, list[str]]:
    """What happens to the unit of one task, and why."""
    if not use.active:
        return "none", []
    if use.action == "stop":
        return "stop", ["not wanted any more"]
    why = [words for path, words in changed.items() if use.reads(path)]
    owed = [f"{path}, changed before" for path in use.stale]
    if why or owed:
        return _BY_STALENESS[use.on_stale], [*why, *owed]
    if use.action in {"restart", "reload"}:
        return use.action, ["it is owed since an earlier run"]
    return "none", []


def _interruption(
    unit: str, what: str, treated: Sequence[str], why: Mapping[str, Sequence[str]], *, one_host: bool
) -> Interruption:
    effects = effects_of(unit)
    act = effects.reload if what == "reload" else effects.alone if one_host else effects.restart
    reasons = [reason for host in treated for reason in why[host]]
    return Interruption(
        service=effects.called,
        what=what,
        hosts=tuple(treated),
        why=tuple(dict.fromkeys(reasons)),
        effect="it does not come back" if what == "stop" else act.effect,
        seconds=act.seconds,
    )


def _own_files(unit: str) -> tuple[str, ...]:
    """Where the unit's own file may be, that of its template included."""
    return tuple(f"{folder}/{name}" for folder in _UNIT_FOLDERS for name in _names(unit))


def _own_folders(unit: str) -> tuple[str, ...]:
    """Where its drop-ins are."""
    return tuple(f"{folder}/{name}.d/" for folder in _UNIT_FOLDERS for name in _names(unit))


def _names(unit: str) -> tuple[str, ...]:
    template = re.sub(r"@[^.]*\.", "@.", unit)
    return (unit,) if template == unit else (unit, template)
