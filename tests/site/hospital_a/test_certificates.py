"""All certificates of hospital-a made anew while somebody works; the other tests then find the site as installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from installer.stages.journal import Journal
from tests.site.conftest import ROOT, Operator
from tests.site.hospital_a.conftest import HOSTS, database_start, starts, user_asking, vault_values

PORTS = {
    **dict.fromkeys(("gw1", "gw2"), (443, 8444)),
    **dict.fromkeys(("app1", "app2"), (8443,)),
    **dict.fromkeys(("db1", "db2"), (5432, 8008)),
    **dict.fromkeys(("svc1", "svc2", "svc3"), (2379, 2380, 6379, 26379, 5671, 15671, 25672)),
    "ops1": (8543,),
}
# Neither has a way to read a new certificate but a restart.
RESTART = {*((host, "workers") for host in ("app1", "app2")), *((f"svc{n}", "Sentinel") for n in (1, 2, 3))}
COMPLETED_SECONDS = 90
KILL_BEHIND = "broker"


def lying(operator: Operator) -> dict[str, str]:
    """The SHA-256 of every service's certificate, by host and path."""
    script = (
        "for f in /etc/sitewright/tls/*/tls.crt; do openssl x509 -outform DER -in $f | sha256sum | sed s:-:$f:; done"
    )
    found = {}
    for host in HOSTS:
        for line in operator.on(host, "sh", "-c", script).splitlines():
            digest, path = line.split()
            found[f"{host} {path}"] = digest
    return found


def shown(operator: Operator) -> dict[str, str]:
    """The SHA-256 of the certificate that every listener shows."""
    addresses = dict(zip(HOSTS, (11, 12, 21, 22, 31, 32, 41, 42, 43, 51), strict=True))
    asked = [f"10.20.0.{addresses[host]}:{port}" for host, ports in PORTS.items() for port in ports]
    program = ROOT / "tests" / "site" / "hospital_a" / "shown.py"
    answer = operator.within(sys.executable, str(program), *asked)
    assert answer.returncode == 0, answer.stderr
    return dict(line.split() for line in answer.stdout.splitlines())


def completed(operator: Operator, wanted: int) -> int:
    """Instances with a business key of the load's that were completed, as soon as it is so many, or after a while."""
    login = f"admin:{vault_values(operator)['vault_engine_admin_password']}"
    name, ca = "workflow.hospital-a.internal", str(operator.state / "pki" / "ca.crt")
    query = "count?processInstanceBusinessKeyLike=load-%25&completed=true"
    curl = ["curl", "--silent", "--fail", "--cacert", ca, "--resolve", f"{name}:443:10.20.0.10", "--user", login]
    deadline = time.monotonic() + COMPLETED_SECONDS
    while True:
        answer = operator.within(*curl, f"https://{name}/engine-rest/history/process-instance/{query}")
        count = int(json.loads(answer.stdout)["count"])
        if count >= wanted or time.monotonic() > deadline:
            return count
        time.sleep(2)


def rotation(operator: Operator) -> list[str]:
    """Its command line."""
    return operator.argv("rotate", "certificates", "--inventory", operator.site, "--rehearse", "--output", "json")


def test_all_certificates_are_made_anew_under_load_and_nobody_notices(
    operator: Operator, installed: dict[str, Any]
) -> None:
    old, old_shown = lying(operator), shown(operator)
    assert set(old_shown.values()) <= set(old.values())
    began, databases = starts(operator), [database_start(operator, host) for host in ("db1", "db2")]
    with user_asking(operator, "revenue-cycle") as account:
        time.sleep(5)
        ended = subprocess.run(rotation(operator), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    sys.stderr.write(f"\ncertificates rotated in {result['seconds']} s, meanwhile: {json.dumps(account)}\n")
    assert account["failed"] == {}
    assert account["requests"] > 100

    new, new_shown = lying(operator), shown(operator)
    assert new.keys() == old.keys()
    assert not set(new.values()) & set(old.values())
    assert len(set(new.values())) == len(new)
    assert new_shown.keys() == old_shown.keys()
    assert set(new_shown.values()) <= set(new.values())

    after = starts(operator)
    assert {key for key in began if after[key] != began[key]} == RESTART
    assert [database_start(operator, host) for host in ("db1", "db2")] == databases
    # Those begun before, those under way and those begun while it went on: none is lost.
    assert account["started"] > 10
    assert completed(operator, account["started"]) == account["started"]

    code, result, said = operator.install()
    assert code == 0, said
    assert result["changed"] == 0, [stage for stage in result["stages"] if stage["changed"]]
    assert lying(operator) == new


@pytest.mark.long
def test_a_killed_rotation_goes_on_and_makes_no_certificate_twice(
    operator: Operator, installed: dict[str, Any]
) -> None:
    old = lying(operator)
    process = subprocess.Popen(rotation(operator), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = Journal.of(operator.state)
    while process.poll() is None:
        last = journal.last("certificate-rotation")
        if last is not None and last.unfinished and KILL_BEHIND in last.done_stages:
            break
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it could be killed"
    # The installer itself is what Popen started: the shell and the namespace were exec'ed away.
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    made = lying(operator)
    assert not set(made.values()) & set(old.values())

    code, result, said = operator.install()
    assert code == 2, said
    assert "the certificate-rotation begun" in result["error"]["message"]
    assert result["error"]["hint"].startswith("finish it with: ./install rotate certificates")

    ended = subprocess.run(rotation(operator), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    stages = {stage["name"]: stage["result"] for stage in json.loads(ended.stdout)["stages"]}
    assert stages[KILL_BEHIND] == "done before"
    assert stages["gateway"] == "done"
    assert lying(operator) == made
    assert set(shown(operator).values()) <= set(made.values())
    assert journal.unfinished() is None
