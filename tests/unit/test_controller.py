"""What the controller needs from Debian, and what is said when it is not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from installer.controller.commands import Job, commands_for, ensure_commands, missing_packages
from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_controller_with_nothing_lacks_every_package(tmp_path: Path) -> None:
    missing = missing_packages([Job.REHEARSAL], search_path=str(tmp_path))
    assert missing == sorted({*commands_for([Job.REHEARSAL]).values()})
    assert {"mmdebstrap", "systemd-container", "iproute2"} <= set(missing)


def test_a_program_that_is_there_is_not_installed_again(tmp_path: Path) -> None:
    for command in commands_for([Job.SSH]):
        (tmp_path / command).touch(mode=0o755)
    assert missing_packages([Job.SSH], search_path=str(tmp_path)) == []


def test_nothing_is_said_when_nothing_is_missing() -> None:
    said: list[str] = []
    assert ensure_commands([], said.append) == []
    assert said == []


def test_an_ordinary_user_gets_the_exact_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("installer.controller.commands._SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="lacks what it takes to rehearse") as caught:
        ensure_commands([Job.REHEARSAL], print)
    assert "apt-get install --no-install-recommends" in caught.value.hint
    assert "mmdebstrap" in caught.value.hint
