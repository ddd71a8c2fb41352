"""Everything on one host, by the same roles, with Ansible's own strategy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.conftest import Operator, alone_with


@pytest.fixture(scope="module")
def operator(bundle: Path) -> Iterator[Operator]:
    with alone_with("clinic") as operator:
        yield operator


def test_plan_of_a_bare_host_says_what_would_change_and_changes_nothing(operator: Operator) -> None:
    up = operator.verb("rehearse", "up", "--inventory", "clinic")
    assert up.returncode == 0, up.stderr
    before = operator.on("clinic1", "find", "/etc", "/var/lib/dpkg/status", "/opt", "/srv", "-printf", "%p %T@ %s\\n")
    ended = operator.verb("plan", "--inventory", "clinic", "--rehearse", "--strategy", "stock")
    assert ended.returncode == 0, ended.stderr
    assert "database" in ended.stdout
    after = operator.on("clinic1", "find", "/etc", "/var/lib/dpkg/status", "/opt", "/srv", "-printf", "%p %T@ %s\\n")
    assert after == before


def test_clinic_installs_and_verifies_on_one_host(operator: Operator) -> None:
    code, result, said = operator.install("--strategy", "stock")
    assert code == 0, said
    assert list(result["hosts"]) == ["clinic1"]
    code, result, said = operator.install("--strategy", "stock")
    assert code == 0, said
    assert result["changed"] == 0, [stage for stage in result["stages"] if stage["changed"]]
