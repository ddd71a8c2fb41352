"""Show stages and hosts while they change: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from rich.console import ConsoleOptions, RenderResult

    from installer.console.terminal import Terminal
    from installer.playbooks.events import TaskEvent
    from installer.playbooks.runner import PlaybookResult

_WAITING: Final = "waiting"
_RUNNING: Final = "running"
_MARKS: Final = {
    _WAITING: ("·", "dim"),
    _RUNNING: ("▸", "cyan"),
    "done": ("✔", "green"),
    "done before": ("✔", "dim green"),
    "failed": ("✘", "bold red"),
    "interrupted": ("■", "yellow"),
}
_REFRESHES_PER_SECOND: Final = 5
_WIDEST_HOST_COLUMN: Final = 8


class Progress(Protocol):
    """What the operations tell while they work."""

    def begin(self, stage: str) -> None:
        """A stage starts."""

    def task(self, stage: str, event: TaskEvent) -> None:
        """A task began or ended on a host; called from the stage's own thread."""

    def end(self, stage: str, result: PlaybookResult) -> None:
        """A stage ended."""


def progress_for(
    terminal: Terminal,
    *,
    title: str,
    hosts: Sequence[str],
    stages: Mapping[str, Sequence[str]],
    done: Mapping[str, str],
) -> AbstractContextManager[Progress]:
    """The display that fits the terminal, to be used in a `with` block.

    Args:
        terminal: The one writer.
        title: What is being done, to which site.
        hosts: All hosts, in the order to show them.
        stages: Every stage with its hosts.
        done: Stages that are already done, with the word to show for them.
    """
    if terminal.interactive:
        return _LiveTable(terminal, title=title, hosts=hosts, stages=stages, done=done)
    return _PlainLines(terminal, done=done)


class _PlainLines:
    """One line when a stage starts and one when it ends."""

    def __init__(self, terminal: Terminal, *, done: Mapping[str, str]) -> None:
        self._terminal = terminal
        self._done = done

    def __enter__(self) -> _PlainLines:
        for stage, word in self._done.items():
            self._terminal.say(f"stage {stage}: {word}")
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, stage: str) -> None:
        """A stage starts."""
        self._terminal.say(f"stage {stage}: running")

    def task(self, stage: str, event: TaskEvent) -> None:
        """Only what went wrong is worth a line."""
        if event.outcome in {"failed", "unreachable"}:
            self._terminal.say(f"stage {stage}: {event.host} {event.outcome}: {event.task}")

    def end(self, stage: str, result: PlaybookResult) -> None:
        """A stage ended."""
        self._terminal.say(
            f"stage {stage}: {result.result} in {result.seconds:.1f} s,"
            f" {result.changed} changed on {len(result.hosts)} host(s)"
        )


@dataclass(slots=True)
class _Row:
    """What is known of one stage."""

    hosts: Sequence[str]
    state: str = _WAITING
    started: float = 0.0
    seconds: float = 0.0
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    task: str = ""
    busy: set[str] = field(default_factory=set)


class _LiveTable:
    """A matrix of stages and hosts that is redrawn in place."""

    def __init__(
        self,
        terminal: Terminal,
        *,
        title: str,
        hosts: Sequence[str],
        stages: Mapping[str, Sequence[str]],
        done: Mapping[str, str],
    ) -> None:

        self._terminal = terminal
        self._title = title
        self._rows = {name: _Row(hosts) for name, hosts in stages.items()}
        for name in done:
            self._rows[name].state = "done before"
        self._hosts = list(hosts)
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._console = Console(file=terminal.talk_stream, highlight=False)
        self._stack = ExitStack()

    def __enter__(self) -> _LiveTable:
        live = Live(self, console=self._console, refresh_per_second=_REFRESHES_PER_SECOND, redirect_stdout=False)
        self._stack.enter_context(live)
        self._stack.enter_context(self._terminal.printing_through(self._print))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _print(self, text: str) -> None:
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def begin(self, stage: str) -> None:
        """A stage starts."""
        with self._lock:
            row = self._rows[stage]
            row.state, row.started = _RUNNING, time.monotonic()

    def task(self, stage: str, event: TaskEvent) -> None:
        """A task began or ended on a host."""
        with self._lock:
            row = self._rows[stage]
            if event.outcome == "started":
                row.task = event.task
                row.busy.add(event.host)
            else:
                row.busy.discard(event.host)
                row.counts.setdefault(event.host, Counter())[event.outcome] += 1
            if event.host not in row.hosts:
                row.hosts = [*row.hosts, event.host]

    def end(self, stage: str, result: PlaybookResult) -> None:
        """A stage ended; from here on Ansible's own sums are shown."""
        with self._lock:
            row = self._rows[stage]
            row.state, row.seconds, row.task = result.result, result.seconds, ""
            row.busy.clear()
            for host, tally in result.hosts.items():
                row.counts[host] = Counter(
                    ok=tally.ok, changed=tally.changed, failed=tally.failed, unreachable=tally.unreachable
                )

    # Drawing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The whole picture as it is now."""
        with self._lock:
            finished = sum(row.state in {"done", "done before"} for row in self._rows.values())
            elapsed = _clock(time.monotonic() - self._started)
            yield Text.assemble((self._title, "bold"), f"  {finished} of {len(self._rows)} stages done, {elapsed}")
            shown = self._hosts if self._fits(options.max_width) else []
            table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
            table.add_column("")
            table.add_column("stage", no_wrap=True)
            for host in shown:
                table.add_column(_short(host), justify="center", no_wrap=True)
            table.add_column("changed" if shown else "hosts", justify="right", no_wrap=True)
            table.add_column("time", justify="right", no_wrap=True)
            for name, row in self._rows.items():
                table.add_row(*self._cells(name, row, shown))
            yield table
            for name, row in self._rows.items():
                if row.state == _RUNNING:
                    where = " ".join(sorted(row.busy))
                    yield Text(
                        f"{name}: {row.task or 'starting'}  {where}", style="cyan", no_wrap=True, overflow="ellipsis"
                    )

    def _fits(self, width: int) -> bool:
        columns = sum(min(len(host), _WIDEST_HOST_COLUMN) + 2 for host in self._hosts)
        return columns + 34 <= width

    def _cells(self, name: str, row: _Row, shown: Sequence[str]) -> list[Text]:

        mark, style = _MARKS.get(row.state, ("?", "red"))
        changed = sum(counts["changed"] for counts in row.counts.values())
        seconds = time.monotonic() - row.started if row.state == _RUNNING else row.seconds
        if shown:
            summary = str(changed) if row.counts else ""
        else:
            summary = f"{len(row.counts)}/{len(row.hosts)}" + (f", {changed} changed" if changed else "")
        return [
            Text(mark, style=style),
            Text(name, style="dim" if row.state in {_WAITING, "done before"} else ""),
            *(_cell(row, host) for host in shown),
            Text(summary, style="yellow" if changed else "dim"),
            Text(f"{seconds:.0f} s" if row.started else "", style="dim"),
        ]


def _cell(row: _Row, host: str) -> Text:
    """What a stage did on a host, in one or two characters."""
    counts = row.counts.get(host, Counter())
    if counts["failed"] or counts["unreachable"]:
        return Text("✘", style="bold red")
    if row.state == "done before" and host in row.hosts:
        return Text("✔", style="dim green")
    if row.state == _WAITING or host not in row.hosts:
        return Text("·" if host in row.hosts else "", style="dim")
    if row.state == _RUNNING:
        return Text(f"{counts['changed'] or '…'}", style="cyan" if host in row.busy else "dim cyan")
    if counts["changed"]:
        return Text(str(counts["changed"]), style="yellow")
    return Text("✔", style="green") if counts["ok"] else Text("■", style="yellow")


def _short(host: str) -> str:
    return host if len(host) <= _WIDEST_HOST_COLUMN else host[: _WIDEST_HOST_COLUMN - 1] + "…"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
