"""A baseline is taken on every host, and what happens on one of them is told and stops nothing."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from installer.operations.baseline import take_baseline
from installer.operations.context import OperationContext
from installer.operations.summary import Summary


def take(**answers: str) -> tuple[Summary, list[str]]:
    """Take baselines of hosts, each of which answers as a shell command says."""
    told: list[str] = []
    context = SimpleNamespace(
        ssh={host: ("sh", "-c", answer) for host, answer in answers.items()},
        site=SimpleNamespace(resolved=dict),
        manifests={},
        become_password=lambda: None,
        terminal=SimpleNamespace(step=told.append, say=told.append),
    )
    summary = Summary(operation="install", site="bench", started=time.monotonic())
    take_baseline(cast("OperationContext", cast("Any", context)), summary)
    return summary, told


def test_all_hosts_take_theirs_and_what_differed_before_is_told() -> None:
    summary, told = take(db1="true", db2="echo differed")
    assert told[0] == "Taking the baseline of 2 host(s)"
    assert [each.partition(":")[0] for each in told[1:]] == ["db2"]
    assert [(line.name, line.result) for line in summary.stages] == [("baseline", "done")]


def test_a_host_that_cannot_is_named_and_the_others_go_on() -> None:
    summary, told = take(db1="echo no space left >&2; exit 2", db2="true")
    assert told[1].startswith("db1: no baseline: ")
    assert "no space left" in told[1]
    assert [(line.name, line.result) for line in summary.stages] == [("baseline", "failed")]


def test_a_site_without_hosts_to_log_into_has_nothing_to_take() -> None:
    assert take()[1] == []
