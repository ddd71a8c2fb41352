"""The order of stages: chains, side by side, and what a failure stops."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from installer.stages.graph import Stage
from installer.stages.install import INSTALL
from installer.stages.schedule import run_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECONDS = 10
STAGES = INSTALL.stages


@dataclass(frozen=True)
class Ended:
    """How a stage ended."""

    result: str


def stage(name: str, needs: tuple[str, ...] = ()) -> Stage:
    return Stage(name=name, playbook=f"{name}.yml", needs=needs)


class Recorder:
    """Runs stages and remembers in which order they began and ended."""

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        """Let these stages fail."""
        self.failing = failing
        self.begun: list[str] = []
        self.done: list[str] = []
        self.chains: list[list[str]] = []
        self.most_at_once = 0

    def work(self, stage: Stage) -> Ended:
        """Run a stage."""
        return Ended("failed" if stage.name in self.failing else "done")

    def run(
        self, stages: tuple[Stage, ...], *, done: tuple[str, ...] = (), limit: int = 4, keep_going: bool = False
    ) -> None:
        """Run a graph."""

        def begin(stage: Stage) -> None:
            assert set(stage.needs) <= {*self.done, *done} or keep_going
            self.begun.append(stage.name)
            self.most_at_once = max(self.most_at_once, len(self.begun) - len(self.done))

        def work(chain: Sequence[Stage], told: Callable[[Stage, Ended], None]) -> None:
            self.chains.append([stage.name for stage in chain])
            for stage in chain:
                ended = self.work(stage)
                told(stage, ended)
                if ended.result != "done":
                    return

        run_stages(
            stages,
            work,
            done=done,
            limit=limit,
            keep_going=keep_going,
            begun=begin,
            ended=lambda stage, _ended: self.done.append(stage.name),
        )


def test_every_stage_runs_once_after_what_it_needs() -> None:
    recorder = Recorder()
    recorder.run(STAGES)
    assert sorted(recorder.done) == sorted(stage.name for stage in STAGES)


def test_stages_that_do_not_need_each_other_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=SECONDS)

    class Meeting(Recorder):
        """Its stages wait for each other."""

        def work(self, stage: Stage) -> Ended:
            """Run a stage."""
            if stage.name != "first":
                meeting.wait()  # breaks unless all three are inside at once
            return Ended("done")

    stages = (stage("first"), *(stage(name, needs=("first",)) for name in "abc"))
    recorder = Meeting()
    recorder.run(stages)
    assert recorder.begun[0] == "first"


def test_no_more_stages_run_at_once_than_allowed() -> None:
    recorder = Recorder()
    recorder.run(tuple(stage(name) for name in "abcdef"), limit=2)
    assert recorder.most_at_once == 2


def test_a_failure_lets_running_stages_end_and_starts_no_other() -> None:
    failed = threading.Event()

    class Slow(Recorder):
        """One stage fails while another runs."""

        def work(self, stage: Stage) -> Ended:
            """Run a stage."""
            if stage.name == "bad":
                failed.set()
                return Ended("failed")
            assert failed.wait(SECONDS)
            return Ended("done")

    recorder = Slow()
    recorder.run((stage("bad"), stage("slow"), stage("after", needs=("bad", "slow"))))
    assert sorted(recorder.done) == ["bad", "slow"]
    assert "after" not in recorder.begun


def test_done_stages_are_left_alone_except_what_every_operation_needs() -> None:
    recorder = Recorder()
    recorder.run(STAGES, done=("facts", "certificates", "repository", "base", "hardening", "firewall"))
    assert not {"certificates", "repository", "base"} & set(recorder.begun)
    assert recorder.chains[0] == ["facts"]
    assert len(recorder.done) == len(STAGES) - 5


def test_what_can_only_follow_joins_the_process_before_it() -> None:
    recorder = Recorder()
    recorder.run(STAGES)
    assert recorder.chains[0] == ["facts", "certificates", "repository", "base", "hardening", "firewall"]
    assert ["etcd", "database", "engine"] in recorder.chains
    # What takes longest begins first, the short stages share the last process.
    assert ["broker"] in recorder.chains
    assert ["cache", "gateway"] in recorder.chains
    assert sum(len(chain) for chain in recorder.chains) == len(STAGES)


def test_one_process_takes_everything_in_order() -> None:
    recorder = Recorder()
    recorder.run(STAGES, limit=1)
    assert recorder.chains == [[stage.name for stage in STAGES]]
    assert recorder.done == recorder.chains[0]


def test_a_failure_inside_a_chain_ends_it() -> None:
    recorder = Recorder(failing=frozenset({"repository"}))
    recorder.run(STAGES, limit=1)
    assert recorder.done == recorder.begun == ["facts", "certificates", "repository"]


def test_planning_goes_on_behind_a_failure() -> None:
    recorder = Recorder(failing=frozenset({"certificates"}))
    recorder.run(STAGES, keep_going=True)
    assert len(recorder.done) == len(STAGES)


def test_a_defect_in_a_stage_is_not_swallowed() -> None:
    def explode(_chain: Sequence[Stage], _told: Callable[[Stage, Ended], None]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_stages(STAGES[:1], explode, done=(), limit=1, begun=lambda _s: None, ended=lambda _s, _r: None)


def test_a_chain_that_ends_without_a_word_is_an_error_and_not_begun_again() -> None:
    begun: list[str] = []
    with pytest.raises(RuntimeError, match="ended without a result"):
        run_stages(
            STAGES,
            lambda _chain, _told: None,
            done=(),
            limit=4,
            begun=lambda stage: begun.append(stage.name),
            ended=lambda _stage, _ended: None,
        )
    assert len(begun) == len(set(begun))
