"""The one writer: results to stdout, talk to stderr, no secret in either or in the log."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from installer.errors import InstallerError

HIDDEN: Final = "[hidden]"
_SHORTEST_SECRET: Final = 4
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CODES: Final = {"": "", "bold": "1", "yellow": "33", "bold red": "1;31"}


class Terminal:
    """Everything the program says goes through here, so that no secret gets past.

    Attributes:
        output: `text`, or `json` for exactly one JSON object on stdout at the end.
        interactive: Whether talk goes to a terminal that may be redrawn.
        documented: Whether the JSON object was printed.
    """

    def __init__(
        self,
        *,
        output: Literal["text", "json"] = "text",
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write to the given streams, or to the process's own."""
        env = os.environ if environment is None else environment
        self.output = output
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self._plain = bool(env.get("NO_COLOR")) or env.get("TERM", "dumb") == "dumb"
        self.interactive = not self._plain and self._stderr.isatty()
        self.documented = False
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._log: TextIO | None = None
        self._printer: Callable[[str], None] | None = None

    # What may not be shown

    def hide(self, values: Iterable[str]) -> None:
        """Never show these values from now on, whole or inside other text."""
        self._secrets.update(value for value in values if len(value) >= _SHORTEST_SECRET)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def redact(self, text: str) -> str:
        """The text with every hidden value replaced."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    # Talk

    def say(self, message: str) -> None:
        """Tell what is going on."""
        self._talk("info", message)

    def step(self, message: str) -> None:
        """Tell that a new part of the work begins."""
        self._talk("step", message, prefix="==> ", style="bold")

    def warn(self, message: str) -> None:
        """Tell of something the operator should look at, though the work goes on."""
        self._talk("warning", message, prefix="warning: ", style="yellow")

    def error(self, error: InstallerError) -> None:
        """Tell what is wrong, and on a second line what to do."""
        self._talk("error", error.message, prefix="error: ", style="bold red")
        if error.hint:
            self._talk("hint", error.hint, prefix="to do: ")

    def _talk(self, level: str, message: str, *, prefix: str = "", style: str = "") -> None:
        text = self.redact(message)
        self._record(level, text)
        if self.interactive and style:
            prefix = f"\x1b[{_CODES[style]}m{prefix}\x1b[0m"
        if self._printer is not None:
            self._printer(f"{prefix}{text}")
            return
        self._stderr.write(f"{prefix}{text}\n")
        self._stderr.flush()

    @contextmanager
    def printing_through(self, printer: Callable[[str], None]) -> Iterator[None]:
        """Let a display that redraws itself print the talk above its picture while the block runs."""
        self._printer = printer
        try:
            yield
        finally:
            self._printer = None

    # Results

    def result(self, text: str) -> None:
        """Print a result: on stdout, or as talk when stdout belongs to the JSON object."""
        stream = self._stdout if self.output == "text" else self._stderr
        stream.write(self.redact(text) + "\n")
        stream.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a result as a table; words such as `ok` or `failed` get their colour."""
        stream = self._stdout if self.output == "text" else self._stderr
        columns = [self.redact(column) for column in columns]
        cells = [[self.redact(cell) for cell in row] for row in rows]
        if self._plain or not stream.isatty():
            stream.write(_plain_table(columns, cells))
            stream.flush()
            return
        from installer.console.tables import print_table  # noqa: PLC0415 - rich costs 60 ms that most commands can save

        print_table(stream, columns, cells)

    def document(self, value: Mapping[str, Any]) -> None:
        """Print the one JSON object of `--output json`; in text mode nothing is printed."""
        if self.output == "json":
            self._stdout.write(self.redact(json.dumps(value, ensure_ascii=False, default=str)) + "\n")
            self._stdout.flush()
            self.documented = True

    # The log

    @contextmanager
    def logging_to(self, path: Path) -> Iterator[None]:
        """Also keep everything that is said in a JSON-lines file only root can read."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            self._log = file
            try:
                yield
            finally:
                self._log = None

    def note(self, message: str, **details: object) -> None:
        """Keep something in the log only."""
        self._record("debug", self.redact(message), **details)

    def _record(self, level: str, message: str, **details: object) -> None:
        if self._log is not None:
            entry = {"at": datetime.now(UTC).isoformat(), "level": level, "message": message}
            line = json.dumps(entry | details, ensure_ascii=False, default=str)
            self._log.write(self.redact(line) + "\n")
            self._log.flush()

    @property
    def talk_stream(self) -> TextIO:
        """Where talk goes, for a display that redraws itself there."""
        return self._stderr


def without_escapes(text: str) -> str:
    """The text without terminal control sequences and carriage returns."""
    return _ESCAPES.sub("", text).replace("\r", "")


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of padded text; the last one is not padded."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = [columns, ["-" * width for width in widths], *rows]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
