"""Tables for people in front of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLES: Final = {
    **dict.fromkeys(("ok", "done", "passed", "running"), "green"),
    **dict.fromkeys(("changed", "waived", "interrupted", "degraded"), "yellow"),
    **dict.fromkeys(("failed", "unreachable"), "bold red"),
    **dict.fromkeys(("done before", "not run"), "dim"),
}


def print_table(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the terminal; words such as `ok` or `failed` get their colour."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    Console(file=stream).print(table)
