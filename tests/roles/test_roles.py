"""Each role on real systemd hosts: check, converge, idempotence, a killed run, and what an operator sees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import ansible_mitogen
import pytest

ROOT = Path(__file__).resolve().parents[2]
_ALL = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
# Those that need all of the others on their hosts take longest; they begin first.
_LONGEST_FIRST = ("worker", "engine", "gateway", "models", "postgresql", "rabbitmq", "redis")
# SITEWRIGHT_TEST_ROLES=a,b runs only these.
SCENARIOS = [role for role in os.environ.get("SITEWRIGHT_TEST_ROLES", "").split(",") if role] or sorted(
    _ALL, key=lambda role: _LONGEST_FIRST.index(role) if role in _LONGEST_FIRST else len(_LONGEST_FIRST)
)
SECONDS = 30 * 60
# The way the product takes; `tests/site/test_clinic.py` takes the other one.
_STRATEGY = {
    "ANSIBLE_STRATEGY": "mitogen_linear",
    "ANSIBLE_STRATEGY_PLUGINS": str(Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"),
}


@pytest.fixture(scope="session")
def _bundle() -> None:
    """The bundle every scenario installs from; whoever comes second waits for the first."""
    argv = [str(ROOT / "install"), "bundle", "build"]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_role_has_its_scenario() -> None:
    assert sorted(path.parent.name for path in ROOT.glob("roles/*/meta")) == _ALL


@pytest.mark.usefixtures("_bundle")
@pytest.mark.parametrize("role", SCENARIOS)
def test_role_passes_its_whole_sequence(role: str) -> None:
    ended = subprocess.run(
        ["molecule", "test", "--scenario-name", role],
        cwd=ROOT,
        env={**os.environ, **_STRATEGY},
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
