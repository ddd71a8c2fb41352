"""Every secret of a running hospital-a is made anew, and nobody at the virtual IP notices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from installer.errors import ConfigurationError
from installer.pki import open_authority
from installer.stages.journal import Journal
from tests.site.conftest import ROOT, Operator
from tests.site.hospital_a.conftest import ArgvWatcher, user_asking, vault_values
from tests.site.hospital_a.logins import logins

WARD, WARD_PASSWORD = "ward", "a ward's own, 1 of the hospital"
SEVERAL = 10


def _rest(operator: Operator, method: str, path: str, login: str, body: object = None) -> Any:
    """One call of the REST API through the virtual address, by a program of this machine."""
    words = [sys.executable, str(ROOT / "tests" / "site" / "rest.py"), "10.20.0.10", "workflow.hospital-a.internal"]
    words.append(str(operator.state / "pki" / "ca.crt"))
    question = {"login": login, "method": method, "path": f"/engine-rest{path}", "body": body}
    argv = operator.argv("rehearse", "run", "--inventory", operator.inventory, "--", *words)
    ended = subprocess.run(
        argv, cwd=ROOT, input=json.dumps(question), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def _make_ward(operator: Operator, admin: str) -> str:
    """A user of the hospital's own, whose password is nobody's business here; its login."""
    found = _rest(operator, "GET", f"/user/count?id={WARD}", admin)
    if not found["count"]:
        profile = {"id": WARD, "firstName": "Ward", "lastName": "", "email": ""}
        body = {"profile": profile, "credentials": {"password": WARD_PASSWORD}}
        _rest(operator, "POST", "/user/create", admin, body)
        _rest(operator, "PUT", f"/group/operaton-admin/members/{WARD}", admin)
    return f"{WARD}:{WARD_PASSWORD}"


class Starter(threading.Thread):
    """Starts a process instance every few seconds, as a front end would, and remembers how many."""

    def __init__(self, operator: Operator, login: str, run: str) -> None:
        """Prepare it."""
        super().__init__(daemon=True)
        self.operator, self.login, self.run_name = operator, login, run
        self.started = 0
        self.ended = threading.Event()

    def start_one(self) -> None:
        """One instance through the virtual address."""
        key = f"{self.run_name}-{self.started}"
        said: dict[str, str | int] = {
            "patientId": key,
            "memberId": "VERIFY-0001",
            "payer": "STATUTORY",
            "careType": "EMERGENCY",
            "diagnosisGroup": "CARDIAC",
            "chargeCents": 120000,
        }
        variables = {
            name: {"value": value, "type": "Integer" if isinstance(value, int) else "String"}
            for name, value in said.items()
        }
        body = {"businessKey": key, "variables": variables}
        _rest(self.operator, "POST", "/process-definition/key/revenue-cycle/start", self.login, body)
        self.started += 1

    def run(self) -> None:
        """Go on until told to stop."""
        while not self.ended.wait(3):
            self.start_one()


def _rotate(operator: Operator) -> list[str]:
    return operator.argv("rotate", "secrets", "--inventory", operator.inventory, "--rehearse", "--output", "json")


def _primary(operator: Operator) -> str:
    sql = "select pg_is_in_recovery()"
    answers = {
        host: operator.on(host, "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql).strip()
        for host in ("db1", "db2")
    }
    return next(host for host, answer in answers.items() if answer == "f")


def _finished(operator: Operator, login: str, run: str, wanted: int) -> int:
    path = f"/history/process-instance/count?processInstanceBusinessKeyLike={run}-%25&finished=true"
    deadline = time.monotonic() + 60
    while True:
        count = int(_rest(operator, "GET", path, login)["count"])
        if count >= wanted or time.monotonic() > deadline:
            return count
        time.sleep(1)


def _require_new(operator: Operator, old: dict[str, str], left: set[str]) -> dict[str, str]:
    """Every login takes the new secret and none the old one; the new vault."""
    new = vault_values(operator)
    assert new.keys() == old.keys()  # no previous one is left
    assert {name for name in old if old[name] == new[name]} == {f"vault_{name}" for name in left}
    primary = _primary(operator)
    accepted = logins(operator, new, primary=primary)
    assert len(accepted) >= 25
    assert [name for name, taken in accepted.items() if not taken] == []
    with_old = logins(operator, old, primary=primary)
    still = {f"redis {port} worker" for port in (6379, 26379)} if "redis_worker_password" in left else set()
    assert {name for name, taken in with_old.items() if taken} == still
    sys.stderr.write(f"\n{len(accepted)} logins with the new vault accepted, {len(with_old) - len(still)} refused\n")
    for folder in (operator.state / "pki", operator.state / "pki" / "database"):
        open_authority(folder, new["vault_ca_passphrase"])
        with pytest.raises(ConfigurationError, match="does not open"):
            open_authority(folder, old["vault_ca_passphrase"])
    return new


def test_every_secret_is_made_anew_without_a_failed_request_or_a_lost_instance(
    operator: Operator, installed: dict[str, Any]
) -> None:
    code, _, said = operator.install()  # whatever the tests before have changed
    assert code == 0, said
    old = vault_values(operator)
    login = _make_ward(operator, f"admin:{old['vault_engine_admin_password']}")
    starter, watcher = Starter(operator, login, f"rotated-{os.getpid()}"), ArgvWatcher()
    for _ in range(SEVERAL):
        starter.start_one()
    watcher.start()
    starter.start()
    with user_asking(operator, login=login) as account:
        ended = subprocess.run(_rotate(operator), cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    watcher.stopped.set()
    starter.ended.set()
    watcher.join()
    starter.join()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(ended.stdout)
    sys.stderr.write(f"\none request in 100 ms while all secrets were rotated: {json.dumps(account)}\n")
    assert account["requests"] > 500
    assert account["failed"] == {}
    assert starter.started > SEVERAL
    assert _finished(operator, login, starter.run_name, starter.started) == starter.started
    assert _rest(operator, "GET", "/incident/count", login)["count"] == 0

    new = _require_new(operator, old, set(result["secrets_left"]))
    canaries = {value for vault in (old, new) for value in vault.values() if len(value) >= SEVERAL}
    assert [words[:80] for words in watcher.seen if any(canary.encode() in words for canary in canaries)] == []
    own = [path for path in operator.state.iterdir() if path.name != "hosts"]
    inside = [file for path in own for file in (path, *path.rglob("*")) if file.is_file() and not file.is_symlink()]
    assert [str(file) for file in inside if any(canary.encode() in file.read_bytes() for canary in canaries)] == []

    code, again, said = operator.install()
    assert code == 0, said
    assert again["changed"] == 0, [stage for stage in again["stages"] if stage["changed"]]


@pytest.mark.long
@pytest.mark.parametrize("stage", ["cache", "broker", "engine", "worker", "forget"])
def test_a_rotation_that_is_killed_goes_on_with_the_secrets_it_made(
    operator: Operator, installed: dict[str, Any], stage: str
) -> None:
    code, _, said = operator.install()
    assert code == 0, said
    old = vault_values(operator)
    process = subprocess.Popen(_rotate(operator), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = Journal.of(operator.state)
    while (operation := journal.unfinished()) is None or stage not in operation.begun:
        assert process.poll() is None, f"the rotation ended before {stage}"
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    between = vault_values(operator)
    assert any(name.startswith("vault_previous_") for name in between)
    code, refused, _ = operator.install()
    assert code == 2
    assert "rotate secrets" in refused["error"]["hint"]

    ended = subprocess.run(_rotate(operator), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    new = _require_new(operator, old, set(json.loads(ended.stdout)["secrets_left"]))
    assert new == {name: value for name, value in between.items() if not name.startswith("vault_previous_")}
    code, again, said = operator.install()
    assert code == 0, said
    assert again["changed"] == 0
