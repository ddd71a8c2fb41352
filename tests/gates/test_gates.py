"""Linters, types and the house's own rules over the whole tree, without a skip list."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON_LINES = 400
TASK_LINES = 120

GATES = {
    "ruff": ["ruff", "check", "."],
    "ruff-format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["python", "-m", "tests.gates.ansible_lint", "--offline", "--strict", "--profile", "production"],
    "import-linter": ["lint-imports"],
    "codespell": ["codespell"],
}


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository, as git knows them, the new ones included."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("gate", GATES)
def test_gate_finds_nothing(gate: str) -> None:
    result = subprocess.run(GATES[gate], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_shellcheck_finds_nothing() -> None:
    scripts = [
        path
        for path in tracked()
        if path.suffix == ".sh" or path.read_bytes()[:30].startswith((b"#!/bin/sh", b"#!/usr/bin/env bash"))
    ]
    assert len(scripts) >= 3
    result = subprocess.run(["shellcheck", *map(str, scripts)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_no_file_names_a_package_registry() -> None:
    hosts = [
        "deb.debian" + ".org",
        "security.debian" + ".org",
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "registry.npmjs" + ".org",
        "maven" + ".org/maven2",
        "repo1" + ".maven",
        "galaxy.ansible" + ".com",
        "snapshot.debian" + ".org",
    ]
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in tracked()
        for host in hosts
        if host.encode() in path.read_bytes()
    ]
    assert found == []


def test_no_file_is_longer_than_the_house_allows() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in tracked("*.py", "*/tasks/*.yml")
        if (lines := len(path.read_text().splitlines())) > (PYTHON_LINES if path.suffix == ".py" else TASK_LINES)
    ]
    assert long == []


def test_no_linter_is_told_to_skip_a_rule() -> None:
    wanted = re.compile(r"^\s*(skip_list|warn_list|exclude_rules)\s*:|pytest\.mark\.(skip|xfail)", re.MULTILINE)
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path != Path(__file__) and wanted.search(path.read_text(errors="replace"))
    ]
    assert found == []


def test_every_noqa_names_its_rule_and_its_reason() -> None:
    bare = re.compile(r"#\s*(noqa(?!: [A-Z]+\d+(, [A-Z]+\d+)* - \S)|type: ignore(?!\[[a-z-]+(, ?[a-z-]+)*\] +# \S))")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked("*.py")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []
