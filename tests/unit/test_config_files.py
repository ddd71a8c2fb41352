"""Files written in one go: what a plan may tell of them, and that secrets are no part of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import config_files

MODULE = Path(config_files.__file__)
OLD, NEW = "0ldCanary", "n3wCanary"


def ran(*files: dict[str, Any], check: bool = True, no_log: bool = False, umask: int = 0o022) -> dict[str, Any]:
    """The module's answer; owner and group are those of root, as who the tests run as."""
    arguments = {"files": list(files), "_ansible_check_mode": check, "_ansible_no_log": no_log}
    ended = subprocess.run(
        [sys.executable, MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_a_changed_file_is_told_with_what_changes_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("a\nrate=50r/s\nb\n")
    answer = ran({"path": str(path), "content": "a\nrate=80r/s\nb\n"})
    (change,) = answer["plan"]["changes"]
    assert (change["kind"], change["name"], change["lines"]) == ("file", str(path), ["-rate=50r/s", "+rate=80r/s"])
    assert "50r/s" in path.read_text()


def test_what_is_as_it_should_be_is_no_change(tmp_path: Path) -> None:
    entry = {"path": str(tmp_path / "file"), "content": "x\n"}
    assert ran(entry, check=False)["changed"]
    answer = ran(entry)
    assert (answer["changed"], answer["plan"]["changes"]) == (False, [])


@pytest.mark.parametrize(
    "line",
    [
        "masterauth {}",
        "sentinel auth-pass main {}",
        "requirepass {}",
        '    "password": "{}",',
        '"password_hash": "{}"}}',
        "    auth_pass {}",
        "  superuser: {{username: postgres, password: {}}}",
        "default_pass = {}",
        "export API_TOKEN={}",
        "erlang.cookie = {}",
        "client_secret: {}",
        "private_key={}",
    ],
)
def test_masked_hides_old_and_new_secret_behind_its_word_and_shows_the_rest(tmp_path: Path, line: str) -> None:
    path = tmp_path / "file"
    path.write_text(f"maxmemory 1\n{line.format(OLD)}\n")
    content = f"maxmemory 2\n{line.format(NEW)}\n"
    answer = ran({"path": str(path), "content": content, "show": "masked"}, no_log=True)
    shown = json.dumps(answer["plan"])
    assert OLD not in shown
    assert NEW not in shown
    assert {"-maxmemory 1", "+maxmemory 2"} <= set(answer["plan"]["changes"][0]["lines"])
    assert config_files.HIDDEN in shown


def test_a_task_that_hides_its_result_shows_nothing_unless_told_to(tmp_path: Path) -> None:
    path = tmp_path / "users.acl"
    path.write_text(OLD)
    (change,) = ran({"path": str(path), "content": NEW}, no_log=True)["plan"]["changes"]
    assert change == {"kind": "file", "name": str(path), "note": "changed, hidden"}
    (fresh,) = ran({"path": str(tmp_path / "new.acl"), "content": NEW}, no_log=True)["plan"]["changes"]
    assert fresh["note"] == "new, content hidden"


def test_links_directories_modes_and_removals_are_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x\n")
    file.chmod(0o600)
    gone = tmp_path / "gone"
    gone.write_text("x")
    answer = ran(
        {"path": str(tmp_path / "link"), "state": "link", "target": "/dev/null"},
        {"path": str(tmp_path / "folder"), "state": "directory"},
        {"path": str(file), "content": "x\n", "mode": "0640"},
        {"path": str(gone), "state": "absent"},
    )
    told = {Path(change["name"]).name: change for change in answer["plan"]["changes"]}
    assert told["link"]["new"] == "link to /dev/null"
    assert told["folder"]["new"] == "directory"
    assert (told["file"]["kind"], told["file"]["new"]) == ("permissions", "root:root 0640")
    assert told["gone"]["old"] == "there"
    assert gone.exists()


def test_folders_on_the_way_are_for_all_whatever_the_login_hides(tmp_path: Path) -> None:
    ran({"path": str(tmp_path / "srv" / "etcd" / "data"), "state": "directory"}, check=False, umask=0o077)
    assert (tmp_path / "srv" / "etcd").stat().st_mode & 0o777 == 0o755


def test_nothing_is_told_when_it_is_really_done(tmp_path: Path) -> None:
    assert "plan" not in ran({"path": str(tmp_path / "file"), "content": "x"}, check=False)


def test_all_contents_are_judged_before_the_first_is_replaced(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    answer = ran(
        {"path": str(good), "content": "x\n"},
        {"path": str(bad), "content": "y\n", "validate": ["false", "%s"]},
        check=False,
    )
    assert answer["failed"]
    assert f"{bad}: false refuses the new file" in answer["msg"]
    assert not good.exists()


def test_what_is_made_of_a_file_is_made_when_it_is_older_and_once_for_all(tmp_path: Path) -> None:
    made, asked = tmp_path / "made", tmp_path / "asked"
    command = {"argv": ["sh", "-c", f"echo . >>{asked}; cat {tmp_path}/source.* >{made}"], "result": str(made)}
    entries = [{"path": str(tmp_path / f"source.{n}"), "content": f"{n}\n", "apply": command} for n in (1, 2)]
    (told,) = [each for each in ran(*entries)["plan"]["changes"] if each["name"] == str(made)]
    assert (told["note"], made.exists()) == ("made anew by sh", False)
    assert str(made) in ran(*entries, check=False)["changed_paths"]
    assert (made.read_text(), asked.read_text()) == ("1\n2\n", ".\n")
    assert not ran(*entries, check=False)["changed"]
    os.utime(made, (0, 0))  # as after a run that was killed before it could make it
    assert ran(*entries, check=False)["changed_paths"] == [str(made)]
    assert not ran(*entries, check=False)["changed"]


def test_a_command_that_makes_nothing_of_the_file_is_an_error(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = {"argv": ["sh", "-c", "echo edited by hand, left alone"], "result": str(made)}
    answer = ran({"path": str(tmp_path / "source"), "content": "x\n", "apply": command}, check=False)
    assert answer["failed"]
    assert f"sh did not make {made} of it: edited by hand, left alone" in answer["msg"]
