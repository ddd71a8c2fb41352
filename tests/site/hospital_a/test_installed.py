"""The whole of hospital-a, installed as the README says, then looked at from outside."""

from __future__ import annotations

import hashlib
import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.site.conftest import ROOT, Operator
from tests.site.hospital_a.conftest import HOSTS, vault_values

COLD_SECONDS = 180
SECOND_SECONDS = 45
# The figures are the machine's when nothing else runs on it; these tests share two cores with the role tests.
CONTENDED = 3


def test_cold_install_ends_well_on_all_hosts(installed: dict[str, Any]) -> None:
    assert installed["result"] == "done"
    assert sorted(installed["hosts"]) == sorted(HOSTS)
    assert all(not host["failed"] and not host["unreachable"] for host in installed["hosts"].values())
    assert installed["changed"] > 100
    assert installed["seconds"] <= COLD_SECONDS * CONTENDED


def test_second_run_changes_nothing(operator: Operator, installed: dict[str, Any]) -> None:
    code, result, said = operator.install()
    assert code == 0, said
    assert result["changed"] == 0, [stage for stage in result["stages"] if stage["changed"]]
    assert {name: host["changed"] for name, host in result["hosts"].items()} == dict.fromkeys(HOSTS, 0)
    assert all(host["ok"] > 5 for host in result["hosts"].values())
    assert result["seconds"] <= SECOND_SECONDS * CONTENDED


def test_database_streams_synchronously_and_only_over_tls(operator: Operator, installed: dict[str, Any]) -> None:
    sql = "select state || ' ' || sync_state from pg_stat_replication"
    states = [
        operator.on(host, "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql).strip()
        for host in ("db1", "db2")
    ]
    assert sorted(states) == ["", "streaming sync"]
    primary = ("db1", "db2")[states.index("streaming sync")]
    sql = (
        "select count(*) filter (where not ssl), count(*) from pg_stat_ssl join pg_stat_activity using (pid)"
        " where client_addr is not null"
    )
    plain, everyone = (
        operator.on(primary, "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql).strip().split("|")
    )
    assert plain == "0"
    assert int(everyone) > 2


def test_user_reaches_the_engine_through_the_virtual_ip(operator: Operator, installed: dict[str, Any]) -> None:
    vault = vault_values(operator)
    ca = operator.state / "pki" / "ca.crt"
    name = "workflow.hospital-a.internal"
    base = ["curl", "--silent", "--show-error", "--cacert", str(ca), "--resolve", f"{name}:443:10.20.0.10"]
    url = f"https://{name}/engine-rest/engine"
    answer = operator.within(*base, "--user", f"admin:{vault['vault_engine_admin_password']}", url)
    assert json.loads(answer.stdout) == [{"name": "default"}]
    # The list of engines is public in Operaton; everything else asks who is there.
    url = f"https://{name}/engine-rest/process-definition/count"
    refused = operator.within(*base, "--output", "/dev/null", "--write-out", "%{http_code}", url)
    assert refused.stdout == "401"
    demo = operator.within(*base, "--user", "demo:demo", "--output", "/dev/null", "--write-out", "%{http_code}", url)
    assert demo.stdout == "401"
    # Where people log in a machine does not, and where machines do nobody does without a certificate.
    options = ["--user", f"probe:{vault['vault_engine_probe_password']}"]
    options += ["--output", "/dev/null", "--write-out", "%{http_code}"]
    assert operator.within(*base, *options, url).stdout == "401"
    there = [*base, "--resolve", f"{name}:8444:10.20.0.10", *options, url.replace(name, f"{name}:8444")]
    assert operator.within(*there).stdout == "400"
    old = operator.within(*base, "--tls-max", "1.2", url)
    assert old.returncode == 35, old.stderr


def test_evidence_holds_every_proof(operator: Operator, installed: dict[str, Any]) -> None:
    evidence = json.loads((operator.state / "evidence" / "evidence.json").read_text())
    assert evidence["ok"] is True
    checks = {result["check"] for result in evidence["results"] if result["verdict"] == "passed"}
    assert checks >= {
        "process.finished",
        "process.queue",
        "process.history",
        "process.cache",
        "database.replication",
        "database.synchronous",
        "etcd.quorum",
        "cache.sentinel",
        "broker.cluster",
        "broker.queue",
        "listeners.tls",
        "listeners.model",
        "packages.versions",
        "release.hosts",
    }
    page = (operator.state / "evidence" / "evidence.html").read_text()
    assert all(
        result["measured"].split()[0][:8] in page for result in evidence["results"] if result["verdict"] == "passed"
    )


def test_no_secret_is_anywhere_it_can_be_read(operator: Operator, installed: dict[str, Any]) -> None:
    values = vault_values(operator)
    canaries = [value.encode() for value in values.values() if len(value) >= 8]
    assert len(canaries) >= 15
    assert len(installed["argv"]) > 500
    assert [words[:80] for words in installed["argv"] if any(canary in words for canary in canaries)] == []
    state = ROOT / ".sitewright"
    own = [path for path in operator.state.iterdir() if path.name != "hosts"]
    below = [file for path in own for file in path.rglob("*")]
    inside = [path for path in [*own, *below, *state.glob("*.log")] if path.is_file() and not path.is_symlink()]
    assert len(inside) > 20
    assert [str(path) for path in inside if any(canary in path.read_bytes() for canary in canaries)] == []
    for host in HOSTS:
        root = operator.state / "hosts" / host / "upper"
        world_readable = subprocess.run(
            ["find", root, "-ignore_readdir_race", "-xdev", "-type", "f", "-perm", "-004", "-size", "-4M", "-print0"],
            capture_output=True,
            check=True,
        ).stdout
        found = _grep(world_readable, canaries)
        assert found == [], host
        journal = operator.on(host, "journalctl", "--no-pager", "--output", "cat").encode()
        assert not any(canary in journal for canary in canaries), host


def _grep(files: bytes, needles: list[bytes]) -> list[str]:
    """Files, of those listed with NUL between them, that hold one of the needles; services remove theirs meanwhile."""
    found = []
    for name in files.decode().split("\0"):
        with suppress(FileNotFoundError):
            if name and any(needle in Path(name).read_bytes() for needle in needles):
                found.append(name)
    return found


def _etc(operator: Operator, host: str) -> str:
    """A fingerprint of everything a plan could have touched on a host."""
    listing = operator.on(
        host,
        "find",
        "/etc",
        "/usr/lib/systemd",
        "/srv",
        "-type",
        "f",
        "-printf",
        "%p %T@ %s %m %u\\n",
    )
    packages = operator.on(host, "dpkg-query", "--show")
    return hashlib.sha256((listing + packages).encode()).hexdigest()


def test_plan_of_the_installed_site_finds_nothing_and_changes_nothing(
    operator: Operator, installed: dict[str, Any]
) -> None:
    before = {host: _etc(operator, host) for host in HOSTS}
    ended = operator.verb("plan", "--inventory", "hospital-a", "--rehearse", "--output", "json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["changed"] == 0
    assert {host: _etc(operator, host) for host in HOSTS} == before


def test_configuration_changed_behind_our_back_is_repaired_and_only_that(
    operator: Operator, installed: dict[str, Any]
) -> None:
    operator.on("gw1", "sh", "-c", "printf '\\n127.0.0.2 stranger\\n' >> /etc/hosts")
    code, result, said = operator.install()
    assert code == 0, said
    assert result["changed"] == 1
    assert result["hosts"]["gw1"]["changed"] == 1
    assert "stranger" not in operator.on("gw1", "cat", "/etc/hosts")
