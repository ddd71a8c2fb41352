"""An installation that is killed again and again ends where an unbroken one ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.stages.journal import Journal
from tests.site.conftest import ROOT, Operator, alone_with

KILLS = int(os.environ.get("SITEWRIGHT_TEST_KILLS", "3"))
LONG_KILLS = 10
LATEST_SECONDS = float(os.environ.get("SITEWRIGHT_TEST_KILL_SECONDS", "90"))


@pytest.fixture(scope="module")
def operator(bundle: Path) -> Iterator[Operator]:
    with alone_with("hospital-a") as operator:
        yield operator


@pytest.mark.parametrize("kills", [KILLS, pytest.param(LONG_KILLS, marks=pytest.mark.long)])
def test_killed_installations_end_in_the_verified_state(operator: Operator, kills: int) -> None:
    seed = int(os.environ.get("SITEWRIGHT_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
    dice = random.Random(seed)  # noqa: S311 - moments that can be repeated, no secret
    moments = [dice.uniform(3, LATEST_SECONDS) for _ in range(kills)]
    argv = operator.argv("--inventory", "hospital-a", "--rehearse", "--output", "json")
    log = ROOT / ".sitewright" / "killed-installations.log"
    killed = 0
    # The first one dies as soon as a service of the site listens: the next finds it and knows it for its own.
    for moment in (None, *moments[1:]):
        with log.open("a") as stream:
            stream.write(f"seed {seed}: kill after {moment or 'the repository'}\n")
            stream.flush()
            process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stream)
            if moment is None:
                _wait_for_stage(operator, "repository", process)
            else:
                time.sleep(moment)
            if process.poll() is None:
                # The installer itself is what Popen started: the shell and the namespace were exec'ed away.
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
            process.wait()
    code, result, said = operator.install()
    assert code == 0, f"seed {seed}, moments {moments}: {said}"
    assert result["result"] == "done"
    assert killed > 0
    code, result, said = operator.install()
    assert code == 0, said
    assert result["changed"] == 0, f"seed {seed}: {[stage for stage in result['stages'] if stage['changed']]}"


def _wait_for_stage(operator: Operator, stage: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the journal says that a stage is done, or the installation ended."""
    journal = Journal.of(operator.state).path
    while process.poll() is None:
        lines = journal.read_text().splitlines() if journal.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("}")]
        if any(
            record["record"] == "stage ended" and record["stage"] == stage and record["result"] == "done"
            for record in records
        ):
            return
        time.sleep(0.05)


def test_a_resumed_installation_repeats_no_stage_that_was_done(operator: Operator) -> None:
    lines = Journal.of(operator.state).path.read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    first = next(record["operation"] for record in records if record["record"] == "operation begun")
    mine = [record for record in records if record.get("operation") == first]
    done: set[str] = set()
    begun_again: list[str] = []
    for record in mine:
        if record["record"] == "stage begun" and record["stage"] in done:
            begun_again.append(record["stage"])
        if record["record"] == "stage ended" and record["result"] == "done":
            done.add(record["stage"])
    assert {"certificates", "database", "engine", "worker"} <= done
    # Facts are read at the start of every run, whatever was done before.
    assert set(begun_again) <= {"facts"}
    resumed = [record for record in mine if record["record"] == "operation resumed"]
    assert begun_again.count("facts") <= len(resumed)
