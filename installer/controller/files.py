"""Files that are either the old ones or the new ones, never something between; folders for sockets."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# The kernel takes 107 bytes as the path of a socket, gpg-agent 106: so much is left when our folder's name
# (23 with its random part) and the longest name in it (S.gpg-agent.browser) stand behind it.
_ROOM: Final = 62
_SHORT: Final = "/tmp"  # noqa: S108 - mkdtemp makes a folder of an unguessable name in it, for its owner alone


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file in one step; it has its mode from its first moment and survives a power cut."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def sockets_home(prefix: str) -> Iterator[Path]:
    """A private folder for a task's sockets, gone with the task: in TMPDIR, or in /tmp when that path is too long."""
    usual = tempfile.gettempdir()
    home = Path(tempfile.mkdtemp(prefix=prefix, dir=usual if len(os.fsencode(usual)) <= _ROOM else _SHORT))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _sync(directory: Path) -> None:
    """Make the new name itself durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
