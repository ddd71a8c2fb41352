"""What an operator finds: one primary, a synchronous standby, and no way in without TLS 1.3."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

TLS = "/etc/sitewright/tls"
testinfra_hosts = ["postgresql"]


def _address(host: Host) -> str:
    return host.check_output("hostname --all-ip-addresses").split()[0]


def _members(host: Host) -> list[dict[str, Any]]:
    own = f"--cert {TLS}/patroni/tls.crt --key {TLS}/patroni/tls.key"
    with host.sudo():
        answer = host.check_output(
            f"curl --silent --cacert {TLS}/patroni/ca.crt {own} https://{_address(host)}:8008/cluster"
        )
    members: list[dict[str, Any]] = json.loads(answer)["members"]
    return members


def _sql(host: Host, query: str, database: str = "postgres") -> list[str]:
    argv = (
        "psql --no-psqlrc --tuples-only --no-align --host=/run/postgresql --username=postgres --dbname=%s --command=%s"
    )
    return host.check_output(argv, database, query).splitlines()


def _is_primary(host: Host) -> bool:
    return _sql(host, "SELECT pg_is_in_recovery()") == ["f"]


def test_there_is_one_primary_and_its_standby_is_synchronous(host: Host) -> None:
    members = _members(host)
    assert sorted((member["role"], member["state"]) for member in members) == [
        ("leader", "running"),
        ("sync_standby", "streaming"),
    ]


def test_the_standby_streams_over_tls_1_3(host: Host) -> None:
    if not _is_primary(host):
        return
    query = "SELECT state, sync_state, version FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)"
    assert _sql(host, query) == ["streaming|sync|TLSv1.3"]


def test_checksums_and_a_sort_order_that_no_library_changes(host: Host) -> None:
    assert _sql(host, "SHOW data_checksums") == ["on"]
    query = "SELECT DISTINCT datlocprovider, datlocale, pg_encoding_to_char(encoding) FROM pg_database"
    assert _sql(host, query) == ["b|C.UTF-8|UTF8"]


def test_the_engine_owns_its_database_and_only_the_monitor_may_look_in(host: Host) -> None:
    assert _sql(host, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'engine'") == ["engine"]
    query = (
        "SELECT has_database_privilege('monitor', 'engine', 'CONNECT'), pg_has_role('monitor', 'pg_monitor', 'USAGE')"
    )
    assert _sql(host, query) == ["t|t"]
    query = (
        "SELECT count(*) FROM pg_database, aclexplode(datacl)"
        " WHERE datname = 'engine' AND grantee = 0 AND privilege_type = 'CONNECT'"
    )
    assert _sql(host, query) == ["0"]


def test_passwords_are_kept_as_scram_verifiers(host: Host) -> None:
    query = "SELECT count(*) FROM pg_authid WHERE rolcanlogin AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'"
    assert _sql(host, query) == ["0"]


def test_tls_1_2_is_refused_by_postgresql_and_patroni(host: Host) -> None:
    for how in ("5432 -starttls postgres", "8008"):
        said = host.run(f"openssl s_client -tls1_2 -connect {_address(host)}:{how} </dev/null")
        assert "alert protocol version" in said.stderr, said.stderr


def test_a_connection_without_tls_is_refused(host: Host) -> None:
    dsn = f"host={_address(host)} user=monitor dbname=engine sslmode=disable password=wrong"
    said = host.run("psql --no-psqlrc %s --command='SELECT 1'", dsn)
    assert said.rc != 0
    assert "no pg_hba.conf entry" in said.stderr


def test_patroni_says_nothing_without_a_certificate(host: Host) -> None:
    for path in ("", "config", "cluster", "metrics"):
        said = host.run(
            f"curl --silent --show-error --cacert {TLS}/patroni/ca.crt https://{_address(host)}:8008/{path}"
        )
        assert (said.rc != 0, said.stdout) == (True, ""), said.stderr
    # Why: a client that speaks at once may meet a closed connection before it has read the alert; this one waits.
    asked = f"sleep 2 | openssl s_client -CAfile {TLS}/patroni/ca.crt -connect {_address(host)}:8008"
    assert "alert certificate required" in host.run(asked).stderr


def test_secrets_are_hidden_from_other_users(host: Host) -> None:
    config = host.file("/etc/patroni/config.yml")
    assert (config.user, config.group, config.mode) == ("root", "postgres", 0o640)


def test_the_packages_own_cluster_was_never_made(host: Host) -> None:
    assert not host.file("/var/lib/postgresql/17/main").exists
    assert host.check_output("systemctl show --property=LoadState --value postgresql@17-main.service") == "masked"


def test_the_sandbox_holds(host: Host) -> None:
    judged = host.run("systemd-analyze security --threshold=30 patroni.service")
    assert judged.rc == 0, judged.stdout[-200:]


def test_an_interrupted_change_was_taken_back_to_what_the_inventory_says(host: Host) -> None:
    waiting = _sql(host, "SELECT name FROM pg_settings WHERE pending_restart")
    assert waiting == []
    assert _sql(host, "SHOW max_connections") == ["100"]


def test_who_reads_or_changes_rows_by_hand_is_written_down_and_no_password(host: Host) -> None:
    if not _is_primary(host):
        return
    statements = (
        "CREATE TABLE audited (patient text)",
        "INSERT INTO audited VALUES ('of-the-insert')",
        "SELECT count(*) FROM audited",
        "CREATE ROLE audited PASSWORD 'of-the-role'",
        "DROP TABLE audited",
        "DROP ROLE audited",
        "SELECT count(*) FROM pg_class",
    )
    for statement in statements:
        _sql(host, statement)
    journal = host.check_output("journalctl --unit patroni --output cat --no-pager --grep 'AUDIT: SESSION'")
    said = [line.split("AUDIT: ", 1)[1] for line in journal.splitlines() if "audited" in line or "pg_class" in line]
    assert [line.split(",")[3] for line in said] == ["DDL", "WRITE", "READ", "ROLE", "DDL", "ROLE"]
    assert all("postgres@postgres" in line for line in journal.splitlines() if "audited" in line)
    assert "<REDACTED>" in said[3]
    assert "of-the-role" not in journal
    assert _sql(
        host, "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_roles ON oid = setrole WHERE rolname = 'engine'"
    ) == ["pgaudit.log=ddl, role"]
