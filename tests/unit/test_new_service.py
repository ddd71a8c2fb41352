"""A service is added the way CONTRIBUTING says: everything follows, and hardly a file outside its own is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "toy_service"
NAME = "memcached"
# What CONTRIBUTING tells to make.
OWN = (
    "examples/memcached.yml",
    f"roles/{NAME}/",
    f"molecule/{NAME}/",
    f"installer/services/{NAME}.py",
    f"installer/services/health/{NAME}.py",
    f"playbooks/install-{NAME}.yml",
    f"playbooks/group_vars/all/{NAME}.yml",
)
# What `python -m installer.operations.reference` writes.
GENERATED = {"docs/checks.md", "docs/ports.md", "docs/roles.md", "docs/sizing.md", "docs/tls.md", "playbooks/site.yml"}


def run(copy: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    ended = subprocess.run(
        [sys.executable, *words], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def contents(copy: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(copy)): path.read_bytes()
        for path in sorted(copy.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and ".sitewright" not in path.parts
    }


def added() -> list[Path]:
    return [path for folder in TOY.iterdir() if folder.is_dir() for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def before_and_copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], Path]:
    """What the checkout held, and a copy of it with the new service."""
    copy = tmp_path_factory.mktemp("checkout")
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in filter(lambda each: (ROOT / each).is_file(), names):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    before = contents(copy)
    for path in added():
        if "__pycache__" not in path.parts:
            target = copy / path.relative_to(TOY)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    run(copy, "-m", "installer.operations.reference")
    return before, copy


def test_next_to_nothing_outside_the_services_own_files_is_touched(
    before_and_copy: tuple[dict[str, bytes], Path],
) -> None:
    before, copy = before_and_copy
    changed = {name for name, content in contents(copy).items() if before.get(name) != content}
    touched = sorted(name for name in changed - GENERATED if not name.startswith(OWN))
    assert touched == [], "what has to be touched now, and why? The aim was at most two files; it has been none"
    assert changed >= GENERATED, "the pages know it"


def test_the_whole_house_knows_the_service(before_and_copy: tuple[dict[str, bytes], Path]) -> None:
    _, copy = before_and_copy
    # An operator who wants it puts a host into its group.
    inventory = copy / "inventories" / "clinic" / "hosts.yml"
    inventory.write_text(inventory.read_text() + f"    {NAME}:\n      hosts:\n        clinic1:\n")
    assert json.loads(run(copy, "tests/toy_service/knows.py")) == {
        "bundle": True,
        "vault": True,
        "group": True,
        "ports": [11211],
        "budget": 200,
        "settings": ["memcached_memory_mb"],
        "verify": True,
        "status": True,
        "stage": [["base"]],
        "interruption": NAME,
    }


def test_the_contracts_of_the_house_hold_for_it(before_and_copy: tuple[dict[str, bytes], Path]) -> None:
    _, copy = before_and_copy
    said = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract", "-k", NAME)
    assert "passed" in said
    run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_stages.py")
