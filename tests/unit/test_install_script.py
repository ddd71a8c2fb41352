"""The bootstrap, on a small checkout of its own with an empty lock, so that nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd()])); sys.exit(3)\n"
TOOLS = (
    "sh",
    "readlink",
    "dirname",
    "sha256sum",
    "cat",
    "awk",
    "mkdir",
    "ln",
    "rm",
    "mv",
    "flock",
    "tail",
    "head",
    "id",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in a folder with a space, as operators have them."""
    root = tmp_path_factory.mktemp("bootstrap") / "site wright"
    (root / "installer").mkdir(parents=True)
    shutil.copy2(ROOT / "install", root / "install")
    (root / "requirements.txt").write_text("# nothing\n")
    (root / "installer/__init__.py").touch()
    (root / "installer/__main__.py").write_text(PROGRAM)
    return root


def start(checkout: Path, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key != "SITEWRIGHT_STATE"}
    return subprocess.run(
        ["sh", str(checkout / "install"), *words],
        cwd=cwd or checkout,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_start_killed_half_way_is_repaired_by_the_next(checkout: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "SITEWRIGHT_STATE"}
    first = subprocess.Popen(
        ["sh", str(checkout / "install")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(0.7)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (tmp_path / "installer").mkdir()  # where the operator stands; it must not be taken for ours
    done = start(checkout, "a b", "--c", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stdout == f'[["a b", "--c"], "{tmp_path}"]\n'
    assert "Preparing a private Python" in done.stderr


def test_a_start_with_an_environment_is_quick_and_silent(checkout: Path) -> None:
    start(checkout)
    began = time.monotonic()
    done = start(checkout)
    assert time.monotonic() - began < 5  # milliseconds when nothing else runs
    assert (done.returncode, done.stderr) == (3, "")


def test_a_changed_lock_gets_a_new_environment(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("# still nothing\n")
    done = start(checkout)
    assert "Preparing" in done.stderr
    assert done.returncode == 3


def test_a_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("moved"))
    done = start(moved)
    moved.rename(checkout)
    assert "Preparing" in done.stderr
    assert done.returncode == 3


def test_without_a_python_two_lines_say_so(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(Path(shutil.which(tool) or tool))
    alone = 'mount -t tmpfs tmpfs /usr/local/bin; PATH=$2 HOME=$2 PYENV_ROOT=$2 exec sh "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", alone, "alone", str(checkout / "install"), str(tools)],
        env={"PATH": os.environ["PATH"], "SITEWRIGHT_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    what, fix = done.stderr.splitlines()
    assert "No Python 3.11 or newer was found" in what
    assert "apt-get install python3" in fix


def test_a_lock_that_cannot_be_installed_is_explained(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("sitewright-does-not-exist==1 --hash=sha256:" + "0" * 64 + "\n")
    done = start(checkout, PIP_NO_INDEX="1")
    assert done.returncode == 2
    assert "could not be made" in done.stderr
    assert not (checkout / ".sitewright/venv/.complete").exists()
