"""A release has one name, wherever it is shown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installer.checks.verify import release as on_hosts
from installer.controller.release import Release, read_release, read_version
from installer.report import Verdict

ROOT = Path(__file__).resolve().parents[2]


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_without_history_the_version_is_all_there_is(checkout: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert read_version(checkout) == version
    assert str(read_release(checkout)) == version


def test_a_checkout_names_its_commit_and_whether_files_differ_from_it(checkout: Path) -> None:
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "one")
    git(checkout, "tag", "--annotate", "v9", "--message", "a tag must not take the commit's place")
    commit = git(checkout, "rev-parse", "--short=7", "HEAD")
    assert read_release(checkout).commit == commit
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    release = read_release(checkout)
    assert release.commit == f"{commit}+"
    assert str(release) == f"{release.version} ({commit}+)"


@pytest.mark.parametrize("words", [("--version",), ("--output", "json", "--version")])
def test_the_command_line_says_it(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "installer", *words]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    if "json" in words:
        assert json.loads(said)["version"] == read_version(ROOT)
    else:
        assert re.fullmatch(rf"sitewright {re.escape(read_version(ROOT))}( \([0-9a-f]{{7,}}\+?\))?\n", said)


def test_asking_for_the_version_loads_nothing_heavy() -> None:
    program = (
        "import sys; from installer.__main__ import main; main(['--version']);"
        "heavy = {'pydantic', 'rich', 'ansible_runner', 'cryptography', 'yaml', 'asyncio'};"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_release_is_shown_with_its_commit() -> None:
    assert str(Release(version="0.2.0", commit="1368137")) == "0.2.0 (1368137)"
    assert str(Release(version="0.2.0")) == "0.2.0"


# On the hosts


def asked(files: dict[str, str], wanted: dict[str, str]) -> dict[str, Any]:
    """The verification's answer for hosts with these files."""
    run: Callable[..., str] = lambda host, _argv: files[host]  # noqa: E731 - the one thing the check asks a host
    subject: Any = SimpleNamespace(
        group=lambda _name: [SimpleNamespace(name=name) for name in files], run=run, release=wanted
    )
    return {result.host: result for result in on_hosts.check(subject)}


FILE = "site=clinic\nrelease=0.2.0\nbundle=b1\n"
JOURNAL = {"site": "clinic", "release": "0.2.0", "bundle": "b1"}


def test_hosts_that_say_what_the_journal_says_pass() -> None:
    results = asked({"db1": FILE, "db2": FILE}, JOURNAL)
    assert {result.verdict for result in results.values()} == {Verdict.PASSED}
    assert results["db1"].measured == "site clinic, release 0.2.0, bundle b1"


@pytest.mark.parametrize(
    ("other", "measured"),
    [
        (FILE.replace("0.2.0", "0.1.9"), "site clinic, release 0.1.9, bundle b1"),
        (FILE.replace("b1", "b0"), "site clinic, release 0.2.0, bundle b0"),
        (FILE.replace("clinic", "hospital"), "site hospital, release 0.2.0, bundle b1"),
        ("", "no /etc/sitewright/release"),
    ],
)
def test_a_host_that_says_something_else_fails(other: str, measured: str) -> None:
    results = asked({"db1": FILE, "db2": other}, JOURNAL)
    assert results["db1"].verdict is Verdict.PASSED
    assert results["db2"].verdict is Verdict.FAILED
    assert results["db2"].measured == measured
    assert results["db2"].fix


def test_without_a_journal_all_hosts_must_say_the_same() -> None:
    newer = FILE.replace("0.2.0", "0.2.1")
    verdicts = [result.verdict for result in asked({"db1": FILE, "db2": newer}, {"site": "clinic"}).values()]
    assert verdicts == [Verdict.PASSED, Verdict.FAILED]
