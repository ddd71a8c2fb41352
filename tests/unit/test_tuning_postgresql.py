"""PostgreSQL's settings follow from the host, and fit it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.tuning import postgresql as tuning
from installer.tuning.postgresql import DatabaseHost

HOSTS = st.builds(
    DatabaseHost,
    memory_mb=st.integers(512, 512 * 1024),
    cores=st.integers(1, 128),
    client_pools=st.lists(st.integers(1, 60), max_size=8),
    wal_disk_mb=st.integers(1024, 16 * 1024 * 1024),
    rotational=st.booleans(),
)


def _number(value: str | int) -> int:
    return int(str(value).rstrip("kMB"))


def test_a_rehearsal_host_of_two_gigabytes_gets_half_a_gigabyte_of_buffers() -> None:
    settings = tuning.settings(DatabaseHost(memory_mb=2048, cores=2, client_pools=(30, 30)))
    assert settings["shared_buffers"] == "512MB"
    assert settings["effective_cache_size"] == "1536MB"
    assert settings["work_mem"] == "4854kB"
    assert settings["maintenance_work_mem"] == "128MB"
    assert settings["max_connections"] == 100
    assert settings["huge_pages"] == "off"


def test_a_production_host_of_sixty_four_gigabytes_follows_the_formulas() -> None:
    settings = tuning.settings(DatabaseHost(memory_mb=65536, cores=16, client_pools=(30,) * 4, wal_disk_mb=204800))
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
    settings = tuning.settings(DatabaseHost(memory_mb=4096, cores=4, rotational=True))
    assert (settings["random_page_cost"], settings["effective_io_concurrency"]) == ("4", 2)


@given(HOSTS)
def test_buffers_and_every_connections_first_sort_fit_the_memory(host: DatabaseHost) -> None:
    settings = tuning.settings(host)
    buffers_kb = _number(settings["shared_buffers"]) * 1024
    floor = 4 * 1024
    sort_kb = _number(settings["work_mem"])
    assert sort_kb == floor or buffers_kb + sort_kb * _number(settings["max_connections"]) <= host.memory_mb * 1024


@given(HOSTS)
def test_every_setting_has_a_reason_and_a_source(host: DatabaseHost) -> None:
    assert all(setting.formula and setting.source for setting in tuning.explain(host))
    assert len(tuning.settings(host)) == len(tuning.explain(host))


@given(HOSTS, HOSTS)
def test_a_cluster_gets_what_its_smallest_host_can_bear(one: DatabaseHost, other: DatabaseHost) -> None:
    least = tuning.smallest([one, other])
    assert least.memory_mb == min(one.memory_mb, other.memory_mb)
    assert least.cores == min(one.cores, other.cores)
    assert least.wal_disk_mb == min(one.wal_disk_mb, other.wal_disk_mb)


def test_a_cluster_without_hosts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one host"):
        tuning.smallest([])


def test_a_database_beside_the_engine_plans_with_a_quarter() -> None:
    assert not tuning.is_dedicated(["engine", "postgresql"])
    assert tuning.planned_memory_mb(16384, dedicated=False) == 4096


def test_a_database_host_may_vote_and_keep_its_memory() -> None:
    assert tuning.is_dedicated(["postgresql", "etcd"])
    assert tuning.planned_memory_mb(16384, dedicated=True) == 16384


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


def test_only_a_dedicated_host_refuses_to_overcommit() -> None:
    assert tuning.kernel_settings(dedicated=True)["vm.overcommit_memory"] == 2
    assert "vm.overcommit_memory" not in tuning.kernel_settings(dedicated=False)
