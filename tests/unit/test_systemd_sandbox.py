"""The sandbox that all units share: whole by default, different only where a unit says so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from plugins.filter.systemd import systemd_sandbox

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(path for path in ROOT.glob("roles/*/templates/*.j2") if "[Service]" in path.read_text())


def test_without_a_difference_it_is_whole() -> None:
    lines = systemd_sandbox({}).splitlines()
    assert len(lines) == 26
    assert "ProtectSystem=strict" in lines
    assert lines[-3:-1] == ["SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources"]


def test_a_difference_replaces_adds_or_leaves_out() -> None:
    text = systemd_sandbox(
        {"ProtectHome": "no", "RemoveIPC": None, "SystemCallFilter": ["@basic-io"], "DynamicUser": "yes"}
    )
    lines = text.splitlines()
    assert "ProtectHome=no" in lines
    assert "DynamicUser=yes" in lines
    assert [line for line in lines if line.startswith(("RemoveIPC", "SystemCallFilter"))] == [
        "SystemCallFilter=@basic-io"
    ]


def test_systemd_knows_every_line_of_it(tmp_path: Path) -> None:
    unit = tmp_path / "sandboxed.service"
    unit.write_text(f"[Service]\nExecStart=/bin/true\n{systemd_sandbox({})}\n")
    said = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "sandboxed" not in said.stderr


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parts[-3]}-{path.name}")
def test_no_unit_writes_the_sandbox_itself(template: Path) -> None:
    own = re.findall(
        r"^(?:Protect|Restrict|Private|SystemCall|NoNewPrivileges|Capability)\w*=", template.read_text(), re.M
    )
    assert own == []
