"""One run per site: the second is refused at once, a dead holder holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from installer.controller.site_lock import site_lock
from installer.errors import ConfigurationError

HOLD = (
    "import sys, time; from pathlib import Path; from installer.controller.site_lock import site_lock\n"
    "with site_lock(Path(sys.argv[1]), site='s', purpose='install'): print('held', flush=True); time.sleep(60)"
)


def hold_elsewhere(state: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(state)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def test_a_second_run_is_refused_at_once_with_who_is_at_work(tmp_path: Path) -> None:
    process = hold_elsewhere(tmp_path)
    try:
        began = time.monotonic()
        with pytest.raises(ConfigurationError) as refused, site_lock(tmp_path, site="s", purpose="plan"):
            pass
        assert time.monotonic() - began < 1
        assert f"install, process {process.pid}, since 20" in refused.value.message
    finally:
        process.kill()
        process.wait()


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    process = hold_elsewhere(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with site_lock(tmp_path, site="s", purpose="install"):
        pass


def test_runs_one_after_the_other_are_fine(tmp_path: Path) -> None:
    for _ in range(2):
        with site_lock(tmp_path / "new", site="s", purpose="install"):
            pass
