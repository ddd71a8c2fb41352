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

from installer.planning.effects import effects_of
from installer.planning.model import Interruption

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
    acts: dict[str, dict[str, tuple[str, list[str]]]] = {}  # unit: host: what, why
    for use in found:
        what, why = _act(use, changed.get(use.host, {}))
        if what == "none":
            continue
        known_what, known_why = acts.setdefault(use.unit, {}).get(use.host, ("none", []))
        if _STRENGTH.index(what) > _STRENGTH.index(known_what):
            acts[use.unit][use.host] = (what, why)
        elif what == known_what:
            acts[use.unit][use.host] = (what, [*known_why, *why])
    running: dict[str, set[str]] = {}
    for use in found:
        if use.active:
            running.setdefault(effects_of(use.unit).called, set()).add(use.host)
    concluded = [
        interruption
        for unit, by_host in acts.items()
        for interruption in _interruptions(unit, by_host, running=running, hosts=hosts, last=last.get(unit))
    ]
    return _merged([*declared, *concluded])


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


def _interruptions(
    unit: str,
    by_host: Mapping[str, tuple[str, list[str]]],
    *,
    running: Mapping[str, set[str]],
    hosts: Sequence[str],
    last: str | None,
) -> Iterable[Interruption]:
    effects = effects_of(unit)
    for what in sorted({what for what, _ in by_host.values()}, key=_STRENGTH.index, reverse=True):
        treated = [host for host in hosts if host in by_host and by_host[host][0] == what]
        if what == "restart":
            treated.sort(key=lambda host: host == last)
        one_host = len(running.get(effects.called, ())) <= 1
        act = effects.reload if what == "reload" else effects.alone if one_host else effects.restart
        why = [reason for host in treated for reason in by_host[host][1]]
        yield Interruption(
            service=effects.called,
            what=what,
            hosts=tuple(treated),
            why=tuple(dict.fromkeys(why)),
            effect="it does not come back" if what == "stop" else act.effect,
            seconds=act.seconds,
        )


def _merged(found: Iterable[Interruption]) -> tuple[Interruption, ...]:
    """The instances of one template, and what is said twice, as one."""
    merged: dict[tuple[str, str, tuple[str, ...]], Interruption] = {}
    for one in found:
        key = (one.service, one.what, one.hosts)
        before = merged.get(key)
        why = one.why if before is None else tuple(dict.fromkeys((*before.why, *one.why)))
        kept = one if before is None else before
        merged[key] = Interruption(
            service=kept.service, what=kept.what, hosts=kept.hosts, why=why, effect=kept.effect, seconds=kept.seconds
        )
    return tuple(merged.values())


def _own_files(unit: str) -> tuple[str, ...]:
    """Where the unit's own file may be, that of its template included."""
    return tuple(f"{folder}/{name}" for folder in _UNIT_FOLDERS for name in _names(unit))


def _own_folders(unit: str) -> tuple[str, ...]:
    """Where its drop-ins are."""
    return tuple(f"{folder}/{name}.d/" for folder in _UNIT_FOLDERS for name in _names(unit))


def _names(unit: str) -> tuple[str, ...]:
    template = re.sub(r"@[^.]*\.", "@.", unit)
    return (unit,) if template == unit else (unit, template)
