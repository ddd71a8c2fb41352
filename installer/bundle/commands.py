"""Run the programs a bundle build needs; when one fails or the operator stops, all of them end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SECONDS: Final = 1800
_SHOWN_CHARACTERS: Final = 400
# When this process is killed outright, an apt that went on would be in the way of the next build.
_DIE_WITH_US: Final = ("setpriv", "--pdeathsig=TERM")


class Commands:
    """The child processes of one build, which runs several at the same time."""

    def __init__(self) -> None:
        """Start with no child."""
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(
        self,
        argv: Sequence[str],
        *,
        doing: str,
        hint: str,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> str:
        """Run a program to its end and return what it printed.

        Args:
            argv: The program and its arguments; there is no shell.
            doing: What it is for, as the subject of an error text.
            hint: What the operator can do when it fails.
            directory: Where it runs.
            environment: Variables besides the installer's own.
            log: File that gets all it printed.

        Raises:
            BundleError: If it failed, took too long or was stopped.
        """
        child = self._start(argv, directory, environment)
        try:
            output, complaints = child.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            _end(child)
            child.communicate()
            raise BundleError(f"{doing} took more than {_SECONDS // 60} minutes", hint=hint) from None
        finally:
            with self._lock:
                self._children.discard(child)
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(output + complaints, encoding="utf-8")
        if child.returncode != 0:
            where = f" (all of it: {log})" if log is not None else ""
            reason = _reason(complaints or output) or f"{argv[0]} ended with {child.returncode}"
            raise BundleError(f"{doing} failed: {reason}", hint=f"{hint}{where}")
        return output

    def stop(self) -> None:
        """End every child and its own children, and let no further one start."""
        with self._lock:
            self._stopped = True
            for child in self._children:
                _end(child)

    def _start(
        self, argv: Sequence[str], directory: Path | None, environment: Mapping[str, str] | None
    ) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise BundleError("the build was stopped", hint="run the same command again; it resumes")
            child = subprocess.Popen(  # noqa: S603 - no shell, the arguments are our own
                [*_DIE_WITH_US, *argv],
                cwd=directory,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # so that a build tool's own children can be ended with it
            )
            self._children.add(child)
            return child


def _end(child: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):  # it ended by itself in this moment
        os.killpg(child.pid, signal.SIGTERM)


def _reason(text: str) -> str:
    """The lines that say what went wrong: those marked as errors, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "ERROR", "[ERROR]", "npm error", "error:"))]
    return "; ".join(dict.fromkeys(errors or lines[-1:]))[:_SHOWN_CHARACTERS]
