"""What several unit tests need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from installer.controller.files import sockets_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder for sockets; a path of pytest's own is longer than the kernel allows for one."""
    with sockets_home("sw-") as folder:
        yield folder
