"""Any graph runs, is killed, resumes and waits for others by the same code: here one the product does not have."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from installer.errors import ConfigurationError, PlaybookError
from installer.operations.context import OperationContext
from installer.operations.plan import operation as planning
from installer.operations.staged import Material, StagedOperation, carry_out
from installer.operations.status.operation import status
from installer.operations.summary import Summary
from installer.stages.journal import Circumstances, Input
from installer.stages.kinds import Kind
from tests.unit.bench import ROOT, Bench, chain, results

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

MOVE = chain("move")
TIDY = chain("tidy")
SECONDS = 30


def work(graph_name: str, *, replaces: frozenset[str] = frozenset()) -> StagedOperation:
    def nothing(_summary: Summary) -> None:
        return None

    return StagedOperation(
        kind=Kind(name=graph_name, replaces=replaces),
        graph={"move": MOVE, "tidy": TIDY}[graph_name],
        title="Moving",
        prepare=lambda: Material(inputs={"target": Input(digest="t1", about="/srv/target")}, bundle={}),
        check=nothing,
        verify=nothing,
        conclude=nothing,
    )


def move(context: OperationContext) -> None:
    carry_out(context, work("move"))


def begin_in_another_process(folder: Path, sockets: Path) -> subprocess.Popen[bytes]:
    """The same operation in a process that can be killed."""
    program = (
        "from pathlib import Path; from tests.unit import test_staged as t;"
        f"t.Bench(Path({str(folder)!r}), Path({str(sockets)!r}), t.MOVE).run(t.move, verb='move')"
    )
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, start_new_session=True)


def wait_until_it_ran(bench: Bench, stage: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not (bench.log.exists() and stage in bench.log.read_text()):
        assert time.monotonic() < deadline, f"{stage} did not begin"
        time.sleep(0.05)


def test_a_killed_operation_is_seen_by_others_and_resumed_by_its_own_kind(
    tmp_path: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, sockets, MOVE)
    bench.lay_down(TIDY)
    hold = Path(f"{bench.log}.hold-second")
    hold.touch()
    process = begin_in_another_process(tmp_path, sockets)
    wait_until_it_ran(bench, "second")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert bench.ran() == ["first", "second"]
    hold.unlink()

    # Who only looks is told, and runs: here a plan of the other graph.
    monkeypatch.setattr(planning, "verify_bundle", lambda _context: None)
    said = bench.run(lambda context: planning.plan_graph(context, TIDY), verb="plan")
    assert said["unfinished_operation"].startswith("the move begun ")
    assert "(1 of 2 stages done)" in said["unfinished_operation"]
    assert bench.ran() == []

    # Another kind is told what to do, and touches nothing.
    with pytest.raises(ConfigurationError) as refused:
        bench.run(lambda context: carry_out(context, work("tidy")), verb="tidy")
    assert refused.value.message.startswith("the move begun ")
    assert "is not finished; tidy has to wait for it" in refused.value.message
    assert refused.value.hint.endswith("./install move --inventory bench")
    assert bench.ran() == []

    # Its own kind goes on where it was, and ends.
    assert results(bench.run(move, verb="move")) == {"first": "done before", "second": "done"}
    assert bench.ran() == ["second"]
    assert bench.journal.unfinished() is None

    # Then the other kind may run; nothing in the code knows either of them.
    bench.run(lambda context: carry_out(context, work("tidy")), verb="tidy")
    assert bench.ran() == ["first", "second"]
    assert [(each.kind, each.result) for each in bench.journal.operations()] == [("move", "done"), ("tidy", "done")]


def test_status_shows_what_is_not_finished_and_by_which_release(tmp_path: Path, sockets: Path) -> None:
    bench = Bench(tmp_path, sockets, MOVE)
    begun_with = Circumstances(command="./install upgrade --inventory bench", release="0.3.0")
    bench.journal.begin("upgrade", {}, stages=("first", "second"), begun_with=begun_with)
    said = bench.run(status, verb="status")
    assert said["last_operation"].endswith("UTC by release 0.3.0: not finished, 0 of 2 stages done")
    assert said["unfinished_operation"].endswith("resume it with: ./install upgrade --inventory bench")


def test_a_resumed_operation_gets_the_variables_it_began_with_and_no_other_order(tmp_path: Path, sockets: Path) -> None:
    bench = Bench(tmp_path, sockets, MOVE)
    path = MOVE.stages[1].path(bench.root)
    path.write_text(path.read_text().replace("echo second", "echo {{ began }}"))
    told = replace(work("move"), variables=lambda operation: {"began": f"{operation.started:%H:%M:%S.%f}"}, at_once=1)
    obstacle = Path(f"{bench.log}.break-second")
    obstacle.touch()
    with pytest.raises(PlaybookError):
        bench.run(lambda context: carry_out(context, told), verb="move")
    first, before = bench.ran()
    obstacle.unlink()
    bench.run(lambda context: carry_out(context, told), verb="move")
    assert (first, before, *bench.ran()) == ("first", before, before)
