"""Each role on real systemd hosts: check, converge, idempotence, a killed run, and what an operator sees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The longest first, so that the last one to run is short. SITEWRIGHT_TEST_ROLES=a,b runs others.
_ALL = "rabbitmq,engine,worker,postgresql,gateway,etcd,models,base,redis,certificates,repository,java"
SCENARIOS = os.environ.get("SITEWRIGHT_TEST_ROLES", _ALL).split(",")
SECONDS = 30 * 60


@pytest.fixture(scope="session")
def _bundle() -> None:
    """The bundle every scenario installs from; whoever comes second waits for the first."""
    argv = [str(ROOT / "install"), "bundle", "build"]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_role_has_its_scenario() -> None:
    assert sorted(_ALL.split(",")) == sorted(path.parent.name for path in ROOT.glob("roles/*/meta"))


@pytest.mark.usefixtures("_bundle")
@pytest.mark.parametrize("role", SCENARIOS)
def test_role_passes_its_whole_sequence(role: str) -> None:
    ended = subprocess.run(
        ["molecule", "test", "--scenario-name", role],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-12000:]
    # Without "prepare": a role that needs nothing before it has none.
    sequence = ("syntax", "create", "check", "converge", "idempotence", "side_effect", "verify", "destroy")
    assert all(step in ended.stdout for step in sequence)
