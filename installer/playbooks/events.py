"""What a running playbook tells: task by task, as sums, and why it failed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from installer.console.terminal import without_escapes
from installer.playbooks.results import HostTally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Outcome = Literal["started", "ok", "changed", "skipped", "failed", "ignored", "unreachable"]

HIDDEN_FAILURES: Final = "hidden-failures.jsonl"
HIDDEN_CHANGES: Final = "hidden-changes.jsonl"
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "runner_on_start": "started",
    "runner_on_ok": "ok",
    "runner_on_skipped": "skipped",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
}
_TOLD: Final = ("plan", "diff", "missing", "older", "changes", "reason", "censored")
_LONGEST_REASON: Final = 700
_LAST_LINES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One task began or ended on one host.

    Attributes:
        host: The host.
        task: Name of the task, with its role's before it.
        outcome: How it ended, or that it began.
        identity: Ansible's id of the task, the same on all hosts of one run.
        details: What the module says of what it did or would do, one part for each round of a loop.
    """

    host: str
    task: str
    outcome: Outcome
    identity: str = field(default="", compare=False)
    details: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a host failed, in words that may be shown.

    Attributes:
        host: Host it failed on; empty when Ansible itself failed.
        task: Name of the task.
        reason: What the module said, or what can be told of a hidden result.
        advice: What to do, when the reason alone does not tell.
    """

    host: str
    task: str
    reason: str
    advice: str = ""


class Listener:
    """Follows the events of one playbook: writes the log, counts, remembers failures."""

    def __init__(
        self, folder: Path, *, hidden: Path, report: Callable[[TaskEvent], None], redact: Callable[[str], str]
    ) -> None:
        """Open the log in this folder; hidden failures are written down in that file."""
        self.log = folder / "output.log"
        self._hidden = hidden
        self._report = report
        self._redact = redact
        self._counts: dict[str, dict[str, int]] = {}
        self._totals: dict[str, HostTally] | None = None
        self._failed: list[tuple[str, str, dict[str, Any]]] = []
        self._last_lines: list[str] = []
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def close(self) -> None:
        """Close the log; further calls do nothing."""
        self._file.close()

    def take(self, raw: Mapping[str, Any]) -> None:
        """Take one event of ansible-runner's."""
        text = self._redact(without_escapes(raw.get("stdout") or "")).strip("\n")
        if text:
            self._file.write(text + "\n")
            self._last_lines = [*self._last_lines, *text.splitlines()][-_LAST_LINES:]
        data = raw.get("event_data") or {}
        kind = raw.get("event", "")
        if kind == "playbook_on_stats":
            self._totals = _totals(data)
        elif kind in _OUTCOMES and "host" in data:
            self._task(_OUTCOMES[kind], data)

    def _task(self, outcome: Outcome, data: dict[str, Any]) -> None:
        host, result = data["host"], data.get("res") or {}
        task = self._redact(f"{data['role']} : {data['task']}" if data.get("role") else str(data.get("task", "")))
        if outcome == "ok" and result.get("changed"):
            outcome = "changed"
        elif outcome == "failed" and data.get("ignore_errors"):
            outcome = "ignored"
        elif outcome in {"failed", "unreachable"}:
            self._failed.append((host, task, data))
        counts = self._counts.setdefault(host, {})
        counts[outcome] = counts.get(outcome, 0) + 1
        details = _details(result) if outcome in {"ok", "changed"} else ()
        identity = str(data.get("task_uuid", ""))
        self._report(TaskEvent(host=host, task=task, outcome=outcome, identity=identity, details=details))

    def _failure(self, host: str, task: str, data: dict[str, Any]) -> Failure:
        result = data.get("res") or {}
        if "censored" not in result:
            return Failure(host=host, task=task, reason=self._redact(reason_of(result)))
        exit_code = self._hidden_exit_code(host, str(data.get("task_uuid", "")))
        code = f" with exit code {exit_code}" if exit_code is not None else ""
        module, role = data.get("task_action", "the module"), data.get("role")
        look = f"read Ansible's own words in the log, then the service's journal on {host}"
        show = f"to see all it said, set {role}_hide_secrets: false in the site's group_vars for one run"
        return Failure(
            host=host,
            task=task,
            reason=f"{module} failed{code}; it handles a secret, so what it said is hidden",
            advice=f"{look}; {show}" if role else look,
        )

    def _hidden_exit_code(self, host: str, task: str) -> int | None:
        """What our callback plugin wrote down of a hidden result."""
        if not self._hidden.exists():
            return None
        for line in self._hidden.read_text(encoding="utf-8").splitlines():
            record: dict[str, Any] = json.loads(line)
            if (record["host"], record["task"]) == (host, task):
                code: int | None = record["rc"]
                return code
        return None

    def totals(self) -> Mapping[str, HostTally] | None:
        """Ansible's own sums for this playbook and those before it; None if it did not get there."""
        return self._totals

    def tallies(self, before: Mapping[str, HostTally]) -> dict[str, HostTally]:
        """What was done on each host: Ansible's own sums, or what was seen if it did not get there.

        Args:
            before: Ansible's sums when this playbook began.
        """
        if self._totals is not None:
            sums = {host: total - before.get(host, HostTally()) for host, total in self._totals.items()}
            return {host: tally for host, tally in sums.items() if tally != HostTally()}
        return {
            host: HostTally(
                ok=counts.get("ok", 0) + counts.get("changed", 0),
                changed=counts.get("changed", 0),
                failed=counts.get("failed", 0),
                unreachable=counts.get("unreachable", 0),
            )
            for host, counts in self._counts.items()
        }

    def failures(self, tallies: Mapping[str, HostTally]) -> tuple[Failure, ...]:
        """Why hosts failed, without failures that a rescue mended; else Ansible's last words.

        Args:
            tallies: What was done on each host.
        """
        mine = [
            self._failure(host, task, data)
            for host, task, data in self._failed
            if (tally := tallies.get(host)) is not None and tally.failed + tally.unreachable
        ]
        if mine:
            return tuple(mine)
        words = " ".join(line.strip() for line in self._last_lines if line.strip())
        reason = words[-_LONGEST_REASON:] or "ansible-playbook ended without a word"
        return (Failure(host="", task="", reason=reason),)


def _totals(data: Mapping[str, Any]) -> dict[str, HostTally]:
    """Ansible's sums, host by host instead of kind by kind."""
    kinds = {"ok": "ok", "changed": "changed", "failed": "failures", "unreachable": "dark"}
    hosts = sorted({host for kind in kinds.values() for host in data.get(kind) or ()})
    return {
        host: HostTally(**{ours: (data.get(kind) or {}).get(host, 0) for ours, kind in kinds.items()}) for host in hosts
    }


def _details(result: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """A result, or those of a loop's rounds, reduced to what a reader of a plan may need."""
    rounds: list[Mapping[str, Any]] = [item for item in result.get("results") or () if isinstance(item, dict)]
    return tuple({key: one[key] for key in _TOLD if key in one} for one in rounds or [result])


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenChange:
    """What may be told of a result hidden by no_log.

    Attributes:
        changed: Whether anything would change; an event of a hidden result does not say that.
        details: Like those of an event.
    """

    changed: bool
    details: tuple[Mapping[str, Any], ...]


def hidden_changes(folder: Path) -> dict[tuple[str, str], HiddenChange]:
    """What may be told of hidden results, by host and identity of the task.

    Args:
        folder: Folder of the runs of one operation.
    """
    found: dict[tuple[str, str], HiddenChange] = {}
    for file in sorted(folder.glob(f"*/{HIDDEN_CHANGES}")):
        for line in file.read_text(encoding="utf-8").splitlines():
            record: dict[str, Any] = json.loads(line)
            details = tuple({"plan": plan} for plan in record["plans"]) or ({"censored": ""},)
            found[record["host"], record["task"]] = HiddenChange(changed=record["changed"], details=details)
    return found


def reason_of(result: Mapping[str, Any]) -> str:
    """What a module said about its failure, in one line of bearable length."""
    items = [item for item in result.get("results") or () if isinstance(item, dict) and item.get("failed")]
    if items:
        inner = items[0]
        item = inner.get("item")
        about = f"{item}: " if isinstance(item, str) else ""
        return about + reason_of(inner)
    parts: list[str] = []
    for key in ("msg", "stderr", "module_stderr", "reason"):
        value = result.get(key)
        words = " ".join(str(value).split()) if value else ""
        if words and not any(words in part for part in parts):
            parts.append(words)
    if not parts and result.get("stdout"):
        parts.append(" ".join(str(result["stdout"]).split()))
    text = "; ".join(parts) or "it gave no reason"
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."
