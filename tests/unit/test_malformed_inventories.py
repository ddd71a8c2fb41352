"""No bad input gets through: every malformed inventory is refused, quickly, in little memory, before any host."""

from __future__ import annotations

import collections
import json
import re
import subprocess
import sys
from typing import Any, Final

import pytest

from tests.malformed import ROOT, Case
from tests.malformed.run import all_cases

REFUSED: Final = 2
# Of the processor: on a busy machine the clock on the wall tells of the neighbours. `run` ends what waits for ever.
MOST_SECONDS: Final = 5.0
MOST_MB: Final = 500
SHARDS: Final = 4
WHOLE_SHARDS: Final = 3
FEWEST: Final = 240
FEWEST_WHOLE: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
CASES: Final = {case.name: case for case in all_cases()}


def test_the_corpus_is_as_large_as_promised_and_every_case_has_its_own_name() -> None:
    names = collections.Counter(case.name for case in all_cases())
    assert [name for name, times in names.items() if times > 1] == []
    assert len(names) >= FEWEST
    assert sum(case.whole for case in CASES.values()) >= FEWEST_WHOLE


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_malformed_inventory_is_refused(shard: int) -> None:
    _expect_all_refused(str(shard), str(SHARDS))


@pytest.mark.parametrize("shard", range(WHOLE_SHARDS))
def test_the_command_line_refuses_bombs_and_devices(shard: int) -> None:
    _expect_all_refused(str(shard), str(WHOLE_SHARDS), "--whole")


def _expect_all_refused(*words: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.malformed.run", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    results = [json.loads(line) for line in ended.stdout.splitlines()]
    assert results
    wrong = {result["name"]: faults for result in results if (faults := _faults(CASES[result["name"]], result))}
    assert wrong == {}


def _faults(case: Case, result: dict[str, Any]) -> list[str]:
    """What is not as it should be with one refusal."""
    said = result["said"]
    faults = [f"does not say {word!r}: {said[-2000:]}" for word in case.words if word not in said]
    if result["code"] != REFUSED:
        faults.append(f"ended with {result['code']}: {said[-2000:]}")
    if result["cpu_seconds"] > MOST_SECONDS or result["mb"] > MOST_MB:
        faults.append(f"took {result['cpu_seconds']:.1f} s and {result['mb']:.0f} MB")
    if result["made"]:
        faults.append(f"made {result['made']}")
    if "settings cannot be used" not in said and len(said.splitlines()) != REFUSED:
        faults.append(f"are not two lines: {said}")
    if _CONTROL.search(said):
        faults.append(f"steers a terminal: {said!r}")
    return faults
