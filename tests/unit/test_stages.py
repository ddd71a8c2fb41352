"""What a stage is made of, and which graphs are refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from installer.errors import ConfigurationError
from installer.stages.digests import folder_input, secrets_input, shared_files, stage_inputs
from installer.stages.graph import Graph, Stage
from installer.stages.imports import imported_files
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
    for folder in ("playbooks", "plugins", "roles", "installer"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=compiled)
    for file in ("ansible.cfg", "requirements.txt"):
        shutil.copy(ROOT / file, tmp_path)
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


def loaded_by_plugins() -> list[str]:
    """Files of the installer that Python really loads with what our plugins import, and with every service."""
    imports = sorted(
        {
            f"import {match[1]}"
            for file in (ROOT / "plugins").rglob("*.py")
            for match in re.finditer(r"^\s*(?:from|import) (installer[\w.]*)", file.read_text(), re.MULTILINE)
        }
    )
    program = "\n".join(
        [
            "import sys",
            *imports,
            "from installer.services import known_services",
            "[check.load() for service in known_services().values() for check in service.health]",
            "files = {getattr(module, '__file__', None) for module in list(sys.modules.values())}",
            "print('\\n'.join(sorted(file for file in files if file and '/installer/' in file)))",
        ]
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    return [str(Path(line).relative_to(ROOT)) for line in said.stdout.split()]


def test_every_file_that_plugins_load_changes_the_digest(checkout: Path) -> None:
    files = loaded_by_plugins()
    assert "installer/pki/custom.py" in files
    plugins = [str(file.relative_to(checkout)) for file in (checkout / "plugins").rglob("*.py")]
    others = ["ansible.cfg", "requirements.txt", "installer/site/runtime.py", "playbooks/group_vars/all/redis.yml"]
    covered = {str(file.relative_to(checkout)): file for file in shared_files(checkout)}
    graph = Graph("none", ())
    before = stage_inputs(graph, checkout)
    for name in [*files, *plugins, *others]:
        assert name in covered, name
        content = covered[name].read_bytes()
        covered[name].write_bytes(content + b"#")
        assert stage_inputs(graph, checkout) != before, name
        covered[name].write_bytes(content)
    assert stage_inputs(graph, checkout) == before


def test_code_that_runs_no_task_changes_nothing(checkout: Path) -> None:
    assert changed_after(checkout, "installer/cli.py") == []
    assert changed_after(checkout, "installer/operations/status/operation.py") == []


def test_a_roles_manifest_is_read_by_other_stages_too(checkout: Path) -> None:
    assert changed_after(checkout, "roles/redis/meta/sitewright.yml") == ["shared code", "stage cache"]


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import installer.a", ["installer/a.py"]),
        (
            "    from installer import (\n  a,\n  b as c,\n)",
            ["installer/a.py", "installer/b/__init__.py"],
        ),
        ("from installer.b.deep import thing", ["installer/a.py", "installer/b/__init__.py", "installer/b/deep.py"]),
        ("if TYPE_CHECKING:\n    from installer import a\n\nimport installer.b", ["installer/b/__init__.py"]),
        ("import os", []),
    ],
)
def test_imports_are_followed(tmp_path: Path, statement: str, loaded: list[str]) -> None:
    (tmp_path / "installer" / "b").mkdir(parents=True)
    (tmp_path / "installer" / "a.py").touch()
    (tmp_path / "installer" / "b" / "__init__.py").touch()
    (tmp_path / "installer" / "b" / "deep.py").write_text("from .. import a\n")
    plugin = tmp_path / "plugin.py"
    plugin.write_text(f"{statement}\n")
    assert sorted(str(file.relative_to(tmp_path)) for file in imported_files([plugin], tmp_path)) == loaded


def test_who_imports_by_name_brings_the_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "installer" / "services"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from importlib import import_module\n")
    (folder / "redis.py").touch()
    plugin = tmp_path / "plugin.py"
    plugin.write_text("import installer.services\n")
    assert imported_files([plugin], tmp_path) == {folder / "__init__.py", folder / "redis.py"}


# What the operator gives beside files of the checkout


def test_a_changed_secret_is_a_change_and_cannot_be_guessed_from_the_journal() -> None:
    secrets = {"ca_passphrase": "long and random", "redis_password": "a"}
    kept = secrets_input(secrets).digest
    assert kept == secrets_input(dict(reversed(secrets.items()))).digest
    assert kept != secrets_input({**secrets, "redis_password": "b"}).digest
    assert kept != hashlib.sha256(json.dumps(secrets, sort_keys=True).encode()).hexdigest()[:16]


def test_a_renewed_custom_certificate_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "db1.pem").write_text("one")
    before = folder_input(tmp_path)
    (tmp_path / "db1.pem").write_text("two")
    assert folder_input(tmp_path) != before
