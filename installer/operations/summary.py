"""What an operation did, as the one JSON object and as a person reads it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from installer.playbooks.results import HostTally

if TYPE_CHECKING:
    from pathlib import Path

    from installer.console.terminal import Terminal
    from installer.errors import InstallerError
    from installer.playbooks.events import Failure
    from installer.playbooks.runner import PlaybookResult


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """One stage in the summary."""

    name: str
    result: str
    seconds: float
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailure:
    """One failed host of a stage, and where to read on."""

    stage: str
    host: str
    task: str
    reason: str
    advice: str
    log: str


@dataclass(slots=True, kw_only=True)
class Summary:
    """Collects what an operation did.

    Attributes:
        operation: The verb.
        site: The site's name; as given while it is not known.
        started: Moment of the start in seconds since the epoch.
        result: How it ended.
        hosts: What was done on each host by this run.
        stages: What became of each stage in this run.
        failures: Why hosts failed.
        more: What else the JSON object says.
    """

    operation: str
    site: str
    started: float
    result: str = "failed"
    hosts: dict[str, HostTally] = field(default_factory=dict)
    stages: list[StageLine] = field(default_factory=list)
    failures: list[StageFailure] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.time() - self.started

    @property
    def changed(self) -> int:
        """Changed tasks over all hosts."""
        return sum(tally.changed for tally in self.hosts.values())

    @property
    def failed(self) -> int:
        """Failed tasks and unreachable hosts over all hosts."""
        return sum(tally.failed + tally.unreachable for tally in self.hosts.values())

    def add(self, stage: str, result: PlaybookResult) -> None:
        """Take in what a playbook did."""
        self.stages.append(StageLine(name=stage, result=result.result, seconds=result.seconds, changed=result.changed))
        for host, tally in result.hosts.items():
            self.hosts[host] = self.hosts.get(host, HostTally()) + tally
        self.failures += [_stage_failure(stage, failure, result.log) for failure in result.failures]

    def add_step(self, name: str, result: str, seconds: float) -> None:
        """Take in a step that is no playbook."""
        self.stages.append(StageLine(name=name, result=result, seconds=seconds, changed=0))

    def to_json(self, error: InstallerError | None = None) -> dict[str, Any]:
        """The one JSON object."""
        document: dict[str, Any] = {
            "operation": self.operation,
            "site": self.site,
            "result": self.result,
            "seconds": round(self.seconds, 1),
            "changed": self.changed,
            "failed": self.failed,
            "hosts": {host: tally.to_json() for host, tally in sorted(self.hosts.items())},
            "stages": [
                {
                    "name": line.name,
                    "result": line.result,
                    "seconds": round(line.seconds, 1),
                    "changed": line.changed,
                }
                for line in self.stages
            ],
            "failures": [asdict(failure) for failure in self.failures],
            **self.more,
        }
        if error is not None:
            document["error"] = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        return document

    def print(self, terminal: Terminal) -> None:
        """The same for a person."""
        if terminal.output == "json":
            return
        terminal.table(
            ("stage", "result", "changed", "seconds"),
            [(line.name, line.result, str(line.changed), f"{line.seconds:.1f}") for line in self.stages],
        )
        if self.hosts:
            terminal.table(
                ("host", "ok", "changed", "failed", "unreachable"),
                [(host, *map(str, tally.to_json().values())) for host, tally in sorted(self.hosts.items())],
            )
        for failure in self.failures:
            terminal.result(f"{failure.host or failure.stage} failed in stage {failure.stage}")
            for name, text in (
                ("task", failure.task),
                ("reason", failure.reason),
                ("to do", failure.advice),
                ("log", failure.log),
            ):
                if text:
                    terminal.result(f"  {name + ':':<8}{text}")


def _stage_failure(stage: str, failure: Failure, log: Path) -> StageFailure:
    return StageFailure(
        stage=stage,
        host=failure.host,
        task=failure.task,
        reason=failure.reason,
        advice=failure.advice,
        log=str(log),
    )
