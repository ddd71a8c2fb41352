"""What a stage is made of, and which graphs are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from installer.errors import ConfigurationError
from installer.stages.digests import stage_inputs
from installer.stages.graph import Graph, Stage
from installer.stages.install import INSTALL

ROOT = Path(__file__).resolve().parents[2]


def test_a_need_that_does_not_come_before_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs later"):
        Graph("toy", (Stage(name="base", playbook="b.yml", needs=("later",)),)).check(tmp_path)


def test_two_stages_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "b.yml").touch()
    with pytest.raises(ConfigurationError, match="two stages called base"):
        Graph("toy", (Stage(name="base", playbook="b.yml"), Stage(name="base", playbook="b.yml"))).check(tmp_path)


def test_a_stage_without_playbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"install-base\.yml"):
        Graph("toy", (Stage(name="base", playbook="install-base.yml"),)).check(tmp_path)


def test_the_stages_of_this_checkout_are_complete() -> None:
    INSTALL.check(ROOT)


def test_hosts_of_a_stage_follow_from_its_playbook(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    text = "- hosts: engine[0]\n- hosts: 'redis:&svc'\n"
    (tmp_path / "playbooks" / "install-x.yml").write_text(text)
    stage = Stage(name="x", playbook="install-x.yml")
    everyone = ("gw1", "app2", "app1", "svc1")
    groups = {"engine": ("app1", "app2"), "redis": ("svc1",), "gateway": ("gw1",)}
    assert stage.hosts(tmp_path, groups, everyone) == ["app2", "app1", "svc1"]
    (tmp_path / "playbooks" / "install-x.yml").write_text("- hosts: all\n")
    assert stage.hosts(tmp_path, groups, everyone) == list(everyone)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what stages are made of."""
    compiled = shutil.ignore_patterns("__pycache__")  # others write there meanwhile
    for folder in ("playbooks", "plugins", "roles", "installer/services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=compiled)
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    return tmp_path


def changed_after(checkout: Path, file: str) -> list[str]:
    before = stage_inputs(INSTALL, checkout)
    (checkout / file).parent.mkdir(parents=True, exist_ok=True)
    with (checkout / file).open("a") as stream:
        stream.write("# another line\n")
    after = stage_inputs(INSTALL, checkout)
    return [name for name in after if before.get(name) != after[name]]


def test_a_changed_role_changes_its_own_stage_only(checkout: Path) -> None:
    assert changed_after(checkout, "roles/redis/tasks/main.yml") == ["stage cache"]
    assert stage_inputs(INSTALL, checkout)["stage cache"].about == "playbooks/install-cache.yml, roles/redis"


def test_a_changed_plugin_is_named(checkout: Path) -> None:
    assert changed_after(checkout, "plugins/modules/service_unit.py") == ["shared code"]


def test_files_python_writes_beside_plugins_change_nothing(checkout: Path) -> None:
    assert changed_after(checkout, "plugins/filter/__pycache__/x.cpython-313.pyc") == []
