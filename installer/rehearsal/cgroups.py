"""One control group per host: whatever runs in a host is found and ended by it.

Process ids are never written down, so nothing can go stale and no foreign process can be hit.
Without a group of its own each host's systemd would also share service groups with all others.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError, PlaybookError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNTS: Final = Path("/proc/self/mountinfo")
_TOP: Final = "sitewright"
_END_SECONDS: Final = 20.0
_REAP_SECONDS: Final = 2.0


def site_group(site: str) -> Path:
    """The control group all hosts of a rehearsal are below."""
    return _mount_point() / _TOP / site


def create_group(group: Path) -> None:
    """Make a control group and hand the kernel's controllers down to it."""
    while not group.is_dir():
        with contextlib.suppress(FileNotFoundError):  # the last of another checkout's hosts removed our top group
            group.mkdir(parents=True, exist_ok=True)
    for parent in (group.parent.parent, group.parent):
        available = (parent / "cgroup.controllers").read_text(encoding="ascii").split()
        enabled = (parent / "cgroup.subtree_control").read_text(encoding="ascii").split()
        missing = [f"+{name}" for name in available if name not in enabled]
        if missing:
            (parent / "cgroup.subtree_control").write_text(" ".join(missing), encoding="ascii")


def processes(group: Path) -> Iterator[int]:
    """Every process in a group and the groups below it."""
    for folder in _walk(group):
        yield from members(folder)


def members(group: Path) -> list[int]:
    """The processes of a group itself; none when it is not there or was removed in this moment."""
    try:
        text = (group / "cgroup.procs").read_text(encoding="ascii")
    except OSError:
        return []
    # A process of another process-id namespace shows as 0.
    return [int(line) for line in text.split() if line != "0"]


def kill_group(group: Path) -> None:
    """End every process of a group at once and remove the group.

    Raises:
        PlaybookError: If a process hangs in the kernel and does not end.
    """
    if not group.is_dir():
        return
    ending = list(processes(group))
    (group / "cgroup.kill").write_text("1", encoding="ascii")
    deadline = time.monotonic() + _END_SECONDS
    while is_populated(group):
        if time.monotonic() > deadline:
            left = ", ".join(str(pid) for pid in processes(group))
            raise PlaybookError(
                f"processes of the rehearsal do not end: {left}",
                hint="see `cat /proc/PID/stack` for what they wait, then run the same command again",
            )
        time.sleep(0.02)
    _wait_until_reaped(ending)
    relative = group.relative_to(_mount_point())
    _remove(group)
    # Where systemd has a hierarchy of version 1 as well, systemd-nspawn makes each group there, too.
    if (old := _mounted("cgroup", "name=systemd")) is not None:
        _remove(old / relative)


def _remove(group: Path) -> None:
    """Remove a group without processes and all below it, and our top group when nothing else is in it."""
    for folder in reversed(list(_walk(group))):
        folder.rmdir()
    if group.parent.name == _TOP:
        with contextlib.suppress(OSError):  # not there, or another rehearsal is below it or begins just now
            group.parent.rmdir()


def _wait_until_reaped(pids: list[int]) -> None:
    """Dead processes stay listed until this machine's init has noticed; give it a moment."""
    deadline = time.monotonic() + _REAP_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def is_populated(group: Path) -> bool:
    """Whether any process runs in a group or below it."""
    return group.is_dir() and "populated 1" in (group / "cgroup.events").read_text(encoding="ascii")


def _walk(group: Path) -> Iterator[Path]:
    """A group and all below it, parents first; a running host removes groups of its own at any moment."""
    try:
        children = sorted(entry for entry in group.iterdir() if entry.is_dir())
    except FileNotFoundError:
        return
    yield group
    for child in children:
        yield from _walk(child)


def _mounted(kind: str, option: str = "rw") -> Path | None:
    """The first mount of a kind of file system with an option."""
    for line in _MOUNTS.read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ", 1)
        filesystem, _, options = right.split(" ", 2)  # the middle one, the device, may be empty
        if filesystem == kind and option in options.split(","):
            return Path(left.split()[4])
    return None


def _mount_point() -> Path:
    """Where the one hierarchy of control groups is; also found beside the old ones."""
    found = _mounted("cgroup2")
    if found is not None:
        return found
    raise ConfigurationError(
        "this machine has no control groups of version 2",
        hint="rehearse on a Linux machine with systemd, or mount them: mount -t cgroup2 none /sys/fs/cgroup",
    )
