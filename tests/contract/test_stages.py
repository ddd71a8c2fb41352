"""Stages, playbooks and site.yml name the same things."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from installer.manifests import ALL_HOSTS, load_manifests
from installer.site.model import GROUPS
from installer.stages.graph import Stage
from installer.stages.install import INSTALL

ROOT = Path(__file__).resolve().parents[2]


def test_site_playbook_imports_every_stage_in_order() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    imported = [play["ansible.builtin.import_playbook"] for play in plays]
    assert imported == [stage.playbook for stage in INSTALL.stages]


@pytest.mark.parametrize("stage", [stage for stage in INSTALL.stages if not stage.always], ids=lambda stage: stage.name)
def test_playbook_of_a_stage_is_a_list_of_roles(stage: Stage) -> None:
    path = stage.path(ROOT)
    assert path.read_text().removeprefix("---\n").startswith("# "), "its first line says what it is for"
    for play in yaml.safe_load(path.read_text()):
        assert play["any_errors_fatal"] is True
        assert play["gather_facts"] is False
        assert "roles" in play
        assert not play.keys() & {"tasks", "vars", "post_tasks", "handlers"}
        # What must be there before its roles is a part of another role.
        parts = [task.keys() - {"name"} for task in play.get("pre_tasks", ())]
        assert all(part == {"ansible.builtin.import_role"} for part in parts)


@pytest.mark.parametrize("stage", INSTALL.stages, ids=lambda stage: stage.name)
def test_what_a_stage_interrupts_is_a_service_of_its_own_roles(stage: Stage) -> None:
    roles = {role["role"] for play in yaml.safe_load(stage.path(ROOT).read_text()) for role in play.get("roles", ())}
    assert set(stage.interrupts) <= roles


def test_every_role_belongs_to_a_group_of_the_site_model_and_to_a_stage() -> None:
    used = {
        role["role"] if isinstance(role, dict) else role
        for stage in INSTALL.stages
        for play in yaml.safe_load(stage.path(ROOT).read_text())
        for role in play.get("roles", ())
    }
    manifests = load_manifests(ROOT)
    for name, manifest in manifests.items():
        assert manifest.group == ALL_HOSTS or manifest.group in GROUPS, name
    assert set(manifests) - used <= {"java"}, "a role no stage uses"
