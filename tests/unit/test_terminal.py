"""The one writer: what goes where, in which form, and what it never shows."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from installer.console.terminal import HIDDEN, Terminal, without_escapes
from installer.errors import ConfigurationError

CANARY = "c4narySecretValue"


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def make(
    output: str = "text", *, screen: bool = False, **environment: str
) -> tuple[Terminal, io.StringIO, io.StringIO]:
    stdout, stderr = (Screen(), Screen()) if screen else (io.StringIO(), io.StringIO())
    terminal = Terminal(stdout=stdout, stderr=stderr, environment={"TERM": "xterm", **environment})
    terminal.output = "json" if output == "json" else "text"
    return terminal, stdout, stderr


def test_results_go_to_stdout_and_talk_to_stderr() -> None:
    terminal, stdout, stderr = make()
    terminal.say("working")
    terminal.result("it works")
    assert (stdout.getvalue(), stderr.getvalue()) == ("it works\n", "working\n")


def test_with_json_stdout_holds_exactly_one_object() -> None:
    terminal, stdout, stderr = make("json")
    terminal.result("a line for people")
    terminal.table(("a",), [("b",)])
    terminal.document({"result": "done"})
    assert json.loads(stdout.getvalue()) == {"result": "done"}
    assert "a line for people" in stderr.getvalue()
    assert terminal.documented


def test_without_json_no_object_is_printed() -> None:
    terminal, stdout, _ = make()
    terminal.document({"result": "done"})
    assert stdout.getvalue() == ""


def test_an_error_is_two_lines_what_is_wrong_and_what_to_do() -> None:
    terminal, _, stderr = make()
    terminal.error(ConfigurationError("it is wrong", hint="mend it"))
    assert stderr.getvalue() == "error: it is wrong\nto do: mend it\n"


@pytest.mark.parametrize("screen", [False, True])
def test_a_hidden_value_is_shown_nowhere(tmp_path: Path, screen: bool) -> None:
    for output in ("text", "json"):
        terminal, stdout, stderr = make(output, screen=screen)
        terminal.hide([CANARY, "", "abc"])
        log = tmp_path / output / "log.jsonl"
        with terminal.logging_to(log):
            terminal.say(f"say {CANARY}")
            terminal.step(f"step {CANARY}")
            terminal.warn(f"warn x{CANARY}y")
            terminal.error(ConfigurationError(f"message {CANARY}", hint=CANARY))
            terminal.result(CANARY)
            terminal.table((CANARY,), [(f"cell {CANARY}",)])
            terminal.document({CANARY: [CANARY]})
            terminal.note(CANARY, detail=CANARY)
        everything = stdout.getvalue() + stderr.getvalue() + log.read_text()
        assert CANARY not in everything
        assert HIDDEN in everything
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    terminal, _, _ = make()
    terminal.hide(["password", "password-and-more"])
    assert terminal.redact("password-and-more") == HIDDEN


def test_without_secrets_text_stays_as_it_is() -> None:
    terminal, _, _ = make()
    assert terminal.redact("abc") == "abc"


def test_colour_is_for_terminals_that_want_it() -> None:
    for screen, environment, coloured in (
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ):
        terminal, stdout, stderr = make(screen=screen, **environment)
        terminal.step("a step")
        terminal.table(("verdict",), [("failed",)])
        assert ("\x1b[" in stderr.getvalue()) is coloured
        assert ("\x1b[" in stdout.getvalue()) is coloured
        assert terminal.interactive is coloured


def test_plain_tables_line_up() -> None:
    terminal, stdout, _ = make()
    terminal.table(("host", "verdict"), [("db1", "passed"), ("svc1", "failed")])
    assert stdout.getvalue() == "host  verdict\n----  -------\ndb1   passed\nsvc1  failed\n"


def test_an_empty_table_is_its_heading() -> None:
    terminal, stdout, _ = make()
    terminal.table(("host",), [])
    assert stdout.getvalue() == "host\n----\n"


def test_the_log_holds_one_json_object_a_line(tmp_path: Path) -> None:
    terminal, _, _ = make()
    with terminal.logging_to(tmp_path / "log.jsonl"):
        terminal.say("one\ntwo")
        terminal.note("three", process=7)
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert (first["level"], first["message"]) == ("info", "one\ntwo")
    assert second["process"] == 7


def test_control_sequences_are_taken_out_of_texts() -> None:
    assert without_escapes("\x1b[0;31mfatal\x1b[0m\r\nend\x1b[K") == "fatal\nend"
