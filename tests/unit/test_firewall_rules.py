"""The module that loads rules, up to where it needs a kernel's; and the two halves of the controller's task."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from installer.checks.preflight import probe
from installer.checks.verify.firewall import judge_egress, judge_rules
from installer.checks.verify.firewall_on_a_host import attempt, said
from installer.checks.verify.firewall_on_a_host import without_newcomers as also_without
from plugins.action import firewall_rules as action
from plugins.modules import firewall_rules as module

LISTING = """table inet sitewright {
\tset newcomers {
\t\ttype ipv4_addr
\t\tflags timeout
\t\telements = { 10.0.0.1 timeout 2m,
\t\t\t     10.0.0.2 timeout 2m }
\t}

\tset site {
\t\telements = { 10.0.0.0/24 }
\t}
}
"""


class _Ended(Exception):  # noqa: N818 - not an error: how a module ends
    def __init__(self, **result: Any) -> None:
        super().__init__(str(result))
        self.result = result


class _Module:
    def __init__(self, check_mode: bool, **parameters: Any) -> None:
        usual = {"rules": "table inet sitewright {}", "table": "sitewright", "controllers": [], "seconds": 45}
        self.params = {**usual, "path": "/etc/nftables.conf", "act": "load", **parameters}
        self.check_mode = check_mode
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def exit_json(self, **result: Any) -> None:
        raise _Ended(**result)

    def fail_json(self, **result: Any) -> None:
        raise _Ended(failed=True, **result)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose kernel has what `kernel.txt` says; every command that it is given is written down."""
    for name in ("CANDIDATE", "BEFORE", "APPLIED", "LOADED", "REVERTED", "IN_FORCE"):
        monkeypatch.setattr(module, name, tmp_path / getattr(module, name).name)
    monkeypatch.setattr(module, "STATE", tmp_path)
    monkeypatch.setattr(module, "AT_BOOT", tmp_path / "at-boot")
    monkeypatch.setattr(module, "LOADING_SECONDS", 0.0)
    monkeypatch.setattr(module, "login", lambda: ("10.0.0.254", "22"))
    monkeypatch.setattr(module, "listing", lambda _: module.text_of(tmp_path / "kernel.txt"))
    commands = tmp_path / "commands"
    commands.touch()

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        with commands.open("a") as stream:
            stream.write(f"{' '.join(argv)}\n")
        armed = (tmp_path / "armed").exists()
        refused = ("is-active" in argv and not armed) or ((tmp_path / "bad").exists() and "--check" in argv)
        return subprocess.CompletedProcess(argv, int(refused), "", "line 3: syntax error" if refused else "")

    monkeypatch.setattr(module, "run", run)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, host: Path, *, check: bool = False, **parameters: Any) -> dict[str, Any]:
    given = {"path": str(host / "nftables.conf"), **parameters}
    monkeypatch.setattr(module, "AnsibleModule", lambda **_: _Module(check, **given))
    with pytest.raises(_Ended) as caught:
        module.main()
    return caught.value.result


def settled(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    """Load and keep, as a run that ended well."""
    assert call(monkeypatch, host)["staged"]
    for name in ("kernel.txt", "applied.txt"):
        (host / name).write_text(LISTING)
    assert call(monkeypatch, host, act="keep")["changed"]
    (host / "at-boot").symlink_to("nftables.service")


def test_a_bare_host_is_told_what_would_change_and_keeps_it(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    told = call(monkeypatch, host, check=True)
    assert told["changed"]
    assert told["plan"]["changes"][0]["note"] == "no connection that exists is interrupted"
    assert "define controllers = { 10.0.0.254 }" in told["diff"]["after"]
    assert (host / "commands").read_text() == ""


def test_the_way_back_is_armed_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    (host / "kernel.txt").write_text(LISTING)
    assert call(monkeypatch, host)["staged"]
    commands = (host / "commands").read_text()
    assert commands.index("--check") < commands.index(f"--unit={module.REVERT} --on-active=45s")
    assert commands.index(f"--unit={module.REVERT}") < commands.index(f"--unit={module.APPLY} --on-active=0.3s")
    assert (host / "before.nft").read_text().endswith(f"delete table inet sitewright\n{LISTING}")
    assert not (host / "nftables.conf").exists(), "a boot before the proof brings the old rules"


def test_a_settled_host_is_left_alone_in_one_look(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    settled(monkeypatch, host)
    (host / "commands").write_text("")
    told = call(monkeypatch, host)
    assert (told["changed"], told["repaired"]) == (False, False)
    assert (host / "commands").read_text() == ""


def test_flushed_rules_are_loaded_again_and_said(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    settled(monkeypatch, host)
    (host / "kernel.txt").write_text("")
    told = call(monkeypatch, host)
    assert told["staged"]
    assert told["repaired"]
    assert "somebody changed or flushed them" in told["msg"]


def test_a_host_that_went_back_says_so_once_to_the_next_run(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    settled(monkeypatch, host)
    (host / "reverted").touch()
    asked = _Module(check_mode=True)
    monkeypatch.setattr(module, "AnsibleModule", lambda **_: asked)
    with pytest.raises(_Ended) as caught:
        module.main()
    assert caught.value.result["taken_back"]
    assert (host / "reverted").exists(), "who only looks takes the word from nobody"
    assert call(monkeypatch, host)["taken_back"]
    assert not call(monkeypatch, host)["taken_back"]
    assert "went back to its old firewall rules by itself at 20" in asked.warned[0]


def test_rules_that_nft_refuses_are_not_loaded(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    (host / "bad").touch()
    told = call(monkeypatch, host)
    assert told["failed"]
    assert "nothing was loaded: line 3: syntax error" in told["msg"]
    assert "systemd-run" not in (host / "commands").read_text()


def test_what_a_killed_run_loaded_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    (host / "armed").touch()
    (host / "before.nft").write_text("the rules before it\n")
    call(monkeypatch, host)
    commands = (host / "commands").read_text()
    assert commands.index(f"nft -f {host / 'before.nft'}") < commands.index("--check")


@pytest.mark.parametrize("fault", ["went back", "never loaded", "others are loaded"])
def test_rules_that_are_not_in_force_are_not_kept(monkeypatch: pytest.MonkeyPatch, host: Path, fault: str) -> None:
    call(monkeypatch, host)
    if fault == "went back":
        (host / "reverted").touch()
    if fault != "never loaded":
        (host / "applied.txt").write_text(LISTING)
    (host / "kernel.txt").write_text(LISTING if fault != "others are loaded" else "table inet sitewright {}\n")
    told = call(monkeypatch, host, act="keep")
    assert told["failed"]
    assert "the old ones hold" in told["msg"]
    assert told["reverted"] == (fault == "went back")
    assert not (host / "nftables.conf").exists()


def test_a_host_that_nobody_could_log_into_is_refused(monkeypatch: pytest.MonkeyPatch, host: Path) -> None:
    monkeypatch.setattr(module, "login", lambda: ("", ""))
    assert "nobody could log in" in call(monkeypatch, host)["msg"]
    monkeypatch.setattr(module, "login", lambda: ("fe80::1", "22"))
    assert "IPv4 only" in call(monkeypatch, host)["msg"]


def test_the_login_is_found_at_a_parent_that_has_it() -> None:
    script = "import sys; sys.path.insert(0, '.'); from plugins.modules import firewall_rules as f; print(*f.login())"
    argv = ["sh", "-c", f'env -u SSH_CONNECTION "$0" -c "{script}"; true', sys.executable]
    environment = {**os.environ, "SSH_CONNECTION": "10.9.8.7 40000 10.0.0.11 2222"}
    answer = subprocess.run(argv, capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.split() == ["10.9.8.7", "2222"]


def test_networks_that_others_hold_are_not_said_twice() -> None:
    assert module.collapsed(["10.0.0.5", "10.0.0.0/24", "192.168.1.7"]) == ["10.0.0.0/24", "192.168.1.7"]


def test_newcomers_of_a_preflight_are_no_change() -> None:
    plain = module.without_newcomers(LISTING)
    assert "timeout 2m" not in plain
    assert "10.0.0.0/24" in plain
    assert also_without(LISTING) == plain


@pytest.mark.parametrize(("loaded", "opened"), [("", False), ("m", False), ("older", True)])
def test_preflight_opens_hosts_to_each_other_only_where_the_rules_are_of_another_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loaded: str, opened: bool
) -> None:
    nft, asked = tmp_path / "nft", tmp_path / "asked"
    says = f"""echo 'comment "model {loaded}"'""" if loaded else "exit 1"
    nft.write_text(f"#!/bin/sh\nif test $1 = list; then {says}; else cat >{asked}; fi\n")
    nft.chmod(0o755)
    monkeypatch.setattr(probe, "NFT", str(nft))
    probe.admit("m", ["10.0.0.1", "10.0.0.2"])
    words = "add element inet sitewright newcomers { 10.0.0.1 timeout 120s, 10.0.0.2 timeout 120s }"
    assert (asked.read_text() if asked.exists() else "") == (words if opened else "")


class _Action(action.ActionModule):
    """The controller's half, on a host that answers as a test says."""

    def __init__(self, answers: dict[str, Any], logins: list[str]) -> None:
        self.answers, self.logins, self.acts, self.asked = answers, logins, list[str](), list[str]()
        self._task = type("Task", (), {"args": {"seconds": 20}, "async_val": 0, "check_mode": False})()
        self._connection = self._play_context = None

    def _act(self, act: str, _: Any) -> dict[str, Any]:
        self.acts.append(act)
        answer = self.answers[act]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    def _log_in(self, _: Any, command: str = "true") -> str:
        self.asked.append(command)
        return self.logins.pop(0) if self.logins else ""


def act(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], logins: list[str]
) -> tuple[dict[str, Any], list[str]]:
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})
    monkeypatch.setattr("time.sleep", lambda _: None)
    acting = _Action(answers, logins)
    return acting.run(None, {}), acting.acts


STAGED = {"changed": True, "staged": True, "diff": {}}


def test_nothing_loaded_needs_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    told, acts = act(monkeypatch, {"load": {"changed": False}}, ["a login would fail"])
    assert (told, acts) == ({"changed": False}, ["load"])


def test_what_was_loaded_stays_when_a_login_works(monkeypatch: pytest.MonkeyPatch) -> None:
    told, acts = act(monkeypatch, {"load": STAGED, "keep": {"changed": True}}, ["timed out", ""])
    assert acts == ["load", "keep"]
    assert told == {"changed": True, "diff": {}}


def test_the_login_that_proves_begins_when_the_rules_are_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy host a login may come before the rules; those that let nobody in would be taken for proven."""
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})
    monkeypatch.setattr("time.sleep", lambda _: None)
    acting = _Action({"load": STAGED, "keep": {"changed": True}}, ["the rules were not in force after 5 s"])
    assert acting.run(None, {})["changed"]
    assert acting.asked == [action.IN_FORCE, action.IN_FORCE, "true"]
    assert str(module.IN_FORCE) in action.IN_FORCE


def test_a_lock_out_is_told_with_what_happened_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    told, acts = act(monkeypatch, {"load": STAGED}, ["timed out"] * 6)
    assert acts == ["load"]
    assert told["failed"]
    assert "let no new SSH connection of this controller in (timed out)" in told["msg"]
    assert "went back to its old rules by itself" in told["msg"]


def test_a_login_that_comes_in_after_the_host_went_back_is_a_lock_out(monkeypatch: pytest.MonkeyPatch) -> None:
    went_back = {"failed": True, "reverted": True, "msg": "the old ones hold"}
    told, acts = act(monkeypatch, {"load": STAGED, "keep": went_back}, ["timed out", ""])
    assert acts == ["load", "keep"]
    assert "let no new SSH connection of this controller in (timed out)" in told["msg"]


def test_a_host_that_stays_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    told, _ = act(monkeypatch, {"load": STAGED}, ["timed out"] * 100)
    assert "does not answer" in told["msg"]
    assert "nft delete table inet sitewright" in told["msg"]


def test_a_connection_that_breaks_between_is_a_lock_out_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    told, _ = act(monkeypatch, {"load": STAGED, "keep": AnsibleConnectionFailure("gone")}, [""])
    assert told["failed"]
    assert "gone" in told["msg"]


ANSWER: dict[str, Any] = {
    **{"loaded": True, "as_loaded": True, "model": "m", "policies": ["drop"], "rules": 30, "at_boot": True},
    **{"armed": False, "refused": 2},
    "tried": [
        {"address": "192.0.2.1", "port": 443, "what": "outside", "error": "refused"},
        {"address": "10.0.0.9", "port": 5432, "what": "database", "error": "refused"},
    ],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loaded": False}, "no rules are loaded"),
        ({"as_loaded": False}, "changed since they were loaded"),
        ({"model": "other"}, "of another model than m"),
        ({"policies": ["accept", "drop"]}, "policies accept, drop"),
        ({"at_boot": False}, "not loaded at boot"),
        ({"armed": True}, "about to be taken back"),
    ],
)
def test_rules_are_judged(change: dict[str, Any], words: str) -> None:
    assert judge_rules("h", ANSWER, {"digest": "m"}).ok
    judged = judge_rules("h", {**ANSWER, **change}, {"digest": "m"})
    assert not judged.ok
    assert words in judged.measured


def test_egress_is_judged() -> None:
    judged = judge_egress("h", ANSWER)
    assert judged.ok
    assert judged.details == ("192.0.2.1:443 outside: refused", "10.0.0.9:5432 database: refused")
    # Refused, but not by the host's own rules.
    assert not judge_egress("h", {**ANSWER, "refused": 1}).ok
    opened = {**ANSWER["tried"][1], "error": ""}
    judged = judge_egress("h", {**ANSWER, "tried": [ANSWER["tried"][0], opened]})
    assert not judged.ok
    assert "not refused: 10.0.0.9:5432" in judged.measured
    assert "CONNECTED" in judged.details[1]
    assert not judge_egress("h", {**ANSWER, "tried": []}).ok


def test_attempts_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            closed = other.getsockname()[1]
        found = attempt([("127.0.0.1", port, "open"), ("127.0.0.1", closed, "closed")])
    assert [each["error"] for each in found] == ["", "refused"]
    assert said(101) == "no route"
