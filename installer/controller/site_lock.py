"""One run per site at a time; a second one is refused at once, with who is at work."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK: Final = "run.lock"


@contextmanager
def site_lock(state: Path, *, site: str, purpose: str) -> Iterator[None]:
    """Hold the site for as long as the block runs; the kernel lets go of it when we die.

    The kernel's own lock is used rather than the filelock package, which refuses to let other
    threads start a child process while it works (measured; see docs/decisions).

    Raises:
        ConfigurationError: If another run holds it.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another run is at work on {site}: {_describe(file.read())}",
                hint="wait until it has ended, or stop it with Ctrl-C where it runs",
            ) from None
        since = datetime.now(UTC).isoformat(timespec="seconds")
        file.truncate()
        file.write(json.dumps({"pid": os.getpid(), "since": since, "purpose": purpose}))
        file.flush()
        yield


def _describe(holder: str) -> str:
    try:
        known = json.loads(holder)
    except ValueError:
        return "it has only just begun"
    return f"{known['purpose']}, process {known['pid']}, since {known['since']}"
