"""A plan: what would change, and what that interrupts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Final

_SHORT: Final = 40
KINDS: Final = ("setting", "file", "permissions", "package", "login", "object", "service", "task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that would be another afterwards, on one or more hosts alike.

    Attributes:
        stage: Stage it belongs to.
        task: Name of the task that would do it.
        kind: What it is, one of `KINDS`.
        name: Path, setting, package, login, unit, or the task's name when nothing more is known.
        hosts: Where, in the order of the site.
        old: Value before; empty when there was none, it is a secret, or `lines` say it.
        new: Value afterwards, likewise.
        note: What else can be told, for example that the content is a secret.
        lines: A unified diff without its header, secrets masked.
    """

    stage: str
    task: str
    kind: str
    name: str
    hosts: tuple[str, ...]
    old: str = ""
    new: str = ""
    note: str = ""
    lines: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The change in one line."""
        words = [self.name]
        if self.old and self.new:
            words.append(f"{self.old} -> {self.new}")
        elif self.new:
            words.append(f"-> {self.new}")
        elif self.old:
            words.append(f"{self.old} -> gone")
        return " ".join(words) + (f" ({self.note})" if self.note else "")

    @property
    def is_upgrade(self) -> bool:
        """Whether a package that is there comes in another version."""
        return self.kind == "package" and bool(self.old)

    @property
    def short(self) -> str:
        """The change as the reason of something else: names are enough, values only when they are short."""
        short = self.old and self.new and len(self.old + self.new) < _SHORT
        return f"{self.name} {self.old} -> {self.new}" if short else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """What a change does to a running service.

    Attributes:
        service: The service as an operator calls it.
        what: `restart`, `reload`, `stop`, or another word a module uses.
        hosts: Where, in the order in which it happens.
        why: The changes that ask for it.
        effect: What users notice, in a sentence's end.
        seconds: About how long they notice it; 0 for not at all.
    """

    service: str
    what: str
    hosts: tuple[str, ...]
    why: tuple[str, ...]
    effect: str
    seconds: float

    @property
    def interrupts(self) -> bool:
        """Whether anybody can notice it."""
        return self.seconds > 0

    @property
    def where(self) -> str:
        """The hosts in their order; a reload asks all of them at once."""
        return (", " if self.what == "reload" else ", then ").join(self.hosts)

    @property
    def title(self) -> str:
        """The interruption in one line: what, where in which order, and what is noticed."""
        return f"{self.service} {_VERBS.get(self.what, self.what)} on {self.where}: {self.effect}"


_VERBS: Final = {"restart": "restarts", "reload": "reloads", "stop": "stops", "switchover": "switches over"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything an operator must know before saying yes.

    Attributes:
        site: Name of the site.
        operation: What would be run.
        made: When it was found out, ISO 8601 in UTC.
        site_hosts: How many hosts the site has.
        changes: In the order of the stages.
        interruptions: In the order in which they happen.
        unknown: Stages whose changes are not known, because they could not be tried.
        kept: What is not as it should be and stays so, in words: packages newer than the bundle's.
    """

    site: str
    operation: str
    made: str
    site_hosts: int
    changes: tuple[Change, ...]
    interruptions: tuple[Interruption, ...]
    unknown: tuple[str, ...] = field(default=())
    kept: tuple[str, ...] = field(default=())

    @property
    def interrupted(self) -> tuple[Interruption, ...]:
        """What users can notice."""
        return tuple(one for one in self.interruptions if one.interrupts)

    @property
    def unnoticed(self) -> tuple[Interruption, ...]:
        """What happens to running services without anybody noticing."""
        return tuple(one for one in self.interruptions if not one.interrupts)

    @property
    def stages(self) -> list[tuple[str, list[Change]]]:
        """The changes of each stage, in the order of the stages."""
        return [(stage, list(changes)) for stage, changes in groupby(self.changes, key=lambda change: change.stage)]

    @property
    def changed_hosts(self) -> tuple[str, ...]:
        """Hosts on which something would change."""
        return tuple(sorted({host for change in self.changes for host in change.hosts}))

    @property
    def verdict(self) -> str:
        """The plan in one sentence."""
        if not self.changes:
            return f"{self.operation} would change nothing"
        things = f"{len(self.changes)} thing{'s' if len(self.changes) != 1 else ''}"
        where = f"{len(self.changed_hosts)} of {self.site_hosts} host{'s' if self.site_hosts != 1 else ''}"
        stopped = ", ".join(dict.fromkeys(one.service for one in self.interrupted)) or "nothing"
        return f"{self.operation} would change {things} on {where} and interrupt {stopped}"

    def to_json(self) -> dict[str, Any]:
        """As plain data, the same facts as the page."""
        return {
            "made": self.made,
            "verdict": self.verdict,
            "changes": [asdict(change) | {"title": change.title} for change in self.changes],
            "interrupts": [asdict(one) | {"title": one.title} for one in self.interrupted],
            "does_not_interrupt": [asdict(one) | {"title": one.title} for one in self.unnoticed],
            "unknown_stages": list(self.unknown),
            "kept": list(self.kept),
        }
