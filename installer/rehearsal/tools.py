"""Calls of system programs with an environment that leaks nothing of the controller's."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

from installer.errors import PlaybookError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean_environment(**extra: str) -> dict[str, str]:
    """No proxy, no locale, no token of the operator's reaches a rehearsal host."""
    terminal = os.environ.get("TERM", "dumb")
    return {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": terminal, **extra}


def without_proxies() -> dict[str, str]:
    """The operator's environment, less the proxies that would lead out of the rehearsal."""
    return {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}


def call(argv: Sequence[str], *, purpose: str, cwd: Path | None = None, seconds: float = 60, **extra: str) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        PlaybookError: If it failed; the message says what it was for and its last complaint.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours
            argv,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env=clean_environment(**extra),
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise PlaybookError(
            f"cannot {purpose}: {argv[0]} did not finish in {seconds:.0f} s",
            hint="see whether this machine is overloaded, then run the same command again",
        ) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        detail = lines[-1] if lines else f"{argv[0]} ended with {done.returncode}"
        raise PlaybookError(
            f"cannot {purpose}: {detail}",
            hint="run `./install rehearse down`, then the same command again",
        )
    return done.stdout
