"""The site's journal: what ran, on what inputs, with what result; append-only.

One JSON object per line, on disk before the work goes on. A line torn by a crash is
passed over when the journal is read, and ended before the next one is written.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from installer.playbooks.results import DONE, HostTally

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Left for good; the next run started over.
ABANDONED: Final = "abandoned"
# All stages are done, but the proof failed: the next run goes through all stages again.
UNPROVEN: Final = "unproven"


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
        verb: What it was for.
        inputs: Hashes of all it depended on, by what a person calls them.
        started: When, in UTC.
        result: How it ended; None while it has not.
        stages: How its stages ended; a stage begun and not ended is in `begun` only.
        begun: Stages that were begun.
    """

    identifier: str
    verb: str
    inputs: dict[str, str]
    started: datetime
    result: str | None = None
    stages: dict[str, StageRecord] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    @property
    def unfinished(self) -> bool:
        """Whether the same command would carry on with it."""
        return self.result not in {DONE, ABANDONED, UNPROVEN}

    @property
    def done_stages(self) -> frozenset[str]:
        """Stages that need not run again."""
        return frozenset(name for name, record in self.stages.items() if record.result == DONE)

    def changed_inputs(self, now: Mapping[str, str]) -> list[str]:
        """Names of the inputs that are no longer what the operation began with."""
        names = self.inputs.keys() | now.keys()
        return sorted(name for name in names if self.inputs.get(name) != now.get(name))


class Journal:
    """Reads and writes the journal of one site."""

    def __init__(self, path: Path) -> None:
        """Use this file; it is made by the first record."""
        self.path = path

    # Reading

    def operations(self) -> list[Operation]:
        """Every operation, oldest first."""
        found: dict[str, Operation] = {}
        for record in self._records():
            kind, identifier = record.get("record"), record.get("operation", "")
            if kind == "operation begun":
                found[identifier] = Operation(
                    identifier=identifier,
                    verb=record["verb"],
                    inputs=record["inputs"],
                    started=datetime.fromisoformat(record["at"]),
                )
            elif identifier in found:
                _apply(found[identifier], record)
        return list(found.values())

    def last(self, verb: str) -> Operation | None:
        """The latest operation of this verb."""
        of_verb = [operation for operation in self.operations() if operation.verb == verb]
        return of_verb[-1] if of_verb else None

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

    def begin(self, verb: str, inputs: Mapping[str, str]) -> Operation:
        """Begin an operation."""
        now = datetime.now(UTC)
        identifier = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self._append(_line("operation begun", operation=identifier, verb=verb, inputs=dict(inputs)))
        return Operation(identifier=identifier, verb=verb, inputs=dict(inputs), started=now)

    def resume(self, operation: Operation) -> None:
        """Carry on with an operation that did not end."""
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


def _apply(operation: Operation, record: Mapping[str, Any]) -> None:
    """Take one record into the picture of its operation."""
    match record["record"]:
        case "operation resumed":
            operation.result = None
        case "operation ended":
            operation.result = record["result"]
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
