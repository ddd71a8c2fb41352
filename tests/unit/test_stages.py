"""The graph of stages: order, side by side, what a failure stops, and what a stage is made of."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from installer.errors import ConfigurationError
from installer.stages import STAGES, Stage, check_stages, file_digests, hosts_of, run_stages

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10


@dataclass(frozen=True)
class Ended:
    """How a stage ended."""

    result: str


class Recorder:
    """Runs stages and remembers in which order they began and ended."""

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        """Let these stages fail."""
        self.failing = failing
        self.begun: list[str] = []
        self.done: list[str] = []
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

        run_stages(
            stages,
            self.work,
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

    stages = (Stage(name="first"), *(Stage(name=name, needs=("first",)) for name in "abc"))
    recorder = Meeting()
    recorder.run(stages)
    assert recorder.begun[0] == "first"


def test_no_more_stages_run_at_once_than_allowed() -> None:
    recorder = Recorder()
    recorder.run(tuple(Stage(name=name) for name in "abcdef"), limit=2)
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
    recorder.run((Stage(name="bad"), Stage(name="slow"), Stage(name="after", needs=("slow",))))
    assert sorted(recorder.done) == ["bad", "slow"]
    assert "after" not in recorder.begun


def test_done_stages_are_left_alone() -> None:
    recorder = Recorder()
    recorder.run(STAGES, done=("certificates", "repository", "base"))
    assert not {"certificates", "repository", "base"} & set(recorder.begun)
    assert len(recorder.done) == len(STAGES) - 3


def test_planning_goes_on_behind_a_failure() -> None:
    recorder = Recorder(failing=frozenset({"certificates"}))
    recorder.run(STAGES, keep_going=True)
    assert len(recorder.done) == len(STAGES)


def test_a_defect_in_a_stage_is_not_swallowed() -> None:
    def explode(_stage: Stage) -> Ended:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_stages(STAGES[:1], explode, done=(), limit=1, begun=lambda _s: None, ended=lambda _s, _r: None)


def test_a_need_that_does_not_come_before_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs later"):
        check_stages([Stage(name="base", needs=("later",))], tmp_path)


def test_a_stage_without_playbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"install-base\.yml"):
        check_stages([Stage(name="base")], tmp_path)


def test_the_stages_of_this_checkout_are_complete() -> None:
    check_stages(STAGES, ROOT)


def test_hosts_of_a_stage_follow_from_its_playbook(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    text = "- hosts: engine[0]\n- hosts: 'redis:&svc'\n"
    (tmp_path / "playbooks" / "install-x.yml").write_text(text)
    everyone = ("gw1", "app2", "app1", "svc1")
    groups = {"engine": ("app1", "app2"), "redis": ("svc1",), "gateway": ("gw1",)}
    assert hosts_of(Stage(name="x"), tmp_path, groups, everyone) == ["app2", "app1", "svc1"]
    (tmp_path / "playbooks" / "install-x.yml").write_text("- hosts: all\n")
    assert hosts_of(Stage(name="x"), tmp_path, groups, everyone) == list(everyone)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what stages are made of."""
    for folder in ("playbooks", "plugins", "installer/tuning"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copytree(ROOT / "roles", tmp_path / "roles")
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    return tmp_path


def changed_after(checkout: Path, file: str) -> list[str]:
    before = file_digests(STAGES, checkout)
    (checkout / file).parent.mkdir(parents=True, exist_ok=True)
    with (checkout / file).open("a") as stream:
        stream.write("# another line\n")
    after = file_digests(STAGES, checkout)
    return [name for name in after if before.get(name) != after[name]]


def test_a_changed_role_changes_its_own_stage_only(checkout: Path) -> None:
    (name,) = changed_after(checkout, "roles/redis/tasks/main.yml")
    assert name.startswith("stage cache ")
    assert "roles/redis" in name


def test_a_changed_plugin_is_named(checkout: Path) -> None:
    (name,) = changed_after(checkout, "plugins/modules/service_unit.py")
    assert "plugins" in name


def test_files_python_writes_beside_plugins_change_nothing(checkout: Path) -> None:
    assert changed_after(checkout, "plugins/filter/__pycache__/x.cpython-313.pyc") == []
