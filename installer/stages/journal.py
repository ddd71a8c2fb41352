"""The site's journal: what ran, for which site, on what inputs, with what result; append-only.

One JSON object per line, on disk before the work goes on. A line torn by a crash is
passed over when the journal is read, and ended before the next one is written.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from installer.playbooks.results import DONE, HostTally

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

# Left for good; the next run started over.
ABANDONED: Final = "abandoned"
# All stages are done, and the verification failed: the next run goes through all stages again.
VERIFICATION_FAILED: Final = "verification failed"
# Release 0.1 wrote no format and described inputs where it should have named them.
_FORMAT: Final = 2
_OLD_RESULTS: Final = {"unproven": VERIFICATION_FAILED}
_OLD_INPUTS: Final = {
    r"the site's settings \(.*\)": "site",
    r"the bundle \(.*\)": "bundle",
    r"(stage \S+) \(.*\)": r"\1",
    r"playbooks/group_vars, plugins and tuning": "shared code",
}
_FILE: Final = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Something an operation's result depends on.

    Attributes:
        digest: Hash of its content; where it lies is no part of that.
        about: What it is and where, for people.
    """

    digest: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an operation was begun with, for those who come later.

    Attributes:
        command: The command line that resumes it.
        site: The site as the playbooks see it (`Site.resolved()`); it holds no secret.
        release: Version of Sitewright that ran.
        commit: Its commit, if it was a checkout with one.
        bundle: Which bundle was installed from: its `id` and what it says of itself; empty when none was.
    """

    command: str
    site: Mapping[str, Any] = field(default_factory=dict)
    release: str = ""
    commit: str = ""
    bundle: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """How a stage ended, and how on each host."""

    result: str
    seconds: float
    changed: int
    hosts: Mapping[str, HostTally]


@dataclass(slots=True, kw_only=True)
class Operation:
    """One operation as the journal tells it.

    Attributes:
        identifier: Also the name of its folder under `runs/`.
        kind: Its kind, such as `install`.
        inputs: All it depended on, by an id that stays the same wherever things lie.
        planned: Names of its stages.
        begun_with: The circumstances it was begun in.
        started: When, in UTC.
        result: How it ended; None while it has not.
        stages: How its stages ended; a stage begun and not ended is in `begun` only.
        begun: Stages that were begun.
    """

    identifier: str
    kind: str
    inputs: Mapping[str, Input]
    planned: tuple[str, ...]
    begun_with: Circumstances
    started: datetime
    result: str | None = None
    stages: dict[str, StageRecord] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    @property
    def unfinished(self) -> bool:
        """Whether the same command would resume it."""
        return self.result not in {DONE, ABANDONED, VERIFICATION_FAILED}

    @property
    def done_stages(self) -> frozenset[str]:
        """Stages that need not run again."""
        return frozenset(name for name, record in self.stages.items() if record.result == DONE)

    @property
    def site(self) -> Mapping[str, Any]:
        """The site as it was; empty in what release 0.1 wrote."""
        return self.begun_with.site

    def changed_inputs(self, now: Mapping[str, Input], *, but: Collection[str] = ()) -> list[str]:
        """The inputs, but for some by id, that are no longer what the operation began with, in words."""
        ids = sorted((self.inputs.keys() | now.keys()).difference(but))
        return [_in_words(i, now.get(i) or self.inputs[i]) for i in ids if _digest(self.inputs, i) != _digest(now, i)]


class Journal:
    """Reads and writes the journal of one site."""

    def __init__(self, path: Path) -> None:
        """Use this file; it is made by the first record."""
        self.path = path

    @classmethod
    def of(cls, state: Path) -> Journal:
        """The journal of the site (or rehearsal) with this state folder."""
        return cls(state / _FILE)

    # Reading

    def operations(self) -> list[Operation]:
        """Every operation, oldest first."""
        found: dict[str, Operation] = {}
        for record in self._records():
            kind, identifier = record.get("record"), record.get("operation", "")
            if kind == "operation begun":
                found[identifier] = _begun(identifier, record)
            elif identifier in found:
                _apply(found[identifier], record)
        return list(found.values())

    def last(self, kind: str = "") -> Operation | None:
        """The latest operation, or the latest of this kind."""
        return next((each for each in reversed(self.operations()) if kind in {"", each.kind}), None)

    def last_done(self, kind: str = "") -> Operation | None:
        """The latest operation that was done to its end: what the site was brought to."""
        found = (each for each in reversed(self.operations()) if each.result == DONE)
        return next((each for each in found if kind in {"", each.kind}), None)

    def verified(self, kind: str) -> Operation | None:
        """The operation that brought the site to what it is, and was verified; None when another came between.

        Args:
            kind: What is wanted: if it was tried in vain since then, that does not count.
        """
        for each in reversed(self.operations()):
            if each.result == DONE:
                return each
            if each.kind != kind or each.result == VERIFICATION_FAILED:
                return None
        return None

    def unfinished(self) -> Operation | None:
        """The operation of whatever kind that is not finished."""
        return next((each for each in reversed(self.operations()) if each.unfinished), None)

    def _records(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record

    # Writing

    def begin(
        self, kind: str, inputs: Mapping[str, Input], *, stages: Sequence[str], begun_with: Circumstances
    ) -> Operation:
        """Begin an operation.

        Args:
            kind: Its kind.
            inputs: All its result depends on.
            stages: Names of its stages.
            begun_with: The circumstances.
        """
        now = datetime.now(UTC)
        identifier = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        about = {
            "format": _FORMAT,
            "verb": kind,
            "command": begun_with.command,
            "release": begun_with.release,
            "commit": begun_with.commit,
            "bundle": dict(begun_with.bundle),
            "site": dict(begun_with.site),
            "stages": list(stages),
            "inputs": {name: each.digest for name, each in inputs.items()},
            "about": {name: each.about for name, each in inputs.items()},
        }
        # The very moment the operation itself knows, because a resumed one reads it from here.
        self._append(_line("operation begun", operation=identifier, at=now.isoformat(), **about))
        return Operation(
            identifier=identifier,
            kind=kind,
            inputs=inputs,
            planned=tuple(stages),
            begun_with=begun_with,
            started=now,
        )

    def resume(self, operation: Operation) -> None:
        """Go on with an operation that did not end."""
        self._append(_line("operation resumed", operation=operation.identifier))

    def abandon(self, operation: Operation) -> None:
        """Leave an operation for good; the next one starts over."""
        self._append(_line("operation ended", operation=operation.identifier, result=ABANDONED))

    def begin_stage(self, operation: Operation, stage: str) -> None:
        """A stage starts to change hosts."""
        self._append(_line("stage begun", operation=operation.identifier, stage=stage))

    def end_stage(self, operation: Operation, stage: str, record: StageRecord) -> None:
        """A stage ended; with what it did on each host."""
        about = {"operation": operation.identifier, "stage": stage}
        lines = [
            _line("host ended", **about, host=host, **tally.to_json()) for host, tally in sorted(record.hosts.items())
        ]
        seconds = round(record.seconds, 2)
        lines.append(_line("stage ended", **about, result=record.result, seconds=seconds, changed=record.changed))
        self._append(*lines)

    def end(self, operation: Operation, result: str, *, seconds: float, changed: int, failed: int) -> None:
        """The operation ended."""
        self._append(
            _line(
                "operation ended",
                operation=operation.identifier,
                result=result,
                seconds=round(seconds, 2),
                changed=changed,
                failed=failed,
            )
        )

    def _append(self, *lines: str) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            file.write(_ending_of_torn_line(descriptor) + "".join(lines).encode())
            os.fsync(descriptor)
        if is_new:
            _sync_folder(self.path.parent)


def _line(record: str, **details: object) -> str:
    """One record as a line."""
    about = {"at": datetime.now(UTC).isoformat(), "record": record, "pid": os.getpid()}
    return json.dumps(about | details) + "\n"


def _begun(identifier: str, record: Mapping[str, Any]) -> Operation:
    """An operation as its first record tells it, in this format or that of release 0.1."""
    about = record.get("about", {})
    inputs = {
        _stable(name): Input(digest=digest, about=about.get(name, "")) for name, digest in record["inputs"].items()
    }
    in_inputs = [name.removeprefix("stage ") for name in inputs if name.startswith("stage ")]
    return Operation(
        identifier=identifier,
        kind=record["verb"],
        inputs=inputs,
        planned=tuple(record.get("stages", in_inputs)),
        begun_with=Circumstances(
            command=record.get("command", "./install --inventory SITE"),
            site=record.get("site", {}),
            release=record.get("release", ""),
            commit=record.get("commit", ""),
            bundle=record.get("bundle", {}),
        ),
        started=datetime.fromisoformat(record["at"]),
    )


def _stable(name: str) -> str:
    """The id of an input, also of one that release 0.1 named with its path."""
    for pattern, stable in _OLD_INPUTS.items():
        if match := re.fullmatch(pattern, name):
            return match.expand(stable)
    return name


def _digest(inputs: Mapping[str, Input], name: str) -> str:
    return inputs[name].digest if name in inputs else ""


def _in_words(name: str, given: Input) -> str:
    return f"{name} ({given.about})" if given.about else name


def _apply(operation: Operation, record: Mapping[str, Any]) -> None:
    """Take one record into the picture of its operation."""
    match record["record"]:
        case "operation resumed":
            operation.result = None
        case "operation ended":
            operation.result = _OLD_RESULTS.get(record["result"], record["result"])
        case "stage begun":
            operation.begun.add(record["stage"])
            operation.stages.pop(record["stage"], None)
        case "host ended":
            # Kept under the stage's name until the stage's own record follows.
            known = operation.stages.get(record["stage"])
            tally = HostTally(**{key: record[key] for key in ("ok", "changed", "failed", "unreachable")})
            hosts = {**(known.hosts if known else {}), record["host"]: tally}
            operation.stages[record["stage"]] = StageRecord(result="", seconds=0, changed=0, hosts=hosts)
        case "stage ended":
            known = operation.stages.get(record["stage"])
            operation.stages[record["stage"]] = StageRecord(
                result=record["result"],
                seconds=record["seconds"],
                changed=record["changed"],
                hosts=known.hosts if known else {},
            )


def _ending_of_torn_line(descriptor: int) -> bytes:
    """A line break, if a crash left the last line without one."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
