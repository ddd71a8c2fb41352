"""The journal: what it remembers, what a crash may do to it, and when a run resumes."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from installer.playbooks.results import DONE, FAILED, INTERRUPTED, HostTally
from installer.stages.journal import (
    ABANDONED,
    VERIFICATION_FAILED,
    Circumstances,
    Input,
    Journal,
    Operation,
    StageRecord,
)

INPUTS = {"bundle": Input(digest="b1", about="/srv/bundle"), "stage base": Input(digest="s1", about="roles/base")}
BEGUN_WITH = Circumstances(
    command="./install --inventory clinic",
    site={"name": "clinic", "hosts": {"clinic1": {"address": "10.20.0.11"}}},
    release="0.2.0 (1368137)",
    bundle={"id": "b1", "debian": "2026-11-20"},
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.jsonl")


def begin(journal: Journal, kind: str = "install") -> Operation:
    return journal.begin(kind, INPUTS, stages=("base", "etcd"), begun_with=BEGUN_WITH)


def ended(result: str, **hosts: HostTally) -> StageRecord:
    return StageRecord(result=result, seconds=1.5, changed=sum(t.changed for t in hosts.values()), hosts=hosts)


def test_it_remembers_stages_and_what_they_did_on_each_host(journal: Journal) -> None:
    operation = begin(journal)
    journal.begin_stage(operation, "base")
    journal.end_stage(operation, "base", ended(DONE, db1=HostTally(ok=4, changed=2), db2=HostTally(ok=4)))
    journal.begin_stage(operation, "etcd")
    known = Journal(journal.path).last("install")
    assert known is not None
    assert known.done_stages == {"base"}
    assert known.begun == {"base", "etcd"}
    assert known.stages["base"].hosts == {"db1": HostTally(ok=4, changed=2), "db2": HostTally(ok=4)}
    assert known.stages["base"].changed == 2


def test_there_is_nothing_to_resume_without_a_file(journal: Journal) -> None:
    assert journal.operations() == []
    assert journal.last("install") is None


def test_only_its_owner_can_read_it(journal: Journal) -> None:
    begin(journal)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600


def test_a_line_torn_by_a_crash_costs_only_itself(journal: Journal) -> None:
    operation = begin(journal)
    journal.end_stage(operation, "base", ended(DONE))
    whole = journal.path.read_bytes()
    for length in (1, 20, 60):
        journal.path.write_bytes(whole + b'{"at": "2026-11-21T22:13:00+00:00", "record": "stage ended", "ope'[:length])
        journal.end_stage(operation, "etcd", ended(DONE))
        known = journal.last("install")
        assert known is not None
        assert known.done_stages == {"base", "etcd"}


def test_every_prefix_of_a_journal_can_be_read(journal: Journal) -> None:
    operation = begin(journal)
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
    ("result", "resumes"), [(FAILED, True), (INTERRUPTED, True), (DONE, False), (VERIFICATION_FAILED, False)]
)
def test_what_failed_or_was_interrupted_is_resumed(journal: Journal, result: str, resumes: bool) -> None:
    operation = begin(journal)
    journal.end(operation, result, seconds=3, changed=1, failed=0)
    known = journal.last("install")
    assert known is not None
    assert known.unfinished is resumes


def test_an_operation_that_was_killed_is_resumed(journal: Journal) -> None:
    begin(journal)
    known = journal.last("install")
    assert known is not None
    assert known.unfinished


def test_a_resumed_operation_is_open_again_until_it_ends(journal: Journal) -> None:
    operation = begin(journal)
    journal.end(operation, FAILED, seconds=3, changed=1, failed=1)
    journal.resume(operation)
    known = journal.last("install")
    assert known is not None
    assert known.result is None


def test_a_stage_that_runs_again_is_no_longer_done(journal: Journal) -> None:
    operation = begin(journal)
    journal.end_stage(operation, "base", ended(FAILED, db1=HostTally(failed=1)))
    journal.begin_stage(operation, "base")
    known = journal.last("install")
    assert known is not None
    assert known.done_stages == frozenset()
    assert known.stages == {}


def test_changed_new_and_gone_inputs_are_named(journal: Journal) -> None:
    operation = begin(journal)
    assert operation.changed_inputs(INPUTS) == []
    now = {"bundle": Input(digest="b2", about="/mnt/bundle"), "stage etcd": Input(digest="s2", about="roles/etcd")}
    assert operation.changed_inputs(now) == [
        "bundle (/mnt/bundle)",
        "stage base (roles/base)",
        "stage etcd (roles/etcd)",
    ]


def test_what_only_lies_elsewhere_has_not_changed(journal: Journal) -> None:
    begin(journal)
    moved = {name: Input(digest=given.digest, about=f"/elsewhere/{name}") for name, given in INPUTS.items()}
    known = journal.last()
    assert known is not None
    assert known.changed_inputs(moved) == []


def test_what_the_site_was_brought_to_is_remembered(journal: Journal) -> None:
    operation = begin(journal)
    assert journal.last_done() is None
    journal.end(operation, DONE, seconds=3, changed=1, failed=0)
    begin(journal, "upgrade")
    known, unfinished = journal.last_done(), journal.unfinished()
    assert known is not None
    assert known.site["hosts"]["clinic1"]["address"] == "10.20.0.11"
    assert known.begun_with == BEGUN_WITH
    assert known.planned == ("base", "etcd")
    assert unfinished is not None
    assert unfinished.kind == "upgrade"
    assert journal.last_done("upgrade") is None


def test_the_journal_of_release_0_1_is_read(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("journal_of_release_0_1.jsonl"), tmp_path / "journal.jsonl")
    journal = Journal(tmp_path / "journal.jsonl")
    assert [(each.kind, each.result, len(each.done_stages)) for each in journal.operations()] == [
        ("install", ABANDONED, 2),
        ("install", VERIFICATION_FAILED, 3),
        ("install", None, 1),
    ]
    unfinished = journal.unfinished()
    assert unfinished is not None
    assert unfinished.planned == ("facts", "certificates", "repository")
    assert unfinished.site == {}
    assert unfinished.changed_inputs(
        {
            "site": Input(digest="1bc000a18fc53b86"),
            "bundle": Input(digest="b5a826a998e0f77c"),
            "shared code": Input(digest="another", about="plugins"),
            "stage facts": Input(digest="5d2029f1dc633ae7"),
            "stage certificates": Input(digest="617c819b818c3650"),
            "stage repository": Input(digest="bdc24ea0d195bd05"),
        }
    ) == ["shared code (plugins)"]
    journal.abandon(unfinished)
    begin(journal)
    assert len(journal.operations()) == 4


def test_operations_do_not_mix(journal: Journal) -> None:
    first = begin(journal)
    journal.abandon(first)
    second = begin(journal)
    journal.end_stage(second, "base", ended(DONE))
    before, after = journal.operations()
    assert before.done_stages == frozenset()
    assert not before.unfinished
    assert after.done_stages == {"base"}


def test_every_line_is_one_json_object(journal: Journal) -> None:
    operation = begin(journal)
    journal.end_stage(operation, "base", ended(DONE, db1=HostTally(ok=1)))
    records = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [record["record"] for record in records] == ["operation begun", "host ended", "stage ended"]
    assert {record["operation"] for record in records} == {operation.identifier}


def test_what_a_site_was_verified_as_holds_until_another_operation_comes_between(journal: Journal) -> None:
    assert journal.verified("rotation") is None
    install = begin(journal)
    assert journal.verified("rotation") is None
    journal.end(install, DONE, seconds=1, changed=0, failed=0)
    known = journal.verified("rotation")
    assert known is not None
    assert known.identifier == install.identifier
    # One's own kind, not finished or given up, does not count; not verified it does.
    rotation = begin(journal, "rotation")
    assert journal.verified("rotation") is not None
    assert journal.verified("other") is None
    journal.abandon(rotation)
    assert journal.verified("rotation") is not None
    journal.end(begin(journal, "rotation"), VERIFICATION_FAILED, seconds=1, changed=0, failed=0)
    assert journal.verified("rotation") is None


def test_what_an_operation_brings_to_the_site_may_differ(journal: Journal) -> None:
    now = {**INPUTS, "bundle": Input(digest="b2", about="/mnt/bundle")}
    assert begin(journal).changed_inputs(now) == ["bundle (/mnt/bundle)"]
    assert begin(journal).changed_inputs(now, but={"bundle"}) == []
