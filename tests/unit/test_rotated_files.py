"""Files that hold a rotated secret: a standby's password of replication, and a node's Erlang cookie."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from plugins.modules.patroni_passfile import with_password
from tests.module_runner import ModuleFailedError, run_module

LINES = "10.20.0.31:5432:*:replicator:old\nlocalhost:5432:*:replicator:old\n10.20.0.31:5432:*:rewinder:other\n"
OLD, NEW = "OLDCOOKIEOLDCOOKIE", "NEWCOOKIENEWCOOKIE"


def test_only_the_users_own_lines_get_the_password() -> None:
    assert with_password(LINES, "replicator", "new") == LINES.replace(":old", ":new")
    assert with_password("a\\:b:*:*:us\\:er:x\n", "us:er", "p:w\\") == "a\\:b:*:*:us\\:er:p\\:w\\\\\n"
    assert with_password("no such line\n", "replicator", "new") == "no such line\n"


def test_a_passfile_is_told_in_check_mode_replaced_with_its_mode_and_left_then(tmp_path: Path) -> None:
    path = tmp_path / "pgpass"
    arguments = {"path": str(path), "user": "replicator", "password": "new"}
    assert run_module("patroni_passfile", arguments)["changed"] is False  # a primary that never followed has none
    path.write_text(LINES)
    path.chmod(0o600)
    told = run_module("patroni_passfile", arguments, check=True)
    assert told["changed"] is True
    assert "new" not in told["diff"]["after"].split()
    assert path.read_text() == LINES
    assert run_module("patroni_passfile", arguments)["changed"] is True
    assert path.read_text() == LINES.replace(":old", ":new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert run_module("patroni_passfile", arguments)["changed"] is False


class Node:
    """A node of which the tools are played by scripts; the real one is on the rehearsal hosts."""

    def __init__(self, folder: Path, *, knows: str, runs: bool = True) -> None:
        """Lay down the tools: rabbitmqctl is let in when its cookie file says what the node knows."""
        self.file, self.knows, self.log = folder / "cookie", folder / "knows", folder / "log"
        self.knows.write_text(knows)
        self.log.write_text("")
        tools = folder / "bin"
        tools.mkdir()
        (tools / "systemctl").write_text(f"#!/bin/sh\nexit {0 if runs else 3}\n")
        (tools / "rabbitmqctl").write_text(
            f'#!/bin/sh\necho "$*" >>{self.log}\n'
            f'[ "$(cat {self.file})" = "$(cat {self.knows})" ] || {{ echo "Authentication failed" >&2; exit 69; }}\n'
            f'case "$*" in *set_cookie*) cat {self.file}.next >{self.knows} ;; esac\n'
        )
        for tool in tools.iterdir():
            tool.chmod(0o755)
        self.path = f"{tools}:{os.environ['PATH']}"

    def arguments(self, cookie: str = NEW) -> Mapping[str, str]:
        """What the module is told."""
        return {"path": str(self.file), "cookie": cookie, "user": getpass.getuser()}


def test_a_running_node_is_told_its_new_cookie_before_the_file_is_and_never_by_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, knows=OLD)
    monkeypatch.setenv("PATH", node.path)
    node.file.write_text(OLD)
    assert run_module("rabbitmq_cookie", node.arguments(), check=True)["changed"] is True
    assert (node.file.read_text(), node.knows.read_text(), node.log.read_text()) == (OLD, OLD, "")
    assert run_module("rabbitmq_cookie", node.arguments())["changed"] is True
    assert (node.file.read_text(), node.knows.read_text()) == (NEW, NEW)
    assert node.file.stat().st_mode & 0o777 == 0o400
    assert NEW not in node.log.read_text()
    assert not Path(f"{node.file}.next").exists()
    assert run_module("rabbitmq_cookie", node.arguments())["changed"] is False


def test_what_was_killed_between_node_and_file_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path, knows=NEW)
    monkeypatch.setenv("PATH", node.path)
    node.file.write_text(OLD)
    Path(f"{node.file}.next").write_text(NEW)
    assert run_module("rabbitmq_cookie", node.arguments())["changed"] is True
    assert (node.file.read_text(), node.knows.read_text()) == (NEW, NEW)


def test_a_node_that_does_not_run_gets_its_file_and_one_that_answers_to_another_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "still").mkdir()
    still = Node(tmp_path / "still", knows=OLD, runs=False)
    monkeypatch.setenv("PATH", still.path)
    assert run_module("rabbitmq_cookie", still.arguments())["changed"] is True
    assert (still.file.read_text(), still.log.read_text()) == (NEW, "")

    (tmp_path / "stranger").mkdir()
    stranger = Node(tmp_path / "stranger", knows="A THIRD")
    monkeypatch.setenv("PATH", stranger.path)
    stranger.file.write_text(OLD)
    with pytest.raises(ModuleFailedError, match=r"does not answer to its new Erlang cookie: Authentication failed"):
        run_module("rabbitmq_cookie", stranger.arguments())
    with pytest.raises(ModuleFailedError, match="letters and digits"):
        run_module("rabbitmq_cookie", stranger.arguments("{{ no }}"))
