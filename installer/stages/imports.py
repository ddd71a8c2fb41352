"""Which modules of the installer other code imports, and those again: read from the source, nothing is run.

Import statements are found by their form, because parsing 70 files would cost every operation 0.4 s (measured). What
only looks like one, in a docstring, adds a file too many, never leaves one out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

PACKAGE: Final = "installer"
# Who imports by name at run time may import anything of its own folder: `services` finds its files by looking.
_BY_NAME: Final = "importlib"
# What only a type checker reads, up to the next line that is not indented.
_FOR_TYPES: Final = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)
_STATEMENT: Final = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<base>[\w.]+)[ \t]+import[ \t]+(?P<names>\([^)]*\)|[^\n#]+)"
    r"|import[ \t]+(?P<modules>[^\n#]+))",
    re.MULTILINE,
)


def imported_files(sources: Iterable[Path], root: Path) -> set[Path]:
    """Files of the package `installer` that these sources load, directly or through each other.

    Args:
        sources: Python files, of the package or not.
        root: The checkout.
    """
    found: set[Path] = set()
    waiting = list(sources)
    while waiting:
        source = waiting.pop()
        fresh = set(_loads(source, root)) - found
        found |= fresh
        waiting += fresh
    return found


def _loads(source: Path, root: Path) -> Iterator[Path]:
    """What one file loads of the package."""
    inside = (root / PACKAGE) in source.parents
    for name in _imports(source, root):
        if name[0] == PACKAGE:
            yield from _files_of(name, root)
        elif inside and name[0] == _BY_NAME:
            yield from source.parent.rglob("*.py")


def _imports(source: Path, root: Path) -> Iterator[tuple[str, ...]]:
    """Every name that is imported, in parts; the last of a `from` may be a module or something in one."""
    for match in _STATEMENT.finditer(_FOR_TYPES.sub("", source.read_text(encoding="utf-8"))):
        if match["modules"]:
            yield from (tuple(_word(module).split(".")) for module in match["modules"].split(","))
            continue
        dots = len(match["base"]) - len(match["base"].lstrip("."))
        package = source.relative_to(root).parts[:-dots] if dots else ()
        base = (*package, *match["base"].strip(".").split("."))
        yield from ((*filter(None, base), _word(name)) for name in match["names"].strip("()").split(","))


def _word(text: str) -> str:
    """The name itself, without `as` and what follows."""
    words = text.split()
    return words[0] if words else ""


def _files_of(name: Sequence[str], root: Path) -> Iterator[Path]:
    """The module of this name, and the packages it stands in."""
    for length in range(1, len(name) + 1):
        path = root.joinpath(*name[:length])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                yield file
