"""Stages, playbooks and site.yml name the same things."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from installer.manifests import ALL_HOSTS, load_manifests
from installer.site.model import GROUPS
from installer.stages.graph import STAGES

ROOT = Path(__file__).resolve().parents[2]


def test_site_playbook_imports_every_stage_in_order() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    imported = [play["ansible.builtin.import_playbook"] for play in plays]
    assert imported == [stage.playbook(ROOT).name for stage in STAGES]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not stage.always], ids=lambda stage: stage.name)
def test_playbook_of_a_stage_is_a_list_of_roles(stage: object) -> None:
    path = stage.playbook(ROOT)  # type: ignore[attr-defined] # the parameter is a Stage
    assert path.read_text().removeprefix("---\n").startswith("# "), "its first line says what it is for"
    for play in yaml.safe_load(path.read_text()):
        assert play["any_errors_fatal"] is True
        assert play["gather_facts"] is False
        assert "roles" in play
        assert not play.keys() & {"tasks", "vars", "pre_tasks", "post_tasks", "handlers"}


def test_every_role_belongs_to_a_group_of_the_site_model_and_to_a_stage() -> None:
    used = {
        role["role"] if isinstance(role, dict) else role
        for stage in STAGES
        for play in yaml.safe_load(stage.playbook(ROOT).read_text())
        for role in play.get("roles", ())
    }
    manifests = load_manifests(ROOT)
    for name, manifest in manifests.items():
        assert manifest.group == ALL_HOSTS or manifest.group in GROUPS, name
    assert set(manifests) - used <= {"java"}, "a role no stage uses"
