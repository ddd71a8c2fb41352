"""What the module that keeps the database cluster whole makes of what the cluster says."""

from __future__ import annotations

from plugins.module_utils.patroni import Member, shortcomings
from plugins.modules.patroni_settings import difference, in_words, only_lowers


def _member(name: str, role: str, state: str) -> Member:
    return Member(name=name, role=role, state=state, url=f"https://{name}:8008")


LEADER = _member("db1", "leader", "running")


def test_what_is_as_wished_needs_no_patch() -> None:
    settings = {"ttl": 30, "postgresql": {"parameters": {"work_mem": "4MB"}, "pg_hba": ["local all all peer"]}}
    assert difference(settings, settings) == ({}, {})


def test_only_what_differs_is_patched() -> None:
    wished = {"ttl": 30, "postgresql": {"parameters": {"work_mem": "8MB", "jit": "off"}}}
    found = {"ttl": 30, "postgresql": {"parameters": {"work_mem": "4MB", "jit": "off"}}}
    patch, values = difference(wished, found)
    assert patch == {"postgresql": {"parameters": {"work_mem": "8MB"}}}
    assert values == {"postgresql.parameters.work_mem": ("4MB", "8MB")}
    assert in_words(values) == ["postgresql.parameters.work_mem: '4MB' -> '8MB'"]


def test_a_server_setting_nobody_wishes_goes_back_to_its_default() -> None:
    wished = {"postgresql": {"parameters": {"jit": "off"}}}
    found = {"postgresql": {"parameters": {"jit": "off", "work_mem": "1GB"}}}
    assert difference(wished, found)[0] == {"postgresql": {"parameters": {"work_mem": None}}}


def test_other_keys_in_etcd_are_left_alone() -> None:
    assert difference({"ttl": 30}, {"ttl": 30, "pause": True}) == ({}, {})


def test_a_primary_and_a_synchronous_standby_are_whole() -> None:
    members = [LEADER, _member("db2", "sync_standby", "streaming")]
    assert shortcomings(members, ["db1", "db2"], synchronous=True) == []


def test_one_host_is_whole_by_itself() -> None:
    assert shortcomings([LEADER], ["db1"], synchronous=True) == []


def test_everything_missing_is_named() -> None:
    members = [_member("db1", "replica", "starting")]
    words = shortcomings(members, ["db1", "db2"], synchronous=True)
    assert words == [
        "db2 has not joined",
        "there is no primary",
        "db1 is starting",
        "no standby is synchronous",
    ]


def test_two_that_both_lead_are_no_primary() -> None:
    members = [LEADER, _member("db2", "leader", "running")]
    assert "there is no primary" in shortcomings(members, ["db1", "db2"], synchronous=False)


def test_fewer_connections_must_reach_the_primary_first() -> None:
    lowered = {"max_connections": {"old_value": "130", "new_value": "100"}}
    raised = {"max_wal_senders": {"old_value": "10", "new_value": "12"}}
    other = {"shared_buffers": {"old_value": "512MB", "new_value": "256MB"}}
    assert only_lowers(lowered)
    assert not only_lowers(lowered | raised)
    assert not only_lowers(lowered | other)
    assert not only_lowers({})
