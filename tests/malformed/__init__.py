"""Inventories that must be refused: each a good one of this repository, spoiled in one place.

A case names what is wrong, spoils a copy, and says which words the refusal must hold. `run` plays them within limits of
time and memory; `tests/unit/test_malformed_inventories.py` asks for the results.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
HOSTS: Final = "hosts.yml"
SITE: Final = "group_vars/all/site.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to spoil an inventory.

    Attributes:
        name: What is wrong with it.
        spoil: Spoils the copy in a folder.
        words: What the refusal must say, all of them.
        site: The inventory that is copied.
        whole: Also play it through the real command line.
    """

    name: str
    spoil: Callable[[Path], object]
    words: tuple[str, ...]
    site: str = "clinic"
    whole: bool = False


def copy(case: Case, folder: Path) -> Path:
    """Copy the case's inventory below a folder, spoil it, and say where it is.

    Args:
        case: The case.
        folder: An empty folder; the inventory's neighbours are looked at as well.
    """
    inventory = folder / case.site
    shutil.copytree(ROOT / "inventories" / case.site, inventory)
    case.spoil(inventory)
    return inventory


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Replace a text of a file by another, everywhere."""

    def spoil(folder: Path) -> None:
        path = folder / file
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise AssertionError(f"{file} has no {old!r}")
        path.write_text(text.replace(old, new), encoding="utf-8")

    return spoil


def append(file: str, text: str) -> Callable[[Path], None]:
    """Add to the end of a file, which may be a new one."""

    def spoil(folder: Path) -> None:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)

    return spoil


def write(file: str, content: bytes) -> Callable[[Path], None]:
    """Replace a file."""

    def spoil(folder: Path) -> None:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return spoil
