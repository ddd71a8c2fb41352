"""Which restarts of PostgreSQL a change of the shared settings asks for, in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from installer.operations.plan.effects import effects_of
from plugins.module_utils.patroni_plan import changes, interruptions, owed_restarts
from plugins.module_utils.plan import told
from plugins.modules.patroni_settings import STANDBY_FLOORS

AT_START = {"max_connections", "shared_buffers"}


def parameters(**values: Any) -> dict[str, Any]:
    return {"postgresql": {"parameters": values}}


HELD = {"ttl": 30, **parameters(max_connections=100, work_mem="4MB", shared_buffers="128MB")}


def restarts(patch: dict[str, Any], *, members: tuple[str, ...] = ("db1", "db2"), **more: Any) -> list[dict[str, Any]]:
    arguments = {"at_start": AT_START, "members": members, "leader": "db1", "floors": STANDBY_FLOORS, **more}
    return interruptions(patch, HELD, **arguments)


def test_a_setting_read_at_the_start_restarts_standbys_first() -> None:
    (found,) = restarts(parameters(max_connections=130))
    assert (found["nodes"], found["why"]) == (["db2", "db1"], ["max_connections 100 -> 130"])
    assert (found["unit"], found["act"]) == ("patroni.service", "restart of the server")


def test_a_lowered_limit_restarts_the_primary_first() -> None:
    (found,) = restarts(parameters(max_connections=90))
    assert found["nodes"] == ["db1", "db2"]


def test_a_lowered_limit_beside_another_setting_does_not() -> None:
    (found,) = restarts(parameters(max_connections=90, shared_buffers="256MB"))
    assert found["nodes"] == ["db2", "db1"]


def test_the_only_member_is_missed_while_it_restarts() -> None:
    (found,) = restarts(parameters(max_connections=130), members=("db1",))
    assert (found["nodes"], found["act"]) == (["db1"], "restart of the only server")


def test_what_is_reloaded_restarts_nothing() -> None:
    assert restarts(parameters(work_mem="8MB")) == []
    assert restarts({"ttl": 40}) == []


def test_a_setting_taken_out_is_named_with_its_default() -> None:
    (found,) = restarts(parameters(shared_buffers=None))
    assert found["why"] == ["shared_buffers 128MB -> default"]


def test_a_server_that_does_not_tell_is_not_taken_for_one_that_needs_no_restart() -> None:
    (found,) = restarts(parameters(work_mem="8MB"), at_start=None)
    assert found["note"] == "should the setting need it"


def test_every_setting_is_told_old_to_new() -> None:
    patch = {"ttl": 40, "postgresql": {"parameters": {"max_connections": 130}, "pg_hba": ["a", "c"]}}
    held = {**HELD, "postgresql": {**HELD["postgresql"], "pg_hba": ["a", "b"]}}
    assert list(changes(patch, held)) == [
        {"kind": "setting", "name": "ttl", "old": "30", "new": "40"},
        {"kind": "setting", "name": "max_connections", "old": "100", "new": "130"},
        {"kind": "setting", "name": "postgresql.pg_hba", "lines": ["-b", "+c"], "note": ""},
    ]


def test_a_module_tells_a_plan_in_check_mode_only_and_only_what_there_is() -> None:
    checking, working = SimpleNamespace(check_mode=True), SimpleNamespace(check_mode=False)
    assert told(working, ["x"]) == {}
    assert told(checking, ["x"]) == {"plan": {"changes": [{"kind": "object", "name": "x"}]}}


def test_what_is_noticed_of_every_restart_stands_in_the_services_file() -> None:
    owed = {"db2": {"max_connections": {"old_value": 1, "new_value": 2}}}
    told_of = [
        *restarts(parameters(max_connections=130)),
        *restarts(parameters(max_connections=130), members=("db1",)),
        *owed_restarts(owed, leader="db1"),
        *owed_restarts(owed, leader="db2"),
        *owed_restarts(owed, leader="db2", several=False),
    ]
    within = effects_of("patroni.service").within
    assert {found["unit"] for found in told_of} == {"patroni.service"}
    assert [within[found["act"]].seconds for found in told_of] == [5, 10, 0, 5, 10]
