r"""Make a picture of what a command shows on a terminal while it really runs.

    python docs/pictures/record.py docs/pictures/install.svg --when "engine:" -- \
        ./install --inventory hospital-a --rehearse

The picture is the screen at the moment the words first stand on it, plus a few seconds; the command runs to its end.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

COLUMNS: Final = 118
ROWS: Final = 48
_SECONDS_AFTER: Final = 4.0
_SHOWN_ROWS: Final = 30
_CONTROL: Final = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
_FONT_FACES: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)
# Where a checkout lies on a controller; where this one does is nobody's business.
_CHECKOUT: Final = "/srv/sitewright"


class Screen:
    """As much of a terminal as a redrawn table needs: lines with their colours, cursor up, erase line."""

    def __init__(self) -> None:
        """An empty screen."""
        self.lines = [""]
        self._row = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take what the program wrote."""
        text = self._rest + text
        position = 0
        while position < len(text):
            if text[position] == "\x1b":
                control = _CONTROL.match(text, position)
                if control is None:
                    break  # the rest of the sequence comes with the next read
                self._control(*control.groups())
                position = control.end()
                continue
            self._character(text[position])
            position += 1
        self._rest = text[position:]

    def _control(self, numbers: str, letter: str) -> None:
        if letter == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif letter == "K":
            self.lines[self._row] = ""
        elif letter == "m":
            self.lines[self._row] += f"\x1b[{numbers}m"

    def _character(self, character: str) -> None:
        if character == "\n":
            self._row += 1
            if self._row == len(self.lines):
                self.lines.append("")
        elif character != "\r":
            self.lines[self._row] += character

    def shows(self, words: str) -> bool:
        """Whether the words stand on one of its last lines."""
        return any(words in _CONTROL.sub("", line) for line in self.lines[-ROWS:])


def svg(lines: list[str], title: str) -> str:
    """The lines as a picture of a terminal, without a font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line.replace(str(Path.cwd()), _CHECKOUT)), soft_wrap=True)
    return _FONT_FACES.sub("", console.export_svg(title=title))


def record(command: list[str], words: str) -> list[str]:
    """Run the command to its end on a terminal of its own; the screen when the words were on it.

    Raises:
        SystemExit: If the command fails or never shows the words.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)  # noqa: S606 - the caller's own command
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    screen = Screen()
    seen: float | None = None
    picture: list[str] = []
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        screen.feed(read.decode("utf-8", "replace"))
        if seen is None and screen.shows(words):
            seen = time.monotonic()
        if seen is not None and not picture and time.monotonic() - seen > _SECONDS_AFTER:
            picture = [line for line in screen.lines[-_SHOWN_ROWS:] if _CONTROL.sub("", line).strip()]
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0 or not picture:
        sys.exit(f"{command[0]} ended with {code}; {'shown' if picture else 'never shown'}: {words}")
    return picture


def main() -> None:
    """Read the command line and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--when", required=True, help="words that must stand on the screen")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    lines = record(given.command, given.when)
    given.picture.write_text(svg(lines, " ".join(given.command)), encoding="utf-8")


if __name__ == "__main__":
    main()
