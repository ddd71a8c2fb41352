"""The modules that look after a Redis group, against real Redis and Sentinel processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.redis_group import Group
from tests.module_runner import ModuleFailedError, run_module
from tests.redis_group import PASSWORD, SERVER_USERS, RunningGroup, make_certificate, running_group, user

FILES = {"server_state_file": "/nowhere/server.conf", "sentinel_state_file": "/nowhere/sentinel.conf"}
USERS = {"quorum": 2, "server_users": SERVER_USERS, "sentinel_users": SERVER_USERS}
WITH_WORKER = [*SERVER_USERS, user("worker", "~app:* resetchannels -@all +ping")]


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGroup]:
    with running_group(tmp_path_factory.mktemp("redis")) as group:
        run_module("redis_group", group.arguments | USERS)  # waits until all of them know each other
        yield group


def wished(users: list[str], quorum: int = 2) -> dict[str, Any]:
    return {"quorum": quorum, "server_users": users, "sentinel_users": users}


def test_a_whole_group_has_a_master_and_needs_nothing(group: RunningGroup) -> None:
    for check in (True, False):
        result = run_module("redis_group", group.arguments | USERS, check=check)
        assert (result["changed"], result["done"], result["master"] in group.nodes) == (False, [], True)
    assert result["diff"]["after"] == ""


def test_a_new_user_is_told_in_check_mode_loaded_for_real_and_no_change_after_that(group: RunningGroup) -> None:
    group.write_users(WITH_WORKER)
    told = run_module("redis_group", group.arguments | wished(WITH_WORKER), check=True)
    assert told["changed"] is True
    assert f"users of {group.nodes[0]}:6390: worker" in told["done"]
    assert len(told["plan"]["changes"]) == 6  # three nodes, three Sentinels
    assert "user worker" in told["diff"]["after"]
    assert "#" not in str(told)  # no hash of a password either
    done = run_module("redis_group", group.arguments | wished(WITH_WORKER))
    assert sorted(done["done"]) == sorted(told["done"])
    assert run_module("redis_group", group.arguments | wished(WITH_WORKER))["changed"] is False
    group.write_users(SERVER_USERS)
    assert run_module("redis_group", group.arguments | USERS)["changed"] is True


def test_passwords_are_added_and_taken_and_nobody_is_logged_out(group: RunningGroup) -> None:
    new = {"password": "another", "previous_password": PASSWORD}
    both = [with_password(each, PASSWORD, "another") for each in SERVER_USERS]
    alone = [with_password(each, "another") for each in SERVER_USERS]
    asked = Group({**group.arguments, "previous_password": ""})
    with ExitStack() as open_all_the_time:
        connections = [
            open_all_the_time.enter_context(connect(node))
            for connect in (asked.server, asked.sentinel)
            for node in group.nodes
        ]
        before = [connection.ask("CLIENT", "ID") for connection in connections]
        # A node knows the previous password alone, so who has the new one comes in with the previous one.
        group.write_users(both)
        done = run_module("redis_group", group.arguments | wished(both) | new)
        assert len(done["done"]) == 6
        assert run_module("redis_group", group.arguments | wished(both) | new)["changed"] is False
        assert run_module("redis_group", group.arguments | wished(both))["changed"] is False  # the previous is good
        group.write_users(alone)
        assert run_module("redis_group", group.arguments | wished(alone) | new)["changed"] is True
        assert [connection.ask("CLIENT", "ID") for connection in connections] == before
    with pytest.raises(ModuleFailedError, match="WRONGPASS"):
        run_module("redis_group", group.arguments | wished(alone) | {"timeout_seconds": 0})
    group.write_users(SERVER_USERS)
    back = {"password": PASSWORD, "previous_password": "another"}
    assert run_module("redis_group", group.arguments | USERS | back)["changed"] is True


def with_password(line: str, *passwords: str) -> str:
    """A user with other passwords; one that has none stays as it is."""
    known, hashes = line.split(), [f"#{sha256(each.encode()).hexdigest()}" for each in passwords]
    return " ".join(word for each in known for word in (hashes if each.startswith("#") else [each]))


def test_users_that_their_file_does_not_hold_are_an_error(group: RunningGroup) -> None:
    # Redis 7 closes the connection of whoever loads users; the product's Redis 8 goes on and sees that they differ.
    said = "its users differ from the wanted ones even after ACL LOAD|the connection was closed"
    with pytest.raises(ModuleFailedError, match=said):
        run_module("redis_group", group.arguments | wished(WITH_WORKER) | {"timeout_seconds": 0})


def test_the_quorum_is_corrected_old_to_new(group: RunningGroup) -> None:
    told = run_module("redis_group", group.arguments | wished(SERVER_USERS, quorum=3))
    assert told["done"] == [f"quorum of {node}:26390" for node in group.nodes]
    assert f"quorum of {group.nodes[0]}:26390: 2" in told["diff"]["before"]
    assert f"quorum of {group.nodes[0]}:26390: 3" in told["diff"]["after"]
    assert run_module("redis_group", group.arguments | USERS)["changed"] is True


def test_a_newcomer_learns_the_master_from_the_group(group: RunningGroup) -> None:
    # This machine has all three addresses, so a newcomer would be told that it lost its files; in check mode it asks.
    found = run_module("redis_facts", group.arguments | FILES, check=True)
    assert found["answered"] in group.nodes
    assert (found["has_past"], found["remembered"], found["changed"]) == (False, "", False)


def test_a_master_that_lost_its_files_is_not_started_empty(group: RunningGroup) -> None:
    with pytest.raises(ModuleFailedError, match="started empty, it would empty the replicas"):
        run_module("redis_facts", {**group.arguments, "timeout_seconds": 0} | FILES)


def test_a_host_with_a_past_remembers_and_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / "server.conf").write_text("replicaof 10.0.0.1 6379\n")
    (tmp_path / "sentinel.conf").write_text("port 0\nsentinel monitor main 10.0.0.2 6379 2\n")
    unreachable = {
        **dict.fromkeys(("ca_file", "certificate_file", "key_file"), "/nowhere"),
        **{"nodes": ["10.0.0.1"], "port": 1, "sentinel_port": 2, "master_name": "main"},
        **{"username": "admin", "password": "x"},
    }
    files = {f"{kind}_state_file": str(tmp_path / f"{kind}.conf") for kind in ("server", "sentinel")}
    found = run_module("redis_facts", unreachable | files)
    assert (found["has_past"], found["remembered"], found["answered"]) == (True, "10.0.0.2", "")


def test_the_master_is_moved_away_and_only_when_it_is_the_master(group: RunningGroup) -> None:
    master = run_module("redis_group", group.arguments | USERS)["master"]
    other = next(node for node in group.nodes if node != master)
    assert run_module("redis_failover", {"node": other} | group.arguments)["changed"] is False
    told = run_module("redis_failover", {"node": master} | group.arguments, check=True)
    assert told["changed"] is True
    assert [one["nodes"] for one in told["plan"]["interrupts"]] == [[master]]
    done = run_module("redis_failover", {"node": master} | group.arguments)
    assert done["changed"] is True
    assert done["master"] != master
    assert run_module("redis_group", group.arguments | USERS)["master"] == done["master"]


def test_a_wrong_password_is_told_with_the_node(group: RunningGroup) -> None:
    wrong = {**group.arguments, "password": "another", "timeout_seconds": 0}
    with pytest.raises(ModuleFailedError, match=r"127\.77\.\d+\.1:26390: WRONGPASS"):
        run_module("redis_group", wrong | USERS)


def test_seeds_are_written_once_and_shown_before(tmp_path: Path) -> None:
    files = {f"{kind}_state_file": str(tmp_path / f"{kind}.conf") for kind in ("server", "sentinel")}
    seed = {"nodes": ["10.255.0.1"], "port": 6379, "master_name": "main", "master": "10.255.0.1", "quorum": 1, **files}
    told = run_module("redis_seed", seed, check=True)
    assert [diff["after"] for diff in told["diff"]] == [
        "replicaof 10.255.0.1 6379\n",
        "sentinel monitor main 10.255.0.1 6379 1\n",
    ]
    assert list(tmp_path.iterdir()) == []
    for path in files.values():
        Path(path).write_text("what Redis wrote\n")
    assert run_module("redis_seed", seed)["changed"] is False


def test_a_running_redis_shows_the_new_certificate_of_its_file_and_restarts_for_nothing(group: RunningGroup) -> None:
    node = {"address": group.nodes[1]} | group.arguments
    assert run_module("redis_certificate", node)["changed"] is False
    make_certificate(group.folder, group.nodes)
    for check in (True, False):
        result = run_module("redis_certificate", node, check=check)
        assert result["changed"] is True
        assert result["diff"]["before"] != result["diff"]["after"]
    assert run_module("redis_certificate", node)["changed"] is False
    # The others were not asked to; their connections, and so the group, go on.
    assert run_module("redis_certificate", {**node, "address": group.nodes[2]}, check=True)["changed"] is True
    assert run_module("redis_group", group.arguments | USERS)["changed"] is False


def test_a_redis_that_reads_another_file_is_told_apart(group: RunningGroup, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text("no certificate\n")
    node = {"address": group.nodes[0], **group.arguments, "certificate_file": str(other)}
    with pytest.raises(ModuleFailedError, match=r"^127\.77\.\d+\.1:6390: "):
        run_module("redis_certificate", node)
    assert run_module("redis_certificate", node, check=True)["changed"] is False
