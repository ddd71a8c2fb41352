"""What others read of the roles' variables: resolved once, one value for a role's hosts, nobody's port taken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from installer.documents import DocumentError
from installer.manifests import load_manifests
from installer.manifests.shared import data_directories_of, listeners_of
from installer.site import Site, load_site

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = load_manifests(ROOT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of hospital-a to change."""
    folder = tmp_path / "inventories" / "hospital-a"
    shutil.copytree(ROOT / "inventories" / "hospital-a", folder)
    return folder


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"---\n{text}\n")


def _load(folder: Path) -> Site:
    return load_site(folder, manifests=MANIFESTS)


def _refused(folder: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        _load(folder)
    return f"{caught.value.message}\n{caught.value.hint}"


def test_what_nobody_set_has_the_default_of_its_role(folder: Path) -> None:
    resolved = _load(folder).resolved()
    assert resolved["settings"]["redis_port"] == 6379
    assert resolved["settings"]["redis_master_name"] == "sitewright"
    assert resolved["hosts"]["db1"]["settings"]["postgresql_data_directory"] == "/var/lib/postgresql/17/sitewright"
    assert "postgresql_data_directory" not in resolved["hosts"]["gw1"]["settings"]


def test_what_the_operator_sets_is_what_everybody_reads(folder: Path) -> None:
    _write(folder, "group_vars/redis.yml", "redis_port: 16379")
    _write(
        folder, "host_vars/db2.yml", "postgresql_data_directory: /srv/pg/data\npostgresql_wal_directory: /srv/wal/data"
    )
    resolved = _load(folder).resolved()
    assert 16379 in {listener.port for listener in listeners_of(resolved, "svc1", MANIFESTS)}
    assert 6379 not in {listener.port for listener in listeners_of(resolved, "svc1", MANIFESTS)}
    assert data_directories_of(resolved, "db1", MANIFESTS) == ["/var/lib/postgresql/17/sitewright"]
    assert data_directories_of(resolved, "db2", MANIFESTS) == ["/srv/pg/data", "/srv/wal/data"]


def test_a_size_the_operator_sets_for_one_host_is_seen_by_others(folder: Path) -> None:
    _write(folder, "host_vars/app2.yml", "engine_pool_size: 60")
    hosts = _load(folder).resolved()["hosts"]
    assert hosts["app2"]["settings"]["engine_pool_size"] == 60
    assert "engine_pool_size" not in hosts["app1"]["settings"]


@pytest.mark.parametrize("host", ["svc1", "svc3"])
def test_hosts_of_a_role_that_differ_in_what_others_read_are_refused(folder: Path, host: str) -> None:
    _write(folder, f"host_vars/{host}.yml", "redis_port: 16379")
    said = _refused(folder)
    assert f"{host}.yml:2: redis_port of" in said
    assert "16379" in said
    assert "6379, but others need one for all" in said
    assert "set redis_port once" in said


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "redis",
            "redis_port: 5671",
            "port 5671 of svc1 is wanted by Redis data and replication, but RabbitMQ clients",
        ),
        (
            "etcd",
            "etcd_client_port: 2380",
            "port 2380 of svc1 is wanted by etcd members among themselves, but etcd clie",
        ),
    ],
)
def test_a_port_another_listener_of_the_host_has_is_refused(folder: Path, file: str, text: str, said: str) -> None:
    _write(folder, f"group_vars/{file}.yml", text)
    assert f"{file}.yml:2: {said}" in _refused(folder)


def test_the_port_of_ssh_is_the_inventorys(folder: Path) -> None:
    hosts = folder / "hosts.yml"
    hosts.write_text(
        hosts.read_text().replace("ansible_user: sitewright", "ansible_user: sitewright\n    ansible_port: 6379")
    )
    assert "port 6379 of svc1 is wanted by Redis data and replication, but SSH has it" in _refused(folder)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("redis_address: 10.20.0.99", "remove it; describe the site"),
        ("gateway_engine_port: 9443", "set engine_port instead"),
        ("engine_database_port: 6432", "set postgresql_port instead"),
        ("worker_redis_master: other", "set redis_master_name instead"),
        ("worker_rabbitmq_vhost: other", "set rabbitmq_vhost instead"),
        ("models_engine_user: root", "set engine_admin_user instead"),
    ],
)
def test_what_follows_from_the_site_is_not_set_by_hand(folder: Path, text: str, fix: str) -> None:
    _write(folder, "group_vars/all/more.yml", text)
    said = _refused(folder)
    assert f"more.yml:2: {text.split(':', maxsplit=1)[0]} follows from the site" in said
    assert fix in said


def test_a_size_the_installer_computes_may_be_set_to_something_better(folder: Path) -> None:
    _write(folder, "group_vars/redis.yml", "redis_maxmemory_mb: 300")
    assert _load(folder).settings_of("svc1")["redis_maxmemory_mb"] == 300
