"""A role's packages stand in its manifest, and its tasks bring them in the bundle's versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULE = "debian_packages"
READS_MANIFEST = "role_path ~ '/meta/sitewright.yml') | from_yaml).packages"
# Their lists are the site's: of all roles of a host, and of its applications.
GIVEN = {"base": "base_packages", "models": "models_sets"}


def _tasks(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        for part in ("block", "rescue", "always"):
            yield from _tasks(task.get(part, []))


def _calls(role: Path) -> list[dict[str, Any]]:
    files = sorted((role / "tasks").glob("*.yml"))
    tasks = (task for file in files for task in _tasks(yaml.safe_load(file.read_text()) or []))
    return [task[key] for task in tasks for key in task if key.rpartition(".")[2] == MODULE]


ROLES = sorted(path for path in (ROOT / "roles").iterdir() if _calls(path))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_packages_are_named_in_the_manifest_and_nowhere_else(role: Path) -> None:
    values = yaml.safe_load((role / "vars" / "main.yml").read_text())
    for call in _calls(role):
        own = GIVEN.get(role.name, f"__{role.name}_packages")
        if role.name in GIVEN:
            assert own in call["name"] or own in values[f"__{role.name}_packages"]
        else:
            assert call["name"] == f"{{{{ {own} }}}}"
            assert READS_MANIFEST in values[own]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_packages_come_in_the_versions_of_the_bundle_where_there_is_one(role: Path) -> None:
    values = yaml.safe_load((role / "vars" / "main.yml").read_text())
    for call in _calls(role):
        assert call["versions"] == f"{{{{ __{role.name}_versions }}}}"
        assert "sitewright_packages | default({})" in values[f"__{role.name}_versions"]


def test_every_role_with_packages_is_looked_at() -> None:
    asking = {
        path.parents[1].name
        for path in (ROOT / "roles").glob("*/meta/sitewright.yml")
        if yaml.safe_load(path.read_text())["packages"]
    }
    # Those of certificates, hardening and firewall come with base.
    assert asking - {role.name for role in ROLES} == {"certificates", "hardening", "firewall"}
