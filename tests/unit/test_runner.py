"""The runner, with the real Ansible working on this very machine."""

from __future__ import annotations

import importlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from installer.console.terminal import Terminal
from installer.controller.logins import close_logins
from installer.playbooks import guard
from installer.playbooks.events import TaskEvent, hidden_changes, reason_of
from installer.playbooks.orphans import end_orphans
from installer.playbooks.results import DONE, FAILED, INTERRUPTED, HostTally
from installer.playbooks.runner import PlaybookResult, PlaybookRun, Runner, RunnerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
CANARY = "c4naryOfTheVault"
HEAD = "- hosts: all\n  gather_facts: false\n  tasks:\n"
INVENTORY = f"""\
all:
  vars: {{ansible_connection: local, ansible_python_interpreter: {sys.executable}}}
  hosts: {{one: , two: }}
"""


@pytest.fixture
def runner(tmp_path: Path, sockets: Path) -> Runner:
    inventory = tmp_path / "inventory" / "hosts.yml"
    inventory.parent.mkdir()
    inventory.write_text(INVENTORY)
    terminal = Terminal()
    terminal.hide([CANARY])
    settings = RunnerSettings(
        root=ROOT,
        inventory=inventory,
        vault_password_client=None,
        facts=tmp_path / "facts",
        sockets=sockets,
        forks=5,
        strategy="stock",
    )
    return Runner(settings, redact=terminal.redact)


def run(
    runner: Runner,
    path: Path,
    *,
    folder: Path,
    report: Callable[[TaskEvent], None] = lambda _event: None,
    check: bool = False,
) -> PlaybookResult:
    """Run one playbook."""
    results: list[PlaybookResult] = []
    one = PlaybookRun(playbook=path, folder=folder, report=report)
    runner.run([one], ended=lambda _run, result: results.append(result), check=check)
    (result,) = results
    return result


def playbook(tmp_path: Path, tasks: str) -> Path:
    path = tmp_path / "playbook.yml"
    path.write_text(HEAD + tasks)
    return path


def test_it_counts_and_reports_what_each_host_did(tmp_path: Path, runner: Runner) -> None:
    target = tmp_path / "{{ inventory_hostname }}"
    tasks = f"    - name: do | Write\n      ansible.builtin.copy: {{content: x, dest: '{target}', mode: '0600'}}\n"
    events: list[TaskEvent] = []
    path = playbook(tmp_path, tasks)
    first = run(runner, path, folder=tmp_path / "run1", report=events.append)
    second = run(runner, path, folder=tmp_path / "run2", report=events.append)
    assert (first.result, first.changed, first.failures) == (DONE, 2, ())
    assert first.hosts == {"one": HostTally(ok=1, changed=1), "two": HostTally(ok=1, changed=1)}
    assert second.changed == 0
    assert TaskEvent(host="two", task="do | Write", outcome="changed") in events


def test_check_mode_tells_what_would_change_and_changes_nothing(tmp_path: Path, runner: Runner) -> None:
    tasks = f"    - name: do | Write\n      ansible.builtin.copy: {{content: x, dest: '{tmp_path}/f', mode: '0600'}}\n"
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run", check=True)
    assert (result.result, result.changed) == (DONE, 2)
    assert not (tmp_path / "f").exists()
    assert "+x" in result.log.read_text()


def test_a_hidden_change_tells_what_its_module_promises_to_be_free_of_secrets(tmp_path: Path, runner: Runner) -> None:
    content = f"{{name: maxmemory, password: {CANARY}}}"
    tasks = (
        "    - name: do | Write\n      sitewright.platform.config_files:\n        files:\n"
        f"          - {{path: {tmp_path}/plain, content: '{content}', show: masked, owner: root}}\n"
        f"          - {{path: {tmp_path}/hidden, content: '{content}', owner: root}}\n"
        "      no_log: true\n      loop: [1, 2]\n"
    )
    for name in ("plain", "hidden"):
        (tmp_path / name).write_text(f"maxmemory 1\npassword old{CANARY}\n")
    events: list[TaskEvent] = []
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run", report=events.append, check=True)
    assert (result.result, result.changed) == (DONE, 2)
    told = hidden_changes(tmp_path)
    identity = events[-1].identity
    assert set(told) == {("one", identity), ("two", identity)}
    assert told["one", identity].changed
    assert len(told["one", identity].details) == 2
    plain, hidden = told["one", identity].details[0]["plan"]["changes"]
    assert plain["lines"] == ["-maxmemory 1", "-password [hidden]", "+{name: maxmemory, password [hidden]"]
    assert (hidden["note"], hidden.get("lines")) == ("changed, hidden", None)
    kept = "".join(path.read_text() for path in (tmp_path / "run").iterdir())
    assert CANARY not in kept


def test_a_failure_names_host_task_and_reason(tmp_path: Path, runner: Runner) -> None:
    tasks = (
        "    - name: do | Break\n      ansible.builtin.fail: {msg: the disk is full}\n"
        "      when: inventory_hostname == 'two'\n"
    )
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run")
    assert result.result == FAILED
    (failure,) = result.failures
    assert (failure.host, failure.task, failure.reason) == ("two", "do | Break", "the disk is full")


def test_a_rescued_failure_is_none(tmp_path: Path, runner: Runner) -> None:
    tasks = (
        "    - name: do | Try\n      block:\n        - name: do | Break\n          ansible.builtin.fail: {}\n"
        "      rescue:\n        - name: do | Mend\n          ansible.builtin.debug: {msg: mended}\n"
    )
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run")
    assert (result.result, result.failures) == (DONE, ())


def test_a_hidden_failure_tells_module_and_exit_code_but_no_secret(tmp_path: Path, runner: Runner) -> None:
    tasks = (
        "    - name: do | Log in\n      ansible.builtin.command: {argv: [sh, -c, 'echo told-by-nobody >&2; exit 7']}\n"
        "      no_log: true\n      changed_when: false\n"
    )
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run")
    reasons = {failure.reason for failure in result.failures}
    assert reasons == {
        "ansible.builtin.command failed with exit code 7; it handles a secret, so what it said is hidden"
    }
    assert all("journal on one" in f.advice or "journal on two" in f.advice for f in result.failures)
    assert "told-by-nobody" not in everything_below(tmp_path / "run")


def test_a_playbook_ansible_cannot_read_fails_with_its_words(tmp_path: Path, runner: Runner) -> None:
    path = playbook(tmp_path, "    - name: do | Nonsense\n      no_such_module: {}\n")
    result = run(runner, path, folder=tmp_path / "run")
    assert result.result == FAILED
    assert "no_such_module" in result.failures[0].reason


def test_no_secret_of_the_environment_or_the_vault_is_kept(
    tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITEWRIGHT_VAULT_PASSWORD", "c4naryOfTheEnvironment")
    tasks = (
        f"    - name: do | Say {CANARY}\n      ansible.builtin.debug: {{msg: 'it is {CANARY}'}}\n"
        f"    - name: do | Break\n      ansible.builtin.fail: {{msg: 'refused {CANARY}'}}\n"
    )
    events: list[TaskEvent] = []
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run", report=events.append)
    shown = everything_below(tmp_path / "run") + repr(events) + repr(result)
    assert CANARY not in shown
    assert "c4naryOfTheEnvironment" not in shown
    assert "[hidden]" in result.failures[0].reason


def test_what_it_keeps_is_private_and_small(tmp_path: Path, runner: Runner) -> None:
    tasks = "    - name: do | Say\n      ansible.builtin.debug: {msg: hello}\n"
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["output.log"]
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE(result.log.stat().st_mode) == 0o600
    assert "TASK [do | Say]" in result.log.read_text()
    close_logins(runner.settings.sockets)
    assert not runner.settings.sockets.exists()


# Only here a playbook runs beside another thread of the test; ansible-runner forks with a terminal.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_stopping_ends_a_running_playbook_and_all_it_started(tmp_path: Path, runner: Runner) -> None:
    tasks = "    - name: do | Sleep\n      ansible.builtin.command: {argv: [sleep, '62.75']}\n"
    started = threading.Event()

    def listen(event: TaskEvent) -> None:
        if event.outcome == "started":
            started.set()

    def stop() -> None:
        assert started.wait(30)
        time.sleep(1)
        runner.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    result = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "run", report=listen)
    thread.join()
    assert result.result == INTERRUPTED
    assert result.seconds < 40
    assert subprocess.run(["pgrep", "-f", "sleep 62.75"], check=False, capture_output=True).stdout == b""
    after = run(runner, playbook(tmp_path, tasks), folder=tmp_path / "again", report=listen)
    assert after.result == INTERRUPTED, "a stopped runner starts nothing any more"


def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "op" / "stage"
    folder.mkdir(parents=True)
    record = folder / "processes.json"
    with subprocess.Popen(
        [sys.executable, "-I", guard.__file__, str(record), str(os.getpid()), "sleep", "63.5"]
    ) as process:
        while not (record.exists() and record.stat().st_size):
            time.sleep(0.05)
        said: list[str] = []
        end_orphans(tmp_path / "runs", say=said.append)
        assert said == ["ending 1 playbook(s) that an interrupted run left behind"]
        assert process.wait(5) == guard.STOPPED
    end_orphans(tmp_path / "runs", say=said.append)
    assert len(said) == 1


def test_a_command_whose_guard_was_killed_is_ended_too(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "op" / "stage"
    folder.mkdir(parents=True)
    record = folder / "processes.json"
    argv = [sys.executable, "-I", guard.__file__, str(record), str(os.getpid()), "sleep", "64.5"]
    with subprocess.Popen(argv) as process:
        while not (record.exists() and record.stat().st_size):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    end_orphans(tmp_path / "runs", say=lambda _text: None)
    assert subprocess.run(["pgrep", "-f", "sleep 64.5"], check=False, capture_output=True).stdout == b""


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"msg": "no such host"}, "no such host"),
        ({"msg": "non-zero return code", "stderr": "line 1\nline 2"}, "non-zero return code; line 1 line 2"),
        ({"msg": "broken", "stderr": "broken"}, "broken"),
        ({"results": [{"failed": False}, {"failed": True, "item": "b", "msg": "too old"}]}, "b: too old"),
        ({"stdout": "only this"}, "only this"),
        ({}, "it gave no reason"),
    ],
)
def test_the_reason_is_one_line(result: dict[str, object], reason: str) -> None:
    assert reason_of(result) == reason


def test_a_long_reason_is_cut() -> None:
    assert len(reason_of({"msg": "x" * 5000})) == 700


def everything_below(folder: Path) -> str:
    """Every file's name and content."""
    return "".join(f"{path}\n{path.read_text(errors='replace')}" for path in folder.rglob("*") if path.is_file())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_several_playbooks_run_at_once_although_filelock_is_loaded(tmp_path: Path, runner: Runner) -> None:
    # A bundle's code imports it; from then on two threads that fork at the same time used to fail.
    importlib.import_module("filelock")
    path = playbook(tmp_path, "    - name: do | Say\n      ansible.builtin.debug: {msg: hello}\n")

    def work(number: int) -> PlaybookResult:
        return run(runner, path, folder=tmp_path / str(number))

    with ThreadPoolExecutor() as pool:
        assert [result.result for result in pool.map(work, range(3))] == [DONE] * 3


def test_playbooks_of_one_process_are_told_apart(tmp_path: Path, runner: Runner) -> None:
    target = tmp_path / "{{ inventory_hostname }}"
    texts = {
        "first": "    - name: do | Write\n"
        f"      ansible.builtin.copy: {{content: x, dest: '{target}', mode: '0600'}}\n",
        "second": "    - name: do | Say\n      ansible.builtin.debug: {msg: hello}\n",
        "third": "    - name: do | Break\n      ansible.builtin.fail: {msg: the disk is full}\n"
        "      when: inventory_hostname == 'two'\n",
        "fourth": "    - name: do | Say\n      ansible.builtin.debug: {msg: never}\n",
    }
    seen: dict[str, list[str]] = {name: [] for name in texts}
    runs = []
    for name, tasks in texts.items():
        path = tmp_path / f"{name}.yml"
        path.write_text(HEAD.replace("  tasks", "  any_errors_fatal: true\n  tasks") + tasks)

        def listen(event: TaskEvent, name: str = name) -> None:
            seen[name].append(event.outcome)

        runs.append(PlaybookRun(playbook=path, folder=tmp_path / name, report=listen))
    results: dict[str, PlaybookResult] = {}
    runner.run(runs, ended=lambda run, result: results.update({run.playbook.stem: result}))
    assert {name: result.result for name, result in results.items()} == {"first": DONE, "second": DONE, "third": FAILED}
    assert results["first"].hosts == {"one": HostTally(ok=1, changed=1), "two": HostTally(ok=1, changed=1)}
    assert results["second"].hosts == {"one": HostTally(ok=1), "two": HostTally(ok=1)}
    assert results["third"].hosts == {"two": HostTally(failed=1)}
    assert [failure.reason for failure in results["third"].failures] == ["the disk is full"]
    assert seen["fourth"] == []
    assert "TASK [do | Write]" in results["first"].log.read_text()
    assert "TASK [do | Write]" not in results["second"].log.read_text()
