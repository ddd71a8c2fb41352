"""What listens on a host against what its roles declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.checks.verify import listeners
from installer.manifests import load_manifests
from installer.report import CheckResult
from installer.services.health.subject import Subject
from installer.site import load_site

ROOT = Path(__file__).resolve().parents[2]


def _model(folder: Path, ports: list[int]) -> CheckResult:
    """A database host whose sshd listens on 2222, asked through a stand-in for ssh with this `ss`."""
    lines = "\\n".join(f"LISTEN 0 128 10.20.0.31:{port} 0.0.0.0:*" for port in ports)
    program = folder / "ss"
    program.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\n")
    program.chmod(0o755)
    way = ["env", f"PATH={folder}:/usr/bin:/bin", "SSH_CONNECTION=10.20.0.1 41000 10.20.0.31 2222", "sh", "-c"]
    manifests = load_manifests(ROOT)
    subject = Subject(
        site=load_site(ROOT / "inventories" / "hospital-a", manifests=manifests).resolved(),
        secrets={},
        manifests=manifests,
        clients={},
        ssh={"db1": way},
        carried={},
        release={},
    )
    return listeners._only_the_model(subject, subject.host("db1"))


def test_the_port_ssh_came_in_at_belongs_to_the_model(tmp_path: Path) -> None:
    assert _model(tmp_path, [2222, 5432, 8008]).ok


@pytest.mark.parametrize(
    ("ports", "said"),
    [([22, 2222, 5432, 8008], "not in the model: 22"), ([2222, 8008], "silent: 5432")],
)
def test_a_listener_too_many_and_one_too_few_are_told(tmp_path: Path, ports: list[int], said: str) -> None:
    result = _model(tmp_path, ports)
    assert not result.ok
    assert said in result.measured
