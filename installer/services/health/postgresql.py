"""PostgreSQL asked about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.rows import dict_row

from installer.report import CheckResult, passed_if
from installer.services.health.answers import of_each

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject

_BYTES_PER_MB: Final = 1024 * 1024
LAG_LIMIT_BYTES: Final = 16 * _BYTES_PER_MB
_REPLICATION: Final = """
    select application_name, state, sync_state,
           coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint as lag_bytes
      from pg_stat_replication where application_name = any(%s)
"""
_PLAIN: Final = """
    select count(*) as plain from pg_stat_ssl s join pg_stat_activity a using (pid)
     where not s.ssl and a.client_addr is not null
"""


def connect(subject: Subject, host: Host, *, user: str, database: str) -> psycopg.Connection[dict[str, Any]]:
    """Connect to one server over verified TLS 1.3; it asks the monitor for a certificate besides the password.

    The server's certificate is of the site's authority, as all applications know it; that of its clients is not.
    """
    return psycopg.connect(
        host=host.fqdn,
        hostaddr=host.address,
        port=subject.setting("postgresql_port"),
        user=user,
        password=subject.secrets[f"postgresql_{user}_password"],
        dbname=database,
        sslmode="verify-full",
        sslrootcert=str(subject.clients["site"].ca),
        sslcert=str(subject.clients["database"].certificate),
        sslkey=str(subject.clients["database"].key),
        ssl_min_protocol_version="TLSv1.3",
        connect_timeout=5,
        autocommit=True,
        application_name="sitewright-verify",
        row_factory=dict_row,
    )


def primary(subject: Subject) -> Host:
    """The host whose PostgreSQL takes writes.

    Raises:
        LookupError: If there is none.
    """
    silent = []
    for host in subject.group("postgresql"):
        try:
            with connect(subject, host, user="monitor", database="postgres") as connection:
                row = connection.execute("select pg_is_in_recovery() as standby").fetchone()
                if row is not None and not row["standby"]:
                    return host
        except psycopg.OperationalError:
            silent.append(host.name)
    raise LookupError("no PostgreSQL takes writes" + (f"; no answer from {', '.join(silent)}" if silent else ""))


def check(subject: Subject) -> list[CheckResult]:
    """One primary, its standbys streaming, one of them synchronous, nothing in clear."""
    hosts = subject.group("postgresql")
    primaries: list[Host] = []

    def server(host: Host) -> list[CheckResult]:
        results: list[CheckResult] = []
        with connect(subject, host, user="monitor", database="postgres") as connection:
            row = connection.execute(
                "select pg_is_in_recovery() as standby, current_setting('data_checksums') as checksums,"
                " current_setting('server_version') as version"
            ).fetchone()
            plain = connection.execute(_PLAIN).fetchone()
            if row is None or plain is None:
                raise LookupError(f"PostgreSQL on {host.name} answered nothing")
            if not row["standby"]:
                primaries.append(host)
                results += _replication(connection, host, [each.name for each in hosts if each != host])
        role = "standby" if row["standby"] else "primary"
        results.append(
            passed_if(
                row["checksums"] == "on",
                check="database.checksums",
                host=host.name,
                measured=f"{row['version']}, {role}, data checksums {row['checksums']}",
                wanted="data checksums on",
                fix="the cluster was not made by this installer; pg_checksums enables them with the server stopped",
            )
        )
        results.append(
            passed_if(
                plain["plain"] == 0,
                check="database.encrypted",
                host=host.name,
                measured=f"{plain['plain']} connections in clear",
                wanted="0 connections in clear",
                fix="pg_hba.conf lets a client in without TLS: run the installation again",
            )
        )
        return results

    results = of_each(hosts, server, name="database", port=subject.setting("postgresql_port"), unit="patroni")
    results.append(
        passed_if(
            len(primaries) == 1,
            check="database.primary",
            host=subject.name,
            measured=f"primary: {', '.join(host.name for host in primaries) or 'none'}",
            wanted="one primary",
            fix="patronictl list on a database host shows the members; without a primary see whether etcd has quorum",
        )
    )
    return results


def _replication(connection: psycopg.Connection[dict[str, Any]], host: Host, standbys: list[str]) -> list[CheckResult]:
    """What the primary says of its standbys."""
    rows = {row["application_name"]: row for row in connection.execute(_REPLICATION, [standbys]).fetchall()}
    results = []
    for name in standbys:
        row = rows.get(name, {"state": "absent", "sync_state": "none", "lag_bytes": -1})
        good = row["state"] == "streaming" and 0 <= row["lag_bytes"] <= LAG_LIMIT_BYTES
        results.append(
            passed_if(
                good,
                check="database.replication",
                host=name,
                measured=f"{row['state']}, {row['sync_state']}, {row['lag_bytes']} B behind {host.name}",
                wanted=f"streaming, at most {LAG_LIMIT_BYTES // _BYTES_PER_MB} MB behind",
                fix=f"patronictl list; patronictl reinit for {name} when it does not catch up",
            )
        )
    if standbys:
        synchronous = [name for name, row in rows.items() if row["sync_state"] in ("sync", "quorum")]
        results.append(
            passed_if(
                bool(synchronous),
                check="database.synchronous",
                host=host.name,
                measured=f"synchronous standbys: {', '.join(synchronous) or 'none'}",
                wanted="at least 1",
                fix="a commit is not safe on two hosts: see why the standby does not stream",
            )
        )
    return results
