"""What the engines left in their database."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["ansible://postgresql"]


def _query(host: Host, statement: str) -> list[str]:
    return host.check_output("runuser -u postgres -- psql -d engine -Atqc %s", statement).splitlines()


def test_users_are_the_administrator_the_worker_and_the_probe(host: Host) -> None:
    assert _query(host, "select id_ from act_id_user order by id_") == ["admin", "probe", "worker"]
    assert _query(host, "select user_id_, group_id_ from act_id_membership where user_id_ <> 'admin' order by 1") == [
        "probe|probes",
        "worker|workers",
    ]


def test_the_schema_came_once_and_nothing_is_deployed(host: Host) -> None:
    assert len(_query(host, "select version_ from act_ge_schema_log")) == 1
    assert _query(host, "select count(*) from act_re_procdef") == ["0"]


def test_history_cleanup_has_its_four_jobs(host: Host) -> None:
    jobs = "select count(*) from act_ru_job where handler_type_ = 'history-cleanup' and duedate_ is not null"
    assert _query(host, jobs) == ["4"]


def test_every_connection_of_an_engine_is_encrypted(host: Host) -> None:
    statement = (
        "select distinct s.ssl, s.version from pg_stat_ssl s join pg_stat_activity a using (pid) "
        "where a.usename = 'engine'"
    )
    assert _query(host, statement) == ["t|TLSv1.3"]
