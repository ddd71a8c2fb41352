"""The repository as a collection: built, installed elsewhere, and used where no installer is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.controller.release import read_version

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
MODULES = sorted(path.stem for path in ROOT.glob("plugins/modules/[!_]*.py"))
OUTSIDE = {".config", ".sitewright", "docs", "installer", "inventories", "molecule", "payloads", "playbooks", "tests"}

# A controller that knows nothing of the checkout, although its Python does.
STRANGER = """
import sys
class Stranger:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "installer":
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Stranger())
"""


def run(folder: Path, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(
        [str(BIN / argv[0]), *argv[1:]],
        cwd=folder,
        env={**inherited, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / "home"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    built = run(ROOT, "ansible-galaxy", "collection", "build", "--output-path", str(folder))
    assert built.returncode == 0, built.stderr
    return next(folder.glob("sitewright-platform-*.tar.gz"))


@pytest.fixture(scope="module")
def elsewhere(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A stranger's environment with the collection installed, and nothing else of ours to be found."""
    folder = tmp_path_factory.mktemp("elsewhere")
    target = folder / "collections"
    # By force, because this Python has the checkout itself among its packages.
    argv = ("ansible-galaxy", "collection", "install", "--offline", "--force", "-p", str(target), str(archive))
    installed = run(folder, *argv, ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="False")
    assert installed.returncode == 0, installed.stderr
    assert (target / "ansible_collections/sitewright/platform/MANIFEST.json").is_file(), installed.stdout
    (folder / "python").mkdir()
    (folder / "python/sitecustomize.py").write_text(STRANGER)
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "False",
        "PYTHONPATH": str(folder / "python"),
    }


def test_the_archive_is_small_and_holds_what_a_stranger_can_use(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    assert OUTSIDE.isdisjoint({name.partition("/")[0] for name in names})
    assert [name for name in names if "__pycache__" in name or name.startswith("plugins/callback")] == []
    assert {f"plugins/modules/{name}.py" for name in MODULES} < set(names)
    assert archive.stat().st_size < 400_000


def test_the_collection_has_the_version_of_the_release() -> None:
    said = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert said == read_version(ROOT).replace(".dev", "-dev")  # the same words in the form that Galaxy reads


def test_every_module_is_documented_where_the_collection_is_installed(
    elsewhere: Mapping[str, str], tmp_path: Path
) -> None:
    names = [f"sitewright.platform.{name}" for name in MODULES]
    said = run(tmp_path, "ansible-doc", "--json", "--type", "module", *names, **elsewhere)
    assert said.returncode == 0, said.stderr
    documented = json.loads(said.stdout)
    assert sorted(documented) == names
    assert all(entry["doc"]["short_description"] and entry["examples"] for entry in documented.values())
    # What several modules are told stands in a fragment, which Ansible puts in by its full name.
    assert {"nodes", "master_name", "password"} < set(documented["sitewright.platform.redis_group"]["doc"]["options"])


def test_the_roles_filters_work_without_the_installer(elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("""
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ [{'database': 'a', 'user': 'b', 'networks': ['10.0.0.0/8']}] | sitewright.platform.postgresql_hba }}
              {{ 'secret' | sitewright.platform.rabbitmq_password_hash('site:user') }}"
""")
    played = run(tmp_path, "ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml", **elsewhere)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "hostssl a b 10.0.0.0/8 scram-sha-256" in played.stdout
    assert "WARNING" not in played.stderr, played.stderr


def test_a_module_of_the_installer_says_what_it_lacks(elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("""
- hosts: localhost
  gather_facts: false
  tasks:
    - sitewright.platform.custom_certificates: {directory: /nowhere, wanted: {}}
""")
    played = run(tmp_path, "ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml", **elsewhere)
    assert played.returncode == 2
    assert "this module runs on the controller, with the Python of Sitewright's installer" in played.stdout


def test_roles_call_modules_and_filters_by_their_full_names() -> None:
    filters = {
        name
        for path in ROOT.glob("plugins/filter/[!_]*.py")
        for name in re.findall(r'^ {12}"(\w+)": ', path.read_text(), re.MULTILINE)
    }
    assert len(filters) >= 9
    short_module = re.compile(rf"^\s+(?:- )?({'|'.join(MODULES)}):\s*(?:$|#|{{)", re.MULTILINE)
    short_filter = re.compile(rf"\|\s*({'|'.join(filters)})\b")
    files = [path for folder in ("roles", "playbooks", "molecule") for path in ROOT.glob(f"{folder}/**/*.yml")]
    found = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in short_module.findall(path.read_text())]
    found += [
        f"{path.relative_to(ROOT)}: {name}"
        for path in ROOT.glob("roles/**/*")
        if path.is_file()
        for name in short_filter.findall(path.read_text())
    ]
    assert found == []


ROLES = sorted(path.parent.name for path in ROOT.glob("roles/*/meta"))
EVERY_ROLE = {
    "README.md",
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/limits.yml",
    "meta/main.yml",
    "meta/sitewright.yml",
    "tasks/main.yml",
    "tasks/preflight.yml",
    "vars/main.yml",
}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_the_same_files_and_tags(role: str) -> None:
    folder = ROOT / "roles" / role
    assert {name for name in EVERY_ROLE if not (folder / name).is_file()} == set()
    parts = {name: f"{role}_{name}" for name in ("install", "configure", "service")}
    for task in tasks_of(yaml.safe_load((folder / "tasks/main.yml").read_text())):
        [part] = [value for key, value in task.items() if key.endswith(("import_tasks", "include_tasks"))]
        file = part if isinstance(part, str) else part["file"]
        name = file.removesuffix(".yml")
        wanted = set(parts.values()) if name == "preflight" else {parts.get(name, "")} - {""}
        assert role in task["tags"], file
        assert wanted <= set(task["tags"]), file
        assert set(task["tags"]) <= {role, *parts.values()}, file


def tasks_of(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks themselves, out of a block as well."""
    return [inner for task in tasks for inner in task.get("block", [task])]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_looks_for_variables_it_does_not_have_before_anything_else(role: str) -> None:
    first = next(iter(tasks_of(yaml.safe_load((ROOT / f"roles/{role}/tasks/main.yml").read_text()))))
    assert first["ansible.builtin.import_tasks"] == "preflight.yml"
    check = yaml.safe_load((ROOT / f"roles/{role}/tasks/preflight.yml").read_text())[0]
    assert check["run_once"] is True
    assert check["ansible.builtin.assert"]["that"] == f"__{role}_unknown | length == 0"
    assert "sitewright.platform.unknown_variables" in check["vars"][f"__{role}_unknown"]


# A play of each role, as far as its first check, on two hosts of its own: the second is not rescued.
REFUSING = """
- hosts: {role}
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.include_role: {{name: sitewright.platform.{role}, tasks_from: preflight}}
      rescue:
        - ansible.builtin.debug: {{var: ansible_failed_result.msg}}
          run_once: true
"""


def test_every_role_refuses_a_variable_it_does_not_have_on_any_host_of_a_stranger(
    elsewhere: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "play.yml").write_text("".join(REFUSING.format(role=role) for role in ROLES))
    mistyped = {f"{role}_mistyped": 1 for role in ROLES} | {f"my_{role}": 1 for role in ROLES}
    known = {name: option.get("default", "") for role in ROLES for name, option in options_of(role).items()}
    # The check runs on the first host, for both.
    groups = {role: {"hosts": {f"{role}-one": None, f"{role}-two": mistyped}} for role in ROLES}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups, "vars": known}}))
    played = run(tmp_path, "ansible-playbook", "-i", "hosts.yml", "play.yml", **elsewhere)
    said = re.findall(r'result.msg": "The role has no variable (.*); see its README', played.stdout)
    alone = {role: f"{role}_mistyped" for role in ROLES} | {"base": "base_mistyped, repository_mistyped"}
    assert said == [alone[role] for role in ROLES], played.stdout + played.stderr


def options_of(role: str) -> dict[str, Any]:
    """What the role may be told, by all its ways in."""
    entries = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"].values()
    return {name: option for entry in entries for name, option in (entry.get("options") or {}).items()}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_an_example_that_says_all_it_must_be_told(role: str) -> None:
    [play] = yaml.safe_load((ROOT / f"examples/{role}.yml").read_text())
    [used] = play["roles"]
    assert used["role"] == f"sitewright.platform.{role}"
    given = used.get("vars") or {}
    wanted = {name for name, option in options_of(role).items() if option.get("required")}
    known = set(options_of(role)) | set(options_of("repository") if role == "base" else ())
    assert wanted <= set(given)
    assert set(given) <= known


def test_a_strangers_ansible_understands_every_example(elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    groups = ["engine", "etcd", "gateway", "postgresql", "rabbitmq", "redis", "repository", "worker"]
    inventory = {"all": {"children": {group: {"hosts": {"somewhere": None}} for group in groups}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    playbooks = [str(ROOT / f"examples/{role}.yml") for role in ROLES]
    checked = run(tmp_path, "ansible-playbook", "--syntax-check", "-i", "hosts.yml", *playbooks, **elsewhere)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
