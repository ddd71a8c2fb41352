"""Looking at the control groups of a host that runs, and so makes and removes groups of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from installer.rehearsal import cgroups

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 300


def test_groups_that_vanish_while_they_are_looked_at_are_no_error(tmp_path: Path) -> None:
    stopped = threading.Event()

    def come_and_go() -> None:
        while not stopped.is_set():
            for number in range(20):
                (tmp_path / f"session-{number}.scope").mkdir()
            for number in range(20):
                (tmp_path / f"session-{number}.scope").rmdir()

    (tmp_path / "cgroup.procs").write_text("0\n41\n")
    host = threading.Thread(target=come_and_go)
    host.start()
    try:
        seen = [list(cgroups.processes(tmp_path)) for _ in range(ROUNDS)]
    finally:
        stopped.set()
        host.join()
    assert seen == [[41]] * ROUNDS
