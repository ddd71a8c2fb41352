"""Start the program and turn whatever ends it into an exit code and at most two lines."""

from __future__ import annotations

import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from installer.cli import cli
from installer.console.terminal import Terminal
from installer.controller.paths import Paths
from installer.errors import EXIT_INTERRUPTED, ConfigurationError, InstallerError, InterruptedRunError
from installer.operations.command_line import Program

if TYPE_CHECKING:
    from types import FrameType


def main(arguments: list[str]) -> int:
    """Run the program; the exit code."""
    terminal = Terminal()
    program = None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        program = Program(terminal, Paths.from_environment(), tuple(arguments))
        ended = cli.main(args=arguments, prog_name="./install", obj=program, standalone_mode=False)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return _refuse(terminal, program, InterruptedRunError("interrupted", hint="the same command resumes"))
    except Exception as error:  # the last resort: whatever it is, it ends as two lines and an exit code
        return _refuse(terminal, program, _in_our_form(terminal, error))
    return ended if isinstance(ended, int) else program.exit_code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _refuse(terminal: Terminal, program: Program | None, error: InstallerError) -> int:
    """Say what is wrong and what to do; with `--output json` on stdout as well."""
    terminal.error(error)
    if not terminal.documented:
        result = "interrupted" if error.exit_code == EXIT_INTERRUPTED else "failed"
        about = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        verb, site = (program.verb, program.inventory) if program is not None else ("", "")
        terminal.document({"operation": verb, "site": site, "result": result, "error": about})
    return error.exit_code


def _in_our_form(terminal: Terminal, error: Exception) -> InstallerError:
    """Any error as one that can be shown."""
    if isinstance(error, InstallerError):
        return error
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "./install"
        return ConfigurationError(error.format_message(), hint=f"see: {command} --help")
    return _defect(terminal, error)


def _defect(terminal: Terminal, error: Exception) -> InstallerError:
    """A defect of ours: keep the traceback, redacted, for the report."""
    text = terminal.redact("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile(
        "w", prefix="sitewright-defect-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return InstallerError(
        f"a defect of the installer: {type(error).__name__}: {error}",
        hint=f"please report it with {Path(file.name)}",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
