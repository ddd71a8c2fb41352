"""The command line: every command helps, every mistake is two lines, nothing is loaded in vain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from installer.cli import cli
from installer.console.terminal import Terminal
from installer.controller.paths import Paths
from installer.errors import InstallerError
from installer.operations.command_line import Program
from installer.operations.request import INSIDE_VARIABLE, STARTED_VARIABLE

ROOT = Path(__file__).resolve().parents[2]


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *path, name)


EVERY = list(commands(cli))


def install(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "installer", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) or "install" for path, _ in EVERY])
def test_every_command_and_option_has_help(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help, path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_only_verbs_that_work_are_shown() -> None:
    assert sorted(" ".join(path) for path, _ in EVERY if path) == [
        "audit",
        "bundle",
        "bundle build",
        "bundle diff",
        "bundle inspect",
        "bundle verify",
        "plan",
        "preflight",
        "rehearse",
        "rehearse down",
        "rehearse exec",
        "rehearse list",
        "rehearse run",
        "rehearse up",
        "rotate",
        "rotate certificates",
        "status",
        "verify",
    ]


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from installer.__main__ import main; main(['--help']);"
        "heavy = {'pydantic', 'rich', 'ansible_runner', 'cryptography', 'psycopg', 'yaml', 'asyncio'};"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "wrong", "advice"),
    [
        ((), "--inventory SITE is missing", "see: ./install --help"),
        (("plan",), "--inventory SITE is missing", "see: ./install plan --help"),
        (("plan", "--colour"), "No such option '--colour'", "see: ./install plan --help"),
        (("upgrade",), "No such command 'upgrade'", "see: ./install --help"),
        (("--inventory", "hospital-b"), "hospital-b: is not an inventory folder", "did you mean hospital-a?"),
        (("--output", "xml"), "'xml' is not one of", "see: ./install --help"),
    ],
)
def test_a_mistake_ends_with_2_and_two_lines(
    tmp_path: Path, arguments: tuple[str, ...], wrong: str, advice: str
) -> None:
    ended = install(*arguments, SITEWRIGHT_STATE=str(tmp_path))
    assert ended.returncode == 2
    assert ended.stdout == ""
    first, second = ended.stderr.splitlines()
    assert first.startswith("error: ")
    assert wrong in first
    assert second == f"to do: {advice}"


@pytest.mark.parametrize(
    "words",
    [("plan", "--inventory", "nowhere", "--output", "json"), ("--output", "json", "plan", "--inventory", "nowhere")],
)
def test_with_json_a_mistake_is_one_object_too(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = install(*words, SITEWRIGHT_STATE=str(tmp_path))
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["error"]["exit_code"]) == (2, 2)
    assert (document["operation"], document["site"], document["result"]) == ("plan", "nowhere", "failed")
    assert "is not an inventory folder" in document["error"]["message"]


def test_a_missing_bundle_ends_with_6(tmp_path: Path) -> None:
    ended = install("bundle", "verify", str(tmp_path / "none"), SITEWRIGHT_STATE=str(tmp_path))
    assert ended.returncode == 6
    assert len(ended.stderr.splitlines()) == 2


def test_options_before_the_verb_hold_for_the_verb(tmp_path: Path) -> None:
    before = install("--inventory", "nowhere", "plan", SITEWRIGHT_STATE=str(tmp_path))
    after = install("plan", "--inventory", "nowhere", SITEWRIGHT_STATE=str(tmp_path))
    assert before.stderr == after.stderr
    assert "nowhere" in before.stderr


def test_which_rehearsal_is_meant_must_be_said_when_there_is_none(tmp_path: Path) -> None:
    ended = install("rehearse", "run", "--inventory", "no-such-site", "--", "true", SITEWRIGHT_STATE=str(tmp_path))
    assert ended.returncode == 2
    assert "there is no rehearsal of no-such-site" in ended.stderr


def test_a_defect_is_one_line_and_a_private_file(tmp_path: Path) -> None:
    program = (
        "import sys, installer.operations.rehearsing.operation as o\n"
        "def broken(*_): raise ZeroDivisionError('c4nary happened')\n"
        "o.show_list = broken\n"
        "from installer.__main__ import main; sys.exit(main(['rehearse', 'list']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 70
    first, second = ended.stderr.splitlines()
    assert first == "error: a defect of the installer: ZeroDivisionError: c4nary happened"
    (log,) = tmp_path.glob("sitewright-defect-*.log")
    assert str(log) in second
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_the_clock_goes_on_when_the_program_enters_a_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(Terminal(), Paths.from_environment(), ("--inventory", "clinic"))
    monkeypatch.setenv(STARTED_VARIABLE, "1000.5")
    assert program.request("install", {"inventory": "clinic"}).started > 1_000_000, "not inside a rehearsal"
    monkeypatch.setenv(INSIDE_VARIABLE, "sw-clinic")
    assert program.request("install", {"inventory": "clinic"}).started == 1000.5


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in InstallerError.__subclasses__() if kind.__module__ == "installer.errors"]
    assert sorted(codes) == [2, 3, 4, 5, 6, 130]
    assert InstallerError.exit_code == 70
