"""What all tests need of the machine they run on."""

from __future__ import annotations

import sys

import pytest

from installer.controller.commands import Job, ensure_commands
from installer.errors import ConfigurationError


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install, once and before any worker starts, the programs that the product calls and this machine lacks."""
    if hasattr(session.config, "workerinput"):
        return
    try:
        ensure_commands(Job, _say)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{error.message}; {error.hint}") from error


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
