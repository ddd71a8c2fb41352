"""The module that keeps units running, on a real systemd: a unit of these tests' own starts, is stale, fails, stops."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.module_on_host import ModuleHost

UNIT = "checked.service"
FILE = f"/etc/systemd/system/{UNIT}"
WATCHED = "/etc/checked.conf"
SLEEPS = (
    "[Service]\nExecStart=/usr/bin/sleep infinity\nExecReload=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n"
)
FAILS = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo the database is away; exit 3'\n"
UNMET = f"[Unit]\nConditionPathExists=/nowhere\n{SLEEPS}"


@pytest.fixture
def unit(host: ModuleHost) -> Iterator[ModuleHost]:
    """A host with the unit's file and a file that it reads; nothing of them afterwards."""
    _write(host, FILE, SLEEPS)
    _write(host, WATCHED, "one\n")
    yield host
    host.on(f"systemctl disable --now {UNIT}; systemctl reset-failed {UNIT} || true")
    host.on(f"rm -rf {FILE} {FILE}.d {WATCHED} && systemctl daemon-reload")


def _write(host: ModuleHost, path: str, content: str) -> None:
    host.on(f"printf %s {shlex.quote(content)} >{path}")


def _ensure(host: ModuleHost, *, check: bool = False, **more: Any) -> dict[str, Any]:
    said = host.module("service_unit", check=check, **{"name": UNIT, "watch": [WATCHED], **more})
    assert "failed" not in said, said
    assert said["changed"] == (said["action"] != "none")
    return said


def _refusal(host: ModuleHost, **more: Any) -> dict[str, Any]:
    said = host.module("service_unit", **{"name": UNIT, "watch": [WATCHED], **more})
    assert said["failed"]
    return said


def _running(host: ModuleHost) -> str:
    """Whether it runs, and whether it would after a boot."""
    return host.on(f"systemctl is-active {UNIT}; systemctl is-enabled {UNIT}; true").replace("\n", " ").strip()


def _process(host: ModuleHost) -> str:
    return host.on(f"systemctl show --property MainPID --value {UNIT}")


def test_a_unit_is_told_enabled_started_and_left_alone_after_that(unit: ModuleHost) -> None:
    assert _ensure(unit, check=True)["action"] == "start"
    assert _running(unit) == "inactive disabled"
    assert _ensure(unit)["action"] == "start"
    assert _running(unit) == "active enabled"
    assert _ensure(unit)["action"] == "none"


def test_a_changed_file_is_reported_reloaded_or_restarts_once(unit: ModuleHost) -> None:
    _ensure(unit)
    process = _process(unit)
    _write(unit, WATCHED, "two\n")
    reported = _ensure(unit, on_stale="report")
    assert (reported["action"], reported["stale"]) == ("none", [WATCHED])
    assert _process(unit) == process
    assert _ensure(unit, on_stale="reload")["action"] == "reload"
    assert _process(unit) == process
    assert _ensure(unit, on_stale="reload")["action"] == "none"
    # A reload is enough only for who says so.
    assert _ensure(unit, check=True)["action"] == "restart"
    assert _ensure(unit)["stale"] == [WATCHED]
    assert _process(unit) != process
    assert _ensure(unit)["action"] == "none"


def test_a_drop_in_restarts_what_began_before_it(unit: ModuleHost) -> None:
    _ensure(unit)
    unit.on(f"mkdir --parents {FILE}.d")
    _write(unit, f"{FILE}.d/limits.conf", "[Service]\nLimitNOFILE=4096\n")
    assert _ensure(unit)["stale"] == [f"{FILE}.d/limits.conf"]
    assert unit.on(f"systemctl show --property LimitNOFILE --value {UNIT}").strip() == "4096"


def test_a_unit_that_fails_is_told_in_the_words_of_its_journal(unit: ModuleHost) -> None:
    _write(unit, FILE, FAILS)
    said = _refusal(unit, enabled=False)
    assert f"{UNIT}: systemctl start {UNIT}" in said["msg"]
    assert "the database is away" in said["journal"]


def test_a_unit_that_is_not_there_and_a_check_without_an_answer_are_said(unit: ModuleHost) -> None:
    assert "no such unit" in _refusal(unit, name="nobody.service")["msg"]
    argv = ["/bin/sh", "-c", "echo not yet >&2; exit 1"]
    said = _refusal(unit, check_argv=argv, check_timeout_seconds=1)["msg"]
    assert said == f"{UNIT}: {UNIT} did not answer within 1 s: not yet"


def test_a_unit_whose_condition_is_not_met_is_named_and_no_change(unit: ModuleHost) -> None:
    _write(unit, FILE, UNMET)
    for check in (True, False, True):
        said = _ensure(unit, enabled=False, check=check)
        assert (said["unmet"], said["changed"]) == ([UNIT], False)


def test_a_unit_that_shall_not_run_is_stopped_once(unit: ModuleHost) -> None:
    _ensure(unit)
    gone = {"running": False, "enabled": False}
    assert _ensure(unit, check=True, **gone)["action"] == "stop"
    assert _ensure(unit, **gone)["action"] == "stop"
    assert _running(unit) == "inactive disabled"
    assert _ensure(unit, **gone)["action"] == "none"
