"""What several unit tests need."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder for Ansible's sockets; a path of pytest's own is longer than the kernel allows for a socket."""
    with tempfile.TemporaryDirectory(prefix="sw-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
