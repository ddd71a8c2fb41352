"""What the module that keeps units running tells a plan; the units are this machine's own or none."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.modules import service_unit

ACTIVE = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "FragmentPath": "/usr/lib/systemd/system/x.service",
    "DropInPaths": "/etc/systemd/system/x.service.d/a.conf",
    "NeedDaemonReload": "no",
    "Type": "notify",
    "ActiveEnterTimestampMonotonic": "5000000",
    "StateChangeTimestampMonotonic": "5000000",
    "ExecMainStartTimestampMonotonic": "4000000",
    "InactiveExitTimestampMonotonic": "3900000",
    "ConditionResult": "yes",
    "ConditionTimestampMonotonic": "3900000",
}


class _Ended(Exception):  # noqa: N818 - not an error: how a module ends
    """What a module would have printed."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__()
        self.result = result


class _Module:
    """As much of Ansible's module as a unit in check mode needs; systemctl answers what was shown."""

    def __init__(self, shown: dict[str, str], parameters: dict[str, Any], *, check_mode: bool) -> None:
        self.check_mode = check_mode
        self.params = {
            "names": ["x.service"],
            "watch": [],
            "on_stale": "restart",
            "enabled": True,
            "running": True,
            "check_argv": [],
            "check_environment": {},
            "check_timeout_seconds": 1,
            **parameters,
        }
        self.shown = "".join(f"{key}={value}\n" for key, value in shown.items())

    def run_command(self, argv: list[str]) -> tuple[int, str, str]:
        """Only questions are asked."""
        assert argv[1] == "show"
        return 0, self.shown, ""

    def exit_json(self, **result: Any) -> None:
        """End."""
        raise _Ended(result)


def answer(monkeypatch: pytest.MonkeyPatch, *, check_mode: bool = True, **more: Any) -> dict[str, Any]:
    """What the module answers about a unit that is as `ACTIVE` says, but for what is given in `shown`."""
    module = _Module({**ACTIVE, **more.pop("shown", {})}, more, check_mode=check_mode)
    monkeypatch.setattr(service_unit, "AnsibleModule", lambda **_: module)
    with pytest.raises(_Ended) as ended:
        service_unit.main()
    return ended.value.result


def test_a_plan_hears_which_files_a_unit_reads_and_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, watch=["/etc/x.conf"], on_stale="report")
    assert result["changed"] is False
    (unit,) = result["plan"]["units"]
    assert (unit["name"], unit["active"], unit["action"], unit["on_stale"]) == ("x.service", True, "none", "report")
    files = ["/usr/lib/systemd/system/x.service", "/etc/systemd/system/x.service.d/a.conf"]
    assert unit["watch"] == ["/etc/x.conf", *files]


def test_nothing_is_told_when_it_is_really_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "plan" not in answer(monkeypatch, check_mode=False)


def test_a_unit_that_does_not_exist_yet_would_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, shown={"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""})
    (unit,) = result["plan"]["units"]
    assert (unit["active"], unit["action"], result["changed"]) == (False, "start", True)


def test_a_unit_that_is_to_go_reads_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, running=False, enabled=False, watch=["/etc/x.conf"])
    (unit,) = result["plan"]["units"]
    assert (unit["action"], unit["watch"]) == ("stop", [])


def test_a_restart_owed_since_an_earlier_run_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "x.conf").write_text("newer than the process")
    result = answer(monkeypatch, watch=[str(tmp_path / "x.conf")])
    (unit,) = result["plan"]["units"]
    assert (unit["action"], unit["stale"]) == ("restart", [str(tmp_path / "x.conf")])
