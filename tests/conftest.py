"""What all tests need of the machine they run on."""

from __future__ import annotations

import sys
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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
    "tests/site/hospital_a/",
    "tests/site/test_interrupted.py",
    "tests/roles/",
    "tests/site/",
    "tests/gates/",
)
# Both work on this one site, and only one may at a time.
_ONE_SITE: Final = ("tests/site/hospital_a/", "tests/site/test_interrupted.py")
# Its tests boot hosts; some look at what else of this product runs on the machine.
_ONE_BY_ONE: Final = "tests/unit/hosts/"
# Each of their parameters has hosts, or a program, of its own.
_APART: Final = ("tests/roles/", "tests/gates/")


class TogetherByHosts(LoadScopeScheduling):  # type: ignore[misc]  # published without types
    """Gives one worker all tests that share hosts.

    xdist's own `loadgroup` writes the group into the private half of a test's id, which pytest 9.2 no longer reads:
    with it every test was a group of its own.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_ONE_SITE):
            return "hospital-a"
        if nodeid.startswith(_ONE_BY_ONE):
            return _ONE_BY_ONE
        return nodeid if nodeid.startswith(_APART) else nodeid.split("::", 1)[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TogetherByHosts:
    """Distribute tests over the workers by what they share."""
    return TogetherByHosts(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first."""
    items.sort(key=lambda item: _turn(item.nodeid))


def _turn(nodeid: str) -> int:
    return next((turn for turn, prefix in enumerate(_LONGEST_FIRST) if nodeid.startswith(prefix)), len(_LONGEST_FIRST))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
