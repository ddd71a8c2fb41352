"""What is shown of stages and hosts while they change."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from installer.console.terminal import Terminal
from installer.operations.progress import Progress, progress_for
from installer.playbooks.events import Outcome, TaskEvent
from installer.playbooks.results import HostTally
from installer.playbooks.runner import PlaybookResult

HOSTS = ("gw1", "db1", "db2")
STAGES = {"base": HOSTS, "database": ("db1", "db2"), "gateway": ("gw1",)}


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def event(host: str, outcome: Outcome, task: str = "postgresql : install | Ensure packages") -> TaskEvent:
    return TaskEvent(host=host, task=task, outcome=outcome)


def result(kind: str, **hosts: HostTally) -> PlaybookResult:
    return PlaybookResult(result=kind, seconds=12.3, hosts=hosts, failures=(), log=Path("/x"))


def picture(progress: Progress, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    with console.capture() as capture:
        console.print(progress)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_off_a_terminal_there_is_a_line_for_each_beginning_end_and_failure() -> None:
    stderr = io.StringIO()
    terminal = Terminal(stdout=io.StringIO(), stderr=stderr, environment={})
    with progress_for(
        terminal, title="install s", hosts=HOSTS, stages=STAGES, done={"base": "done before"}
    ) as progress:
        progress.begin("database")
        progress.task("database", event("db1", "ok"))
        progress.task("database", event("db2", "failed"))
        progress.end("database", result("failed", db1=HostTally(ok=1, changed=1), db2=HostTally(failed=1)))
    assert stderr.getvalue().splitlines() == [
        "stage base: done before",
        "stage database: running",
        "stage database: db2 failed: postgresql : install | Ensure packages",
        "stage database: failed in 12.3 s, 1 changed on 2 host(s)",
    ]


@pytest.fixture
def live() -> Terminal:
    return Terminal(stdout=io.StringIO(), stderr=Screen(), environment={"TERM": "xterm"})


def test_on_a_terminal_stages_and_hosts_are_a_matrix(live: Terminal) -> None:
    with progress_for(live, title="install s", hosts=HOSTS, stages=STAGES, done={"base": "done before"}) as progress:
        progress.begin("database")
        progress.task("database", event("db1", "started"))
        progress.task("database", event("db1", "changed"))
        progress.task("database", event("db2", "started"))
        shown = picture(progress)
    assert re.match(r"install s  1 of 3 stages done, \d:\d\d", shown[0])
    heading, base, database, gateway, now = shown[1:]
    assert heading.split() == ["stage", "gw1", "db1", "db2", "changed", "time"]
    assert base.split() == ["✔", "base", "✔", "✔", "✔"]
    assert re.fullmatch(r"▸ database 1 … 1 \d+ s", " ".join(database.split()))
    assert gateway.split() == ["·", "gateway", "·"]
    assert now == "database: postgresql : install | Ensure packages  db2"


def test_the_end_shows_what_ansible_summed_up(live: Terminal) -> None:
    with progress_for(live, title="t", hosts=HOSTS, stages=STAGES, done={}) as progress:
        progress.begin("base")
        tallies = {"gw1": HostTally(ok=3), "db1": HostTally(ok=3, changed=2), "db2": HostTally(unreachable=1)}
        progress.end("base", result("failed", **tallies))
        (line,) = [line for line in picture(progress) if " base " in line]
    assert line.split() == ["✘", "base", "✔", "2", "✘", "2", "12", "s"]


def test_a_narrow_terminal_gets_counts_in_place_of_hosts(live: Terminal) -> None:
    with progress_for(live, title="t", hosts=HOSTS, stages=STAGES, done={}) as progress:
        progress.begin("base")
        progress.task("base", event("gw1", "changed"))
        lines = picture(progress, width=44)
    assert any(line.split()[:5] == ["▸", "base", "1/3,", "1", "changed"] for line in lines)


def test_what_is_said_meanwhile_is_printed_above_the_picture(live: Terminal) -> None:
    live.hide(["c4nary"])
    with progress_for(live, title="t", hosts=HOSTS, stages=STAGES, done={}):
        live.warn("something about c4nary")
    assert isinstance(live.talk_stream, Screen)
    assert "something about [hidden]" in live.talk_stream.getvalue()
