"""Who may connect becomes lines of pg_hba.conf."""

from __future__ import annotations

from plugins.filter.postgresql_access import postgresql_hba
from plugins.filter.postgresql_tuning import postgresql_kernel, postgresql_tuned

SITE = {
    "rehearsal": False,
    "groups": {"postgresql": ["db1", "db2"], "engine": ["app1", "app2"]},
    "hosts": {"db1": {"groups": ["postgresql"]}, "db2": {"groups": ["postgresql", "redis"]}},
}


def test_each_network_of_a_rule_is_a_line_that_demands_tls() -> None:
    rule = {"database": "engine", "user": "engine", "networks": ["10.0.0.1/32", "10.0.0.2/32"]}
    assert postgresql_hba([rule]) == [
        "hostssl engine engine 10.0.0.1/32 scram-sha-256",
        "hostssl engine engine 10.0.0.2/32 scram-sha-256",
    ]


def test_a_certificate_is_demanded_where_the_rule_says_so() -> None:
    rule = {"database": "all", "user": "dba", "networks": ["10.0.0.0/24"], "client_certificate": True}
    assert postgresql_hba([rule]) == ["hostssl all dba 10.0.0.0/24 scram-sha-256 clientcert=verify-ca"]


def test_the_settings_fit_the_host_that_shares_its_memory() -> None:
    disk = [{"mount": "/", "size_total": 100 * 1024**3}]
    settings = postgresql_tuned(
        SITE, memory_mb=[8192, 8192], cores=[4, 2], mounts=[disk, disk], wal_directory="/var/lib", pools=[20, 60]
    )
    assert settings["shared_buffers"] == "512MB"
    assert settings["max_parallel_workers"] == 1
    assert settings["max_connections"] == 138
    assert settings["max_slot_wal_keep_size"] == "30720MB"


def test_only_the_dedicated_host_refuses_to_overcommit() -> None:
    assert "vm.overcommit_memory" in postgresql_kernel(SITE, "db1")
    assert "vm.overcommit_memory" not in postgresql_kernel(SITE, "db2")
