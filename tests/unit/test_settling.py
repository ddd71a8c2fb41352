"""Before a run resumes: a host is left alone until what was interrupted there has ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from installer.errors import PlaybookError
from installer.operations import settling

# In place of a login: a world of its own on this very machine, where only what is started here runs.
HERE = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c")


def test_a_host_where_nothing_runs_is_settled_at_once() -> None:
    said: list[str] = []
    ended = subprocess.run([*HERE, settling._WAIT], check=False, timeout=20)
    assert ended.returncode == 0, "the pattern must not find its own command line"
    settling.settle({"one": HERE, "two": HERE}, said.append)
    assert len(said) == 1


@pytest.mark.parametrize(
    "program",
    [
        f"{sys.executable} -c 'import time; time.sleep(3)' BECOME-SUCCESS-test",
        f"{sys.executable} -c 'import time; time.sleep(3)' '/usr/bin/python3(mitogen:root@controller:1)'",
        "/mnt/apt-get 3",
    ],
)
def test_what_is_still_at_work_is_waited_for(program: str) -> None:
    prepared = "mount -t tmpfs none /mnt; cp /usr/bin/sleep /mnt/apt-get"
    at_work = f"until pgrep -x 'apt-get|{Path(sys.executable).name}' > /dev/null; do sleep 0.05; done"
    busy = (*HERE, f'{prepared}; {program} & {at_work}; exec sh -c "$0"')
    began = time.monotonic()
    settling.settle({"one": busy}, lambda _text: None)
    assert time.monotonic() - began > 2.9


def test_a_host_that_does_not_come_to_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WAIT", f"exit {settling._STILL_AT_WORK}")
    with pytest.raises(PlaybookError, match="at work on one, two"):
        settling.settle({"one": HERE, "two": HERE}, lambda _text: None)


def test_a_host_that_does_not_answer_is_left_to_preflight() -> None:
    settling.settle({"one": ("sh", "-c", "exit 255")}, lambda _text: None)
