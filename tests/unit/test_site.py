"""What a site may say, and what is refused before any host is touched."""

from __future__ import annotations

import json
import os
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from installer.documents import DocumentError
from installer.manifests import RoleManifest, load_manifests
from installer.site import load_site
from installer.site.runtime import RehearsalConnection, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.site import Site

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2027, 1, 15)
SPECIFICATION = """
argument_specs:
  main:
    options:
      engine_pool_size: {type: int, default: 30, description: Connections of an engine.}
      engine_mode: {type: str, choices: [fast, safe], default: safe, description: Mode.}
      engine_users: {type: list, elements: dict, description: Users., options: {name: {type: str, required: true}}}
      engine_admin_password: {type: str, required: true, no_log: true, description: Secret.}
      postgresql_settings: {type: dict, default: {}, description: Free.}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> dict[str, RoleManifest]:
    """One role with variables of every kind."""
    meta = tmp_path / "checkout" / "roles" / "engine" / "meta"
    meta.mkdir(parents=True)
    (meta / "sitewright.yml").write_text("group: engine\n")
    (meta / "argument_specs.yml").write_text(SPECIFICATION)
    application = Path("payloads", "revenue-cycle", "application.yml")
    (tmp_path / "checkout" / application).parent.mkdir(parents=True)
    shutil.copy(ROOT / application, tmp_path / "checkout" / application)
    return load_manifests(tmp_path / "checkout")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of hospital-a to spoil."""
    folder = tmp_path / "inventories" / "hospital-a"
    shutil.copytree(ROOT / "inventories" / "hospital-a", folder)
    return folder


@pytest.fixture
def load(folder: Path, manifests: dict[str, RoleManifest]) -> Callable[..., Site]:
    """Load the copy."""

    def load(**options: Any) -> Site:
        return load_site(folder, manifests=manifests, today=TODAY, **options)

    return load


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _settings(folder: Path) -> Path:
    return folder / "group_vars" / "all" / "site.yml"


def _refused(load: Callable[..., Site], **options: Any) -> str:
    with pytest.raises(DocumentError) as caught:
        load(**options)
    assert caught.value.exit_code == 2
    return f"{caught.value.message}\n{caught.value.hint}"


@pytest.mark.parametrize(("site", "hosts"), [("hospital-a", 10), ("clinic", 1)])
def test_the_inventories_of_this_repository_are_valid(site: str, hosts: int) -> None:
    loaded = load_site(ROOT / "inventories" / site, manifests=load_manifests(ROOT))
    assert (loaded.name, len(loaded.hosts)) == (site, hosts)


def test_the_site_variable_has_the_agreed_shape(load: Callable[..., Site]) -> None:
    resolved = load().resolved()
    assert list(resolved) == [
        *(
            "name",
            "site_class",
            "domain",
            "public_name",
            "engine_name",
            "network",
            "virtual_ip",
            "timezone",
            "rehearsal",
        ),
        *("hosts", "groups", "applications", "settings", "waivers"),
    ]
    assert resolved["groups"]["etcd"] == ["svc1", "svc2", "svc3"]
    assert resolved["hosts"]["db1"] == {
        "address": "10.20.0.31",
        "fqdn": "db1.hospital-a.internal",
        "groups": ["postgresql"],
        "memory_mb": None,
        "cores": None,
        "settings": {},
    }
    assert json.loads(json.dumps(resolved)) == resolved


def test_a_rehearsal_plans_with_small_hosts_and_the_clinic_with_one_larger(load: Callable[..., Site]) -> None:
    assert load(rehearsal=True).resolved()["hosts"]["db1"]["memory_mb"] == 2048
    clinic = load_site(ROOT / "inventories" / "clinic", manifests=load_manifests(ROOT), rehearsal=True)
    assert clinic.resolved()["hosts"]["clinic1"]["memory_mb"] == 6144
    assert clinic.resolved()["hosts"]["clinic1"]["cores"] == 2


def test_every_key_of_the_site_knows_where_it_was_written(folder: Path, load: Callable[..., Site]) -> None:
    source = load().sources["virtual_ip"]
    assert "virtual_ip" in source.path.read_text().splitlines()[source.line - 1]
    assert source.path == _settings(folder)


def test_the_digest_follows_the_settings_and_not_the_login(folder: Path, load: Callable[..., Site]) -> None:
    before = load().digest()
    _edit(folder / "hosts.yml", "ansible_user: sitewright", "ansible_user: anna")
    assert load().digest() == before
    with _settings(folder).open("a") as stream:
        stream.write("engine_pool_size: 20\n")
    assert load().digest() != before


SPOILED: list[tuple[str, str, str, str, list[str]]] = [
    ("an unknown key", "site", "virtual_ip:", "virtual_pi:", ["virtual_pi is not known", "did you mean virtual_ip?"]),
    ("a wrong type", "site", "name: hospital-a", "name: 7", ["sitewright.name is 7", "text"]),
    ("a missing value", "site", "  domain: hospital-a.internal\n", "", ["sitewright.domain is missing"]),
    ("an unknown class", "site", "site_class: production", "site_class: prod", ["'prod'", "'staging'"]),
    ("a bad network", "site", "10.20.0.0/24", "10.20.0.0/33", ["sitewright.network", "like 10.20.0.0/24"]),
    ("an unknown time zone", "site", "timezone: UTC", "timezone: Europe/Viena", ["Europe/Viena", "Europe/Vienna"]),
    (
        "an unknown application",
        "site",
        "[revenue-cycle]",
        "[revenue-cycl]",
        ["no application revenue-cycl", "did you mean revenue-cycle?"],
    ),
    ("no application", "site", "[revenue-cycle]", "[]", ["applications is missing", "applications: [revenue-cycle]"]),
    ("an application named twice", "site", "[revenue-cycle]", "[revenue-cycle, revenue-cycle]", ["is named twice"]),
    ("a virtual IP outside", "site", "10.20.0.10", "10.99.0.10", ["virtual_ip 10.99.0.10 is outside of 10.20.0.0/24"]),
    ("a virtual IP in use", "site", "10.20.0.10", "10.20.0.31", ["virtual_ip 10.20.0.31 is the address of db1"]),
    ("a name in use", "site", "workflow.hos", "db1.hos", ["public_name db1.hospital-a.internal is the name of db1"]),
    ("a key twice", "site", "timezone: UTC", "name: b\n  timezone: UTC", ["name is written twice, first in line"]),
    ("broken YAML", "hosts", "  children:", "  children: [", ["hosts.yml:", "is not YAML"]),
    ("an address twice", "hosts", "10.20.0.22", "10.20.0.21", ["app2 has the address 10.20.0.21, which app1 has too"]),
    ("an address outside", "hosts", "10.20.0.22", "10.21.0.22", ["app2 has the address 10.21.0.22 outside"]),
    ("no address", "hosts", "{ansible_host: 10.20.0.22}", "{}", ["app2 has no address", "add ansible_host"]),
    ("a name for an address", "hosts", "10.20.0.22", "app2.example", ["ansible_host of app2 is 'app2.example'"]),
    ("an unknown group", "hosts", "    redis:", "    reddis:", ["there is no group reddis", "did you mean redis?"]),
    (
        "a host in no group",
        "hosts",
        "    gw1: {",
        "    gw9: {ansible_host: 10.20.0.9}\n    gw1: {",
        ["gw9 is in no group"],
    ),
    ("an unknown variable", "hosts", "ansible_user:", "ansible_usr:", ["ansible_usr is not known", "ansible_user?"]),
    ("a template", "site", "timezone: UTC", "timezone: '{{ zone }}'", ["is '{{ zone }}', not a time zone"]),
    ("a tag", "site", "timezone: UTC", "timezone: !vault x", ["has the tag !vault"]),
]


@pytest.mark.parametrize(("file", "old", "new", "said"), [case[1:] for case in SPOILED], ids=[c[0] for c in SPOILED])
def test_it_is_refused(  # one sentence per case above
    folder: Path, load: Callable[..., Site], file: str, old: str, new: str, said: list[str]
) -> None:
    path = folder / "hosts.yml" if file == "hosts" else _settings(folder)
    _edit(path, old, new)
    text = _refused(load)
    assert str(path) in text
    for part in said:
        assert part in text


def test_an_even_number_of_voters_is_refused_for_every_group_that_votes(
    folder: Path, load: Callable[..., Site]
) -> None:
    hosts = folder / "hosts.yml"
    hosts.write_text("\n".join(line for line in hosts.read_text().splitlines() if "svc3" not in line) + "\n")
    text = _refused(load)
    for group in ("etcd", "redis", "rabbitmq"):
        assert f"the group {group} has 2 hosts, but its members vote: the number must be odd" in text


def test_a_group_the_platform_needs_may_not_be_empty(folder: Path, load: Callable[..., Site]) -> None:
    _edit(folder / "hosts.yml", "    repository:\n      hosts:\n        ops1:\n", "")
    assert "the group repository has no host" in _refused(load)


def test_several_errors_are_listed_at_once(folder: Path, load: Callable[..., Site]) -> None:
    _edit(_settings(folder), "virtual_ip:", "virtual_pi:")
    _edit(folder / "hosts.yml", "    redis:", "    reddis:")
    text = _refused(load)
    assert "virtual_pi is not known" in text
    assert "virtual_ip is missing" in text
    assert "there is no group reddis" in text


def test_two_inventories_may_not_have_one_site_name(folder: Path, load: Callable[..., Site]) -> None:
    shutil.copytree(folder, folder.with_name("hospital-b"))
    assert "the name hospital-a is also used by" in _refused(load)


def test_an_inventory_that_does_not_exist_is_answered_with_the_ones_that_do(
    folder: Path, manifests: dict[str, RoleManifest]
) -> None:
    with pytest.raises(DocumentError) as caught:
        load_site(folder.with_name("hospitl-a"), manifests=manifests)
    assert caught.value.hint == "did you mean hospital-a?"


VARIABLES: list[tuple[str, str, list[str]]] = [
    ("unknown", "engine_pool_sise: 5", ["engine_pool_sise is not known", "did you mean engine_pool_size?"]),
    ("type", "engine_pool_size: many", ["engine_pool_size is 'many'", "a whole number"]),
    ("boolean for a number", "engine_pool_size: yes", ["engine_pool_size is True", "a whole number"]),
    ("choice", "engine_mode: quick", ["engine_mode is 'quick'", "allowed: fast, safe"]),
    ("template", "engine_mode: '{{ mode }}'", ["engine_mode is a template"]),
    ("secret", "engine_admin_password: x", ["engine_admin_password is a secret", "vault"]),
    ("inner key", "engine_users: [{nam: a}]", ["engine_users.0.nam is not known", "engine_users.0.name is missing"]),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in VARIABLES], ids=[c[0] for c in VARIABLES])
def test_a_role_variable_is_checked_by_name_type_and_choice(
    folder: Path, load: Callable[..., Site], text: str, said: list[str]
) -> None:
    path = folder / "group_vars" / "engine.yml"
    path.write_text(f"---\n{text}\n")
    refusal = _refused(load)
    assert f"{path}:2" in refusal
    for part in said:
        assert part in refusal


def test_the_narrower_scope_wins_and_keeps_its_source(folder: Path, load: Callable[..., Site]) -> None:
    with _settings(folder).open("a") as stream:
        stream.write("engine_pool_size: 10\n")
    (folder / "group_vars" / "engine.yml").write_text("engine_pool_size: 20\n")
    (folder / "host_vars").mkdir()
    (folder / "host_vars" / "app2.yml").write_text("engine_pool_size: 25\n")
    hosts = load().hosts
    sizes = {name: hosts[name].settings["engine_pool_size"].value for name in ("db1", "app1", "app2")}
    assert sizes == {"db1": 10, "app1": 20, "app2": 25}
    assert hosts["app2"].settings["engine_pool_size"].source.path.name == "app2.yml"


def test_two_groups_of_a_host_may_not_disagree(folder: Path, load: Callable[..., Site]) -> None:
    (folder / "group_vars" / "engine.yml").write_text("engine_mode: fast\n")
    (folder / "group_vars" / "worker.yml").write_text("engine_mode: safe\n")
    assert "engine_mode of app1 is also set in" in _refused(load)


def test_pools_larger_than_the_databases_connections_are_refused(folder: Path, load: Callable[..., Site]) -> None:
    with _settings(folder).open("a") as stream:
        stream.write("engine_pool_size: 50\npostgresql_settings: {max_connections: 100}\n")
    text = _refused(load)
    assert "(50 + 50) and 25 reserved connections need 125, but PostgreSQL's max_connections is 100" in text
    assert "set engine_pool_size to at most 37" in text


def test_the_default_pool_counts_when_only_the_limit_is_set(folder: Path, load: Callable[..., Site]) -> None:
    with _settings(folder).open("a") as stream:
        stream.write("postgresql_settings: {max_connections: 80}\n")
    assert "(30 + 30)" in _refused(load)


def test_an_inventory_and_its_parts_may_be_links(folder: Path, manifests: dict[str, RoleManifest]) -> None:
    beside = folder.parent / "today"
    beside.symlink_to(folder)
    assert load_site(beside, manifests=manifests, today=TODAY).name == "hospital-a"
    elsewhere = folder.parent.parent / "elsewhere"
    (folder / "group_vars" / "all").rename(elsewhere)
    (folder / "group_vars" / "all").symlink_to(elsewhere)
    assert load_site(folder, manifests=manifests, today=TODAY).name == "hospital-a"


def test_variables_may_be_written_as_json(folder: Path, load: Callable[..., Site]) -> None:
    (folder / "group_vars" / "engine.json").write_text('{\n\t"engine_pool_size": 12\n}\n')
    setting = load().hosts["app1"].settings["engine_pool_size"]
    assert (setting.value, setting.source.line) == (12, 2)


@pytest.mark.parametrize("name", ["localhost", "all", "ungrouped", "engine"])
def test_a_host_may_not_have_a_name_that_ansible_reads_otherwise(
    name: str, folder: Path, load: Callable[..., Site]
) -> None:
    _edit(folder / "hosts.yml", "ops1:", f"{name}:")
    assert f"hosts.yml:14: {name} cannot be the name of a host: it has a meaning" in _refused(load)


def test_what_stands_where_files_of_variables_belong_is_never_overlooked(
    folder: Path, load: Callable[..., Site]
) -> None:
    os.mkfifo(folder / "group_vars" / "all" / "pipe.yml")
    (folder / "host_vars").write_text("ansible_port: 22\n")
    (folder / "group_vars" / "engine").mkdir()
    (folder / "group_vars" / "engine" / "round").symlink_to(folder / "group_vars")
    said = _refused(load)
    assert "pipe.yml: is a pipe" in said
    assert "host_vars:1: is not a readable folder: Not a directory" in said
    assert "remove the link that leads in a circle" in said


def _waive(folder: Path, waiver: str) -> None:
    _settings(folder).write_text(_settings(folder).read_text().partition("  waivers:")[0] + f"  waivers: [{waiver}]\n")


def test_a_waiver_needs_a_reason_a_known_check_and_a_day_to_come(folder: Path, load: Callable[..., Site]) -> None:
    _waive(folder, "{check: cpu-core, host: gw7, reason: ' ', expires: 2027-01-14}")
    assert "waivers.0.reason is empty" in _refused(load)
    _edit(_settings(folder), "' '", "old machine")
    text = _refused(load, check_ids={"cpu-cores", "memory"})
    assert "there is no check cpu-core" in text
    assert "did you mean cpu-cores?" in text
    assert "there is no host gw7" in text
    assert "expired on 2027-01-14" in text


@pytest.mark.parametrize("day", ["2027-01-15", "'2027-01-15'"])
def test_a_good_waiver_is_kept_with_its_place(day: str, folder: Path, load: Callable[..., Site]) -> None:
    _waive(folder, f"{{check: cpu-cores, host: gw1, reason: new one ordered, expires: {day}}}")
    (waiver,) = load(check_ids={"cpu-cores"}).waivers
    assert (waiver.check, waiver.host, waiver.expires) == ("cpu-cores", "gw1", TODAY)
    assert waiver.source.path == _settings(folder)


def test_the_runtime_inventory_links_the_vault_and_sets_nothing_for_the_controller(
    load: Callable[..., Site], tmp_path: Path
) -> None:
    vault = tmp_path / "vault.yml"
    vault.write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    extra = {"sitewright_pki_dir": "/pki"}
    path = write(load(), tmp_path / "run" / "inventory", vault_file=vault, extra=extra, python_as_root=False)
    everyone = json.loads(path.read_text())["all"]
    assert everyone["vars"]["site"]["name"] == "hospital-a"
    assert everyone["vars"]["sitewright_pki_dir"] == "/pki"
    assert not [name for name in everyone["vars"] if name.startswith("ansible_")]
    assert everyone["hosts"]["db1"] == {
        "ansible_become": True,
        "ansible_host": "10.20.0.31",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_user": "sitewright",
    }
    link = path.parent / "group_vars" / "all" / "vault.yml"
    assert link.is_symlink()
    assert link.resolve() == vault


def test_a_rehearsal_is_reached_by_its_own_key_whatever_the_inventory_says(
    load: Callable[..., Site], tmp_path: Path
) -> None:
    connection = RehearsalConnection(user="sitewright", private_key=Path("/r/key"), known_hosts=Path("/r/known hosts"))
    for _again in range(2):
        path = write(
            load(rehearsal=True),
            tmp_path / "inventory",
            vault_file=tmp_path / "v",
            extra={},
            python_as_root=False,
            connection=connection,
        )
    db1 = json.loads(path.read_text())["all"]["hosts"]["db1"]
    assert db1["ansible_ssh_private_key_file"] == "/r/key"
    assert '"UserKnownHostsFile=/r/known hosts"' in db1["ansible_ssh_common_args"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["checkout", "inventories", "inventory"]


def test_python_starts_as_root_only_where_the_hospital_has_no_way_of_its_own(
    folder: Path, load: Callable[..., Site], tmp_path: Path
) -> None:
    def connection_of(host: str) -> tuple[bool, str]:
        path = write(load(), tmp_path / "run", vault_file=tmp_path / "v", extra={}, python_as_root=True)
        variables = json.loads(path.read_text())["all"]["hosts"][host]
        return variables["ansible_become"], variables["ansible_python_interpreter"]

    assert connection_of("db1") == (False, "sudo -n -H -u root -- /usr/bin/python3")
    own = folder / "host_vars"
    own.mkdir(exist_ok=True)
    (own / "db1.yml").write_text("---\nansible_user: root\n")
    assert connection_of("db1") == (True, "/usr/bin/python3")
    (own / "db1.yml").write_text("---\nansible_python_interpreter: /opt/python\n")
    assert connection_of("db1") == (True, "/opt/python")
