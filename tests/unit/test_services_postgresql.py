"""PostgreSQL's settings follow from the host, and fit it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.services.formulas import postgresql as tuning
from installer.services.formulas.postgresql import DatabaseHost
from installer.services.hosts import explain

HOSTS = st.builds(
    DatabaseHost,
    memory_mb=st.integers(512, 512 * 1024),
    cores=st.integers(1, 128),
    client_pools=st.lists(st.integers(1, 60), max_size=8),
    wal_disk_mb=st.integers(1024, 16 * 1024 * 1024),
    rotational=st.booleans(),
)


SITE = {
    "rehearsal": False,
    "groups": {"postgresql": ["db1", "db2"], "engine": ["app1", "app2"]},
    "hosts": {"db1": {"groups": ["postgresql"]}, "db2": {"groups": ["postgresql", "redis"]}},
}


def settings_of(host: DatabaseHost) -> dict[str, str | int | bool]:
    return {setting.name: setting.value for setting in tuning.explain(host)}


def _number(value: str | int | bool) -> int:
    return int(str(value).rstrip("kMB"))


def test_a_rehearsal_host_of_two_gigabytes_gets_half_a_gigabyte_of_buffers() -> None:
    settings = settings_of(DatabaseHost(memory_mb=2048, cores=2, client_pools=(30, 30)))
    assert settings["shared_buffers"] == "512MB"
    assert settings["effective_cache_size"] == "1536MB"
    assert settings["work_mem"] == "4854kB"
    assert settings["maintenance_work_mem"] == "128MB"
    assert settings["max_connections"] == 100
    assert settings["huge_pages"] == "off"


def test_a_production_host_of_sixty_four_gigabytes_follows_the_formulas() -> None:
    settings = settings_of(DatabaseHost(memory_mb=65536, cores=16, client_pools=(30,) * 4, wal_disk_mb=204800))
    assert settings["shared_buffers"] == "16384MB"
    assert settings["huge_pages"] == "try"
    assert settings["max_connections"] == 175
    assert settings["maintenance_work_mem"] == "2048MB"
    assert settings["max_wal_size"] == "32768MB"
    assert settings["min_wal_size"] == "8192MB"
    assert settings["max_slot_wal_keep_size"] == "61440MB"
    assert settings["max_parallel_workers"] == 8
    assert settings["autovacuum_max_workers"] == 4


def test_connections_hold_every_pool_and_a_quarter_more_and_operation() -> None:
    assert tuning.max_connections((30, 30)) == 100
    assert tuning.max_connections((30, 30, 30, 31)) == 177


def test_rotating_disks_make_random_reads_dear() -> None:
    settings = settings_of(DatabaseHost(memory_mb=4096, cores=4, rotational=True))
    assert (settings["random_page_cost"], settings["effective_io_concurrency"]) == ("4", 2)


@given(HOSTS)
def test_buffers_and_every_connections_first_sort_fit_the_memory(host: DatabaseHost) -> None:
    settings = settings_of(host)
    buffers_kb = _number(settings["shared_buffers"]) * 1024
    floor = 4 * 1024
    sort_kb = _number(settings["work_mem"])
    assert sort_kb == floor or buffers_kb + sort_kb * _number(settings["max_connections"]) <= host.memory_mb * 1024


@given(HOSTS)
def test_every_setting_has_a_reason_and_a_source(host: DatabaseHost) -> None:
    assert all(setting.formula and setting.source for setting in tuning.explain(host))
    assert len(settings_of(host)) == len(tuning.explain(host))


@given(HOSTS, HOSTS)
def test_a_cluster_gets_what_its_smallest_host_can_bear(one: DatabaseHost, other: DatabaseHost) -> None:
    least = tuning.smallest([one, other])
    assert least.memory_mb == min(one.memory_mb, other.memory_mb)
    assert least.cores == min(one.cores, other.cores)
    assert least.wal_disk_mb == min(one.wal_disk_mb, other.wal_disk_mb)


def test_a_cluster_without_hosts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one host"):
        tuning.smallest([])


def test_the_disk_of_a_path_is_the_innermost_mount() -> None:
    gigabyte = 1024 * 1024 * 1024
    mounts = [
        {"mount": "/", "size_total": 20 * gigabyte},
        {"mount": "/var/lib/postgresql", "size_total": 500 * gigabyte},
        {"mount": "/var/lib/post", "size_total": 7 * gigabyte},
    ]
    path = "/var/lib/postgresql/17/sitewright"
    assert tuning.disk_mb(mounts, path, fallback_mb=1) == 500 * 1024
    assert tuning.disk_mb(mounts[:1], path, fallback_mb=1) == 20 * 1024
    assert tuning.disk_mb([], path, fallback_mb=1) == 1


def test_the_settings_fit_the_host_that_shares_its_memory() -> None:
    disk = [{"mount": "/", "size_total": 100 * 1024**3}]
    facts = {
        "memory_mb": [8192, "8192"],
        "cores": [4, "2"],
        "mounts": [disk, disk],
        "wal_directory": "/var/lib",
        "pools": {"engine": 60},
    }
    settings = {setting.name: setting.value for setting in explain(SITE, "db1", "postgresql", facts)}
    assert settings["shared_buffers"] == "1365MB"  # of 8192 MB, 8 of 12 parts beside Redis
    assert settings["max_parallel_workers"] == 1
    assert settings["max_connections"] == 175
    assert settings["max_slot_wal_keep_size"] == "30720MB"


def test_a_pool_that_may_grow_restarts_nothing() -> None:
    facts = {
        "memory_mb": [8192] * 2,
        "cores": [4] * 2,
        "mounts": [[]] * 2,
        "wal_directory": "/",
        "pools": {"engine": 1},
    }
    settings = {setting.name: setting.value for setting in explain(SITE, "db1", "postgresql", facts)}
    assert settings["max_connections"] == tuning.max_connections((30, 30))
