"""The journal: what it remembers, what a crash may do to it, and when a run carries on."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from installer.playbooks.results import DONE, FAILED, INTERRUPTED, HostTally
from installer.stages.journal import UNPROVEN, Journal, StageRecord

INPUTS = {"the bundle": "b1", "stage base": "s1"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.jsonl")


def ended(result: str, **hosts: HostTally) -> StageRecord:
    return StageRecord(result=result, seconds=1.5, changed=sum(t.changed for t in hosts.values()), hosts=hosts)


def test_it_remembers_stages_and_what_they_did_on_each_host(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    journal.begin_stage(operation, "base")
    journal.end_stage(operation, "base", ended(DONE, db1=HostTally(ok=4, changed=2), db2=HostTally(ok=4)))
    journal.begin_stage(operation, "etcd")
    known = Journal(journal.path).last("install")
    assert known is not None
    assert known.done_stages == {"base"}
    assert known.begun == {"base", "etcd"}
    assert known.stages["base"].hosts == {"db1": HostTally(ok=4, changed=2), "db2": HostTally(ok=4)}
    assert known.stages["base"].changed == 2


def test_there_is_nothing_to_carry_on_without_a_file(journal: Journal) -> None:
    assert journal.operations() == []
    assert journal.last("install") is None


def test_only_its_owner_can_read_it(journal: Journal) -> None:
    journal.begin("install", INPUTS)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_a_line_torn_by_a_crash_costs_only_itself(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    journal.end_stage(operation, "base", ended(DONE))
    whole = journal.path.read_bytes()
    for length in (1, 20, 60):
        journal.path.write_bytes(whole + b'{"at": "2026-11-21T22:13:00+00:00", "record": "stage ended", "ope'[:length])
        journal.end_stage(operation, "etcd", ended(DONE))
        known = journal.last("install")
        assert known is not None
        assert known.done_stages == {"base", "etcd"}


def test_every_prefix_of_a_journal_can_be_read(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    for stage in ("base", "etcd"):
        journal.begin_stage(operation, stage)
        journal.end_stage(operation, stage, ended(DONE, svc1=HostTally(ok=1)))
    whole = journal.path.read_bytes()
    done: set[str] = set()
    for length in range(len(whole) + 1):
        journal.path.write_bytes(whole[:length])
        known = journal.last("install")
        stages = set(known.done_stages) if known else set()
        assert stages >= done, "a longer journal never knows less"
        done = stages
    assert done == {"base", "etcd"}


@pytest.mark.parametrize(
    ("result", "carries_on"), [(FAILED, True), (INTERRUPTED, True), (DONE, False), (UNPROVEN, False)]
)
def test_what_failed_or_was_interrupted_is_carried_on(journal: Journal, result: str, carries_on: bool) -> None:
    operation = journal.begin("install", INPUTS)
    journal.end(operation, result, seconds=3, changed=1, failed=0)
    known = journal.last("install")
    assert known is not None
    assert known.unfinished is carries_on


def test_an_operation_that_was_killed_is_carried_on(journal: Journal) -> None:
    journal.begin("install", INPUTS)
    known = journal.last("install")
    assert known is not None
    assert known.unfinished


def test_a_resumed_operation_is_open_again_until_it_ends(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    journal.end(operation, FAILED, seconds=3, changed=1, failed=1)
    journal.resume(operation)
    known = journal.last("install")
    assert known is not None
    assert known.result is None


def test_a_stage_that_runs_again_is_no_longer_done(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    journal.end_stage(operation, "base", ended(FAILED, db1=HostTally(failed=1)))
    journal.begin_stage(operation, "base")
    known = journal.last("install")
    assert known is not None
    assert known.done_stages == frozenset()
    assert known.stages == {}


def test_changed_new_and_gone_inputs_are_named(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    assert operation.changed_inputs(INPUTS) == []
    now = {"the bundle": "b2", "stage etcd": "s2"}
    assert operation.changed_inputs(now) == ["stage base", "stage etcd", "the bundle"]


def test_operations_do_not_mix(journal: Journal) -> None:
    first = journal.begin("install", INPUTS)
    journal.abandon(first)
    second = journal.begin("install", INPUTS)
    journal.end_stage(second, "base", ended(DONE))
    before, after = journal.operations()
    assert before.done_stages == frozenset()
    assert not before.unfinished
    assert after.done_stages == {"base"}


def test_every_line_is_one_json_object(journal: Journal) -> None:
    operation = journal.begin("install", INPUTS)
    journal.end_stage(operation, "base", ended(DONE, db1=HostTally(ok=1)))
    records = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [record["record"] for record in records] == ["operation begun", "host ended", "stage ended"]
    assert {record["operation"] for record in records} == {operation.identifier}
