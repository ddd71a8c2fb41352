"""Playbooks a killed installer left behind: found by what the guard wrote down, and ended."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Final

from installer.errors import PlaybookError
from installer.playbooks import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

RECORD: Final = "processes.json"
_SECONDS: Final = 20.0


def end_orphans(runs: Path, *, say: Callable[[str], None]) -> None:
    """End what a killed installer left behind, and wait until it is gone.

    Raises:
        PlaybookError: If a process does not end.
    """
    records = [record for record in runs.glob(f"*/*/{RECORD}") if _alive(record)]
    if not records:
        return
    say(f"ending {len(records)} playbook(s) that an interrupted run left behind")
    for record in records:
        if "guard" in _processes(record):
            signal_recorded(record, "guard", signal.SIGTERM)
        else:
            signal_recorded(record, "command", signal.SIGKILL, with_descendants=True)
    _wait_for(records, _SECONDS)
    left = [record for record in records if _alive(record)]
    for record in left:
        for who in ("guard", "command"):
            signal_recorded(record, who, signal.SIGKILL, with_descendants=True)
    _wait_for(left, _SECONDS)
    for record in left:
        if _alive(record):
            raise PlaybookError(
                f"a playbook of an interrupted run does not end ({record.parent})",
                hint=f"look at the processes named in {record} and end them",
            )


def _wait_for(records: Iterable[Path], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_alive(record) for record in records):
        time.sleep(0.1)


def _processes(record: Path) -> dict[str, int]:
    """The recorded processes that still are the same ones."""
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        who: entry["pid"]
        for who, entry in document.items()
        if entry["identity"] and guard.identity(entry["pid"]) == entry["identity"]
    }


def _alive(record: Path) -> bool:
    return bool(_processes(record))


def signal_recorded(record: Path, who: str, number: signal.Signals, *, with_descendants: bool = False) -> None:
    """Signal the `guard` or the `command` of a record, if it still is the same process."""
    pid = _processes(record).get(who)
    if pid is not None:
        guard.send({pid} | (guard.descendants(pid) if with_descendants else set()), number)
