"""From what the modules say in check mode to a plan."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from installer.operations.plan.effects import effects_of
from installer.operations.plan.interruptions import UnitUse, conclude
from installer.operations.plan.model import KINDS, Change, Interruption, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_FILES: Final = ("file",)
_STATES: Final = {
    "start": "runs",
    "stop": "stopped",
    "restart": "restarted, owed since an earlier run",
    "reload": "reloaded, owed since an earlier run",
    "enable": "start at boot changed",
}
_LONGEST_LINE: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a task said on a host in check mode.

    Attributes:
        stage: The stage it belongs to.
        host: The host.
        task: Its name.
        changed: Whether it would change something.
        details: What its module says of that, one part for each round of a loop.
    """

    stage: str
    host: str
    task: str
    changed: bool
    details: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a plan is made for.

    Attributes:
        site: Name of the site.
        operation: What would be run.
        made: When, ISO 8601 in UTC.
        addresses: Host to address, in the order in which roles treat the hosts.
        stages: Names of the stages in their order.
        unknown: Stages that could not be tried.
    """

    site: str
    operation: str
    made: str
    addresses: Mapping[str, str]
    stages: Sequence[str]
    unknown: tuple[str, ...] = ()


def make_plan(observed: Iterable[Observed], frame: Frame, *, redact: Callable[[str], str]) -> Plan:
    """Everything the tasks said, put together.

    Args:
        observed: What every task said on every host, changed or not.
        frame: What the plan is made for.
        redact: Blacks out known secrets; applied to every word although modules promise to have none.
    """
    order = {stage: index for index, stage in enumerate(frame.stages)}
    rows = sorted(observed, key=lambda row: order.get(row.stage, -1))
    hosts = list(frame.addresses)
    names = {address: host for host, address in frame.addresses.items()}
    single: list[Change] = []
    uses: list[UnitUse] = []
    declared: list[Interruption] = []
    last: dict[str, str] = {}
    for row in rows:
        details = [_redacted(detail, redact) for detail in row.details]
        if row.changed:
            single += _changes(row, details, names)
        for plan in (detail.get("plan") or {} for detail in details):
            uses += [_use(row.host, unit) for unit in plan.get("units") or ()]
            declared += [_interruption(raw, names) for raw in plan.get("interrupts") or ()]
            last |= {unit: names.get(node, node) for unit, node in (plan.get("last") or {}).items()}
    changed: dict[str, dict[str, str]] = {}
    for change in single:
        for path, words in _paths(change):
            changed.setdefault(change.hosts[0], {})[path] = words
    return Plan(
        site=frame.site,
        operation=frame.operation,
        made=frame.made,
        site_hosts=len(hosts),
        changes=_together(single, hosts),
        interruptions=conclude(uses, changed, hosts=hosts, last=last, declared=declared),
        unknown=frame.unknown,
        kept=tuple(redact(words) for words in _kept(rows, hosts)),
    )


def _kept(rows: Iterable[Observed], order: Sequence[str]) -> Iterator[str]:
    """Packages that stay although they are newer than the bundle's; the same on several hosts as one."""
    where: dict[str, list[str]] = {}
    for row in rows:
        for change in (change for detail in row.details for change in detail.get("newer") or ()):
            words = f"{change['name']} {change['installed']} is newer than the bundle's {change['wanted']}"
            hosts = where.setdefault(words, [])
            if row.host not in hosts:
                hosts.append(row.host)
    for words, hosts in where.items():
        yield f"{words}, and stays, on {' '.join(sorted(hosts, key=order.index))}"


def _changes(row: Observed, details: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[Change]:
    """What one task would change on one host; its bare name when it does not say more."""
    found = [
        Change(stage=row.stage, task=row.task, hosts=(names.get(node, node),), **fields)
        for detail in details
        for fields in _fields(detail, row.task)
        for node in fields.pop("nodes", (row.host,))
    ]
    return found or [
        Change(stage=row.stage, task=row.task, kind="task", name=row.task, hosts=(row.host,), note=_hidden(details))
    ]


def _hidden(details: Sequence[Mapping[str, Any]]) -> str:
    return "changed, hidden" if any("censored" in detail for detail in details) else ""


def _fields(detail: Mapping[str, Any], task: str) -> Iterator[dict[str, Any]]:
    """The changes a module's result tells of."""
    plan = detail.get("plan") or {}
    for raw in plan.get("changes") or ():
        kind = raw["kind"] if raw.get("kind") in KINDS else "object"
        texts = {key: str(raw.get(key) or "") for key in ("name", "old", "new", "note")}
        nodes = {"nodes": tuple(raw["nodes"])} if raw.get("nodes") else {}
        yield {"kind": kind, "lines": _shortened(raw.get("lines") or ()), **texts, **nodes}
    for unit in plan.get("units") or ():
        if unit["action"] in _STATES:
            yield {"kind": "service", "name": unit["name"], "new": _STATES[unit["action"]]}
    if plan:
        return
    for words in _words(detail):
        yield {"kind": "object", "name": words}
    if "missing" in detail:
        yield from _packages(detail)
        return
    diffs = detail.get("diff") or ()
    for diff in [diffs] if isinstance(diffs, dict) else diffs:
        if any(diff.get(key) for key in ("before", "after", "prepared")):
            yield _of_builtin(diff, task)


def _packages(detail: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Packages that would be installed or upgraded; the module's diff names their versions."""
    lines = str((detail.get("diff") or {}).get("after") or "").splitlines()
    versions = dict(line.split(" ", 1) for line in lines if " " in line)
    for name in detail["missing"]:
        version = versions.get(name, "")
        yield {"kind": "package", "name": name, "new": version if version[:1].isdigit() else "", "note": "new"}
    for change in detail.get("older") or ():
        yield {"kind": "package", "name": change["name"], "old": change["installed"], "new": change["wanted"]}


def _words(detail: Mapping[str, Any]) -> Iterator[str]:
    """What a module says in words: what it would do, or why."""
    for key in ("changes", "reason"):
        said = detail.get(key) or ()
        yield from (str(one) for one in ([said] if isinstance(said, str) else said))


def _of_builtin(diff: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The `diff` of one of Ansible's own modules: texts, or dictionaries of attributes."""
    if "prepared" in diff:
        return {"kind": "task", "name": task, "lines": _shortened(str(diff["prepared"]).splitlines())}
    before, after = diff.get("before") or "", diff.get("after") or ""
    name = str(diff.get("after_header") or diff.get("before_header") or _path_in(after) or task)
    if isinstance(before, dict) or isinstance(after, dict):
        old, new = (value if isinstance(value, dict) else {} for value in (before, after))
        words = [f"{key}: {old.get(key, '')} -> {new.get(key, '')}" for key in sorted({*old, *new} - {"path"})]
        return {"kind": "task", "name": name, "note": ", ".join(words)}
    lines = difflib.unified_diff(str(before).splitlines(), str(after).splitlines(), lineterm="", n=1)
    return {"kind": "file" if name.startswith("/") else "task", "name": name, "lines": _shortened(list(lines)[2:])}


def _path_in(value: object) -> str:
    return str(value.get("path") or "") if isinstance(value, dict) else ""


def _shortened(lines: Iterable[Any]) -> tuple[str, ...]:
    texts = [str(line) for line in lines]
    return tuple(text if len(text) <= _LONGEST_LINE else text[: _LONGEST_LINE - 3] + "..." for text in texts)


def _use(host: str, unit: Mapping[str, Any]) -> UnitUse:
    return UnitUse(
        host=host,
        unit=unit["name"],
        active=bool(unit["active"]),
        watch=tuple(unit["watch"]),
        on_stale=unit["on_stale"],
        action=unit["action"],
        stale=tuple(unit["stale"]),
    )


def _interruption(raw: Mapping[str, Any], names: Mapping[str, str]) -> Interruption:
    """What a module says that it would interrupt; what is noticed of that stands in the service's file."""
    why = raw.get("why") or ()
    unit = effects_of(str(raw["unit"]))
    act = unit.within.get(str(raw["act"]), unit.restart)
    return Interruption(
        service=unit.called,
        what=str(raw["what"]),
        hosts=tuple(names.get(node, node) for node in raw["nodes"]),
        why=(why,) if isinstance(why, str) else tuple(why),
        effect=", ".join(filter(None, (act.effect, str(raw.get("note") or "")))),
        seconds=act.seconds,
    )


def _paths(change: Change) -> Iterator[tuple[str, str]]:
    """Files whose time would be another, each with the words for a reader."""
    if change.kind in _FILES:
        yield change.name, change.short
    elif change.kind == "package":
        yield f"/var/lib/dpkg/info/{change.name}.list", f"package {change.short}"


def _together(single: Iterable[Change], order: Sequence[str]) -> tuple[Change, ...]:
    """The same change on several hosts as one."""
    hosts: dict[Change, list[str]] = {}
    seen: set[tuple[Any, ...]] = set()
    for change in single:
        # A stage that finds done what an earlier one did, as packages, has nothing left to do.
        thing = (*change.hosts, change.kind, change.name, change.old, change.new, change.lines)
        if thing in seen:
            continue
        seen.add(thing)
        known = hosts.setdefault(replace(change, hosts=()), [])
        if change.hosts[0] not in known:
            known.append(change.hosts[0])
    return tuple(replace(alike, hosts=tuple(sorted(where, key=order.index))) for alike, where in hosts.items())


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """The same value with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(inner, redact) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner, redact) for inner in value]
    return value
