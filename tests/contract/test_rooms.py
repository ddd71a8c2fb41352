"""What a room offers at its door (`__all__`) is there; neither ruff nor mypy looks at that in an `__init__.py`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import installer

ROOMS = sorted(found.name for found in pkgutil.walk_packages(installer.__path__, "installer.") if found.ispkg)


def test_rooms_are_found() -> None:
    assert "installer.rehearsal" in ROOMS


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_offers_no_name_it_does_not_have(name: str) -> None:
    room = import_module(name)
    assert [offered for offered in getattr(room, "__all__", ()) if not hasattr(room, offered)] == []
