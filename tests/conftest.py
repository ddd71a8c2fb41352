"""What all tests need of the machine they run on."""

from __future__ import annotations

import sys
from typing import Final

import pytest

from installer.controller.commands import Job, ensure_commands
from installer.errors import ConfigurationError

# Files for a copy of the checkout; here their tests would look for hosts that do not exist.
collect_ignore = ["toy_service"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install, once and before any worker starts, the programs that the product calls and this machine lacks."""
    if hasattr(session.config, "workerinput"):
        return
    try:
        ensure_commands(Job, _say)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{error.message}; {error.hint}") from error


# What takes longest comes first, so that no worker is left alone with it at the end; the rest by name.
_LONGEST_FIRST: Final = (
    "tests/site/test_hospital_a.py",
    "tests/site/test_interrupted.py",
    "tests/roles/",
    "tests/site/",
    "tests/gates/",
)
# Both work on this one site, and only one may at a time.
_ONE_SITE: Final = frozenset({"test_hospital_a.py", "test_interrupted.py"})


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, because they share hosts; scenarios and gates share nothing."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        group = "hospital-a" if item.path.name in _ONE_SITE else str(item.path)
        if item.path.parent.name in {"roles", "gates"} and parameters is not None:
            group = f"{item.path.parent.name} {parameters.id}"
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    name = str(item.path.relative_to(item.config.rootpath))
    return next((turn for turn, prefix in enumerate(_LONGEST_FIRST) if name.startswith(prefix)), len(_LONGEST_FIRST))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
