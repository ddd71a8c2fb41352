"""The host that the tests of modules in this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.module_on_host import ModuleHost, module_host


@pytest.fixture(scope="session")
def host() -> Iterator[ModuleHost]:
    """One host with the collection's modules; each test leaves it as it was."""
    with module_host() as booted:
        yield booted
