"""The guard: passes a command's output and end through, and never lets anything of it live on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.playbooks import guard

SCRIPT = str(Path(guard.__file__).resolve())
SECONDS = 15
# A command like Ansible: a worker in a session of its own, with a child, all deaf to a polite signal.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "61.5"])
    with open(sys.argv[1], "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    time.sleep(60)
time.sleep(60)
"""


def guarded(record: Path, *command: str) -> list[str]:
    return [sys.executable, "-I", SCRIPT, str(record), str(os.getpid()), *command]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def workers(file: Path) -> list[int]:
    wait_for(lambda: file.exists() and len(file.read_text().split()) == 2)
    return [int(word) for word in file.read_text().split()]


def test_output_and_exit_code_are_passed_through(tmp_path: Path) -> None:
    ended = subprocess.run(
        guarded(tmp_path / "r", "sh", "-c", "echo out; echo err >&2; exit 7"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "out\n", "err\n")


def test_the_end_by_a_signal_is_told_as_a_shell_would(tmp_path: Path) -> None:
    ended = subprocess.run(guarded(tmp_path / "r", "sh", "-c", "kill -9 $$"), check=False)
    assert ended.returncode == 128 + signal.SIGKILL


def test_the_command_can_be_signalled_as_always(tmp_path: Path) -> None:
    script = "trap 'echo heard; exit 3' TERM; kill -TERM $$"
    ended = subprocess.run(guarded(tmp_path / "r", "sh", "-c", script), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, "heard\n")


def test_it_writes_down_who_runs(tmp_path: Path) -> None:
    record = tmp_path / "r"
    with subprocess.Popen(guarded(record, "sleep", "60")) as process:
        wait_for(lambda: record.exists() and record.stat().st_size > 0)
        known = json.loads(record.read_text())
        assert known["guard"]["pid"] == process.pid
        for entry in known.values():
            assert entry["identity"] == guard.identity(entry["pid"]) != ""
        process.terminate()


def test_asked_to_stop_it_ends_workers_in_sessions_of_their_own(tmp_path: Path) -> None:
    with subprocess.Popen(guarded(tmp_path / "r", sys.executable, "-c", STUBBORN, str(tmp_path / "pids"))) as process:
        pids = workers(tmp_path / "pids")
        assert all(guard.identity(pid) for pid in pids)
        process.terminate()
        assert process.wait(SECONDS) == guard.STOPPED
    assert [pid for pid in pids if guard.identity(pid)] == []


def test_a_killed_installer_leaves_nothing_behind(tmp_path: Path) -> None:
    record = tmp_path / "r"
    program = (
        "import os, subprocess, sys\n"
        "guard = [sys.executable, '-I', sys.argv[1], sys.argv[2], str(os.getpid())]\n"
        "subprocess.Popen([*guard, sys.executable, '-c', *sys.argv[3:]]).wait()"
    )
    installer = subprocess.Popen([sys.executable, "-c", program, SCRIPT, str(record), STUBBORN, str(tmp_path / "pids")])
    pids = workers(tmp_path / "pids")
    wait_for(lambda: record.exists() and record.stat().st_size > 0)
    pids += [entry["pid"] for entry in json.loads(record.read_text()).values()]
    installer.kill()
    installer.wait()
    wait_for(lambda: not any(guard.identity(pid) for pid in pids))


def test_it_does_not_start_for_an_installer_that_is_gone_already(tmp_path: Path) -> None:
    nobody = "1"
    ended = subprocess.run(
        [sys.executable, "-I", SCRIPT, str(tmp_path / "r"), nobody, "touch", str(tmp_path / "ran")], check=False
    )
    assert ended.returncode == guard.STOPPED
    assert not (tmp_path / "ran").exists()


def test_a_process_that_ended_has_no_identity() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert guard.identity(process.pid)
        process.kill()
        wait_for(lambda: guard.identity(process.pid) == "")  # a zombie is as good as gone


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_obeys_ends_at_once(tmp_path: Path, number: signal.Signals) -> None:
    record = tmp_path / "r"
    with subprocess.Popen(guarded(record, "sleep", "60")) as process:
        wait_for(lambda: record.exists() and record.stat().st_size > 0)
        began = time.monotonic()
        process.send_signal(number)
        process.wait(SECONDS)
        assert time.monotonic() - began < 4


def test_started_with_sigint_ignored_the_command_obeys_all_the_same(tmp_path: Path) -> None:
    # So does a script's background job start; the shell becomes the guard and keeps its process id.
    record = tmp_path / "r"
    with subprocess.Popen(["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *guarded(record, "sleep", "60")]) as process:
        wait_for(lambda: record.exists() and record.stat().st_size > 0)
        began = time.monotonic()
        process.terminate()
        process.wait(SECONDS)
        assert time.monotonic() - began < 4
