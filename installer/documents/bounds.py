"""How much a file may hold before anybody reads it as YAML: kind, size, depth, and what aliases expand to.

A composer follows what a file says, one level of the stack per level of the file and one copy per alias. These
bounds are therefore checked on the parser's events, which need neither.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# A site of forty hosts with every setting written takes 40 kB, 2 500 values and 8 levels.
LARGEST_BYTES: Final = 1024 * 1024
MOST_VALUES: Final = 20_000
MOST_LEVELS: Final = 32

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotReadableError(Exception):
    """A file that is not read.

    Attributes:
        what: What is wrong with it; continues a sentence that begins with its name.
        fix: What to do.
        line: Where, when it is about a line.
    """

    def __init__(self, what: str, fix: str, line: int | None = None) -> None:
        """Keep the three apart."""
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.line = line


def read_text(path: Path) -> str:
    """The text of an ordinary file of bearable size; nothing else is opened, so nothing can block.

    Raises:
        NotReadableError: If it is no such file, or cannot be read.
    """
    try:
        _refuse_kind(path.stat().st_mode)
        # What it is can change between the look and the opening; without waiting, the worst is a second look.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            _refuse_kind(os.fstat(handle).st_mode)
            content = stream.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise NotReadableError(f"is larger than {LARGEST_BYTES // 1024} kB", "allowed: at most 1024 kB per file")
        return content.decode("utf-8")
    except FileNotFoundError:
        if path.is_symlink():
            raise NotReadableError("is a link to a file that does not exist", "correct or remove the link") from None
        raise NotReadableError("does not exist", "create the file") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise NotReadableError("is not a file", "make it an ordinary text file") from error
        raise NotReadableError(f"cannot be read: {error.strerror}", "make it a readable UTF-8 text file") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        what = f"cannot be read: byte {error.object[error.start]:#04x} is not UTF-8"
        raise NotReadableError(what, "make it a readable UTF-8 text file", line) from error


def _refuse_kind(mode: int) -> None:
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise NotReadableError(f"is {name}", "allowed: an ordinary file, or a link to one")


def check_growth(events: Iterable[yaml.Event]) -> None:
    """Refuse a text that nests too deep, or whose aliases make more of it than anybody wrote.

    Args:
        events: What the parser meets in the text.

    Raises:
        NotReadableError: With the line at which the bound is passed.
        yaml.YAMLError: If it is not YAML.
    """
    sizes: dict[str, int] = {}  # what each finished anchor expands to
    opened: list[tuple[str | None, int]] = []  # anchor of each level, and the values before it
    total = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            total += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if len(opened) <= MOST_LEVELS and total <= MOST_VALUES:
            continue
        line = None if event.start_mark is None else event.start_mark.line + 1
        if len(opened) > MOST_LEVELS:
            raise NotReadableError(
                f"nests deeper than {MOST_LEVELS} levels", f"allowed: at most {MOST_LEVELS} levels", line
            )
        what = f"holds more than {MOST_VALUES} values, those that aliases repeat counted each time"
        raise NotReadableError(what, f"allowed: at most {MOST_VALUES} values per file", line)
