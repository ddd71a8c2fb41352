"""A site grows: preflight raises no false alarm, and the second run has nothing to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.hosts import grown, measure

pytestmark = pytest.mark.long


@pytest.mark.parametrize("hosts", [10, 20, 40])
def test_preflight_raises_no_false_alarm(tmp_path: Path, hosts: int) -> None:
    row = measure(grown(tmp_path, hosts), install=False)
    _tell(row)
    assert int(row["checks"]) > hosts
    assert row["failed"] == "0, 0"


def test_second_run_of_twenty_hosts_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    row = measure(grown(tmp_path, 20), install=True)
    _tell(row)
    assert row["changed in the second run"] == "0"


def _tell(row: dict[str, str]) -> None:
    """The row of the benchmark's table, for whoever wants the figures (`-s` shows it as it comes)."""
    sys.stdout.write(f"{row}\n")
