"""The whole of hospital-a, installed as the README says, then looked at from outside."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.site.conftest import ROOT, Operator, alone_with

HOSTS = ["gw1", "gw2", "app1", "app2", "db1", "db2", "svc1", "svc2", "svc3", "ops1"]
COLD_SECONDS = 180
SECOND_SECONDS = 45
# The figures are the machine's when nothing else runs on it; these tests share two cores with the role tests.
CONTENDED = 3


class ArgvWatcher(threading.Thread):
    """Collects every command line that exists on this machine while something runs; hosts' processes show too."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.stopped = threading.Event()

    def run(self) -> None:
        """Look again and again until told to stop."""
        while not self.stopped.wait(0.1):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:
                    continue


@pytest.fixture(scope="module")
def operator(bundle: Path) -> Iterator[Operator]:
    with alone_with("hospital-a") as operator:
        yield operator


@pytest.fixture(scope="module")
def installed(operator: Operator) -> dict[str, Any]:
    watcher = ArgvWatcher()
    watcher.start()
    code, result, said = operator.install()
    watcher.stopped.set()
    watcher.join()
    assert code == 0, said
    return {**result, "argv": watcher.seen}


def vault_values(operator: Operator) -> dict[str, str]:
    """The rehearsal's own secrets, read as an operator would."""
    vault, password = operator.state / "vault.yml", operator.state / "vault-password"
    ended = subprocess.run(
        [ROOT / ".sitewright" / "venv" / "bin" / "ansible-vault", "view", "--vault-password-file", password, vault],
        capture_output=True,
        text=True,
        check=True,
    )
    values: dict[str, str] = yaml.safe_load(ended.stdout)
    return values


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


# What may restart, and what a plan calls it.
UNITS = {
    "patroni.service": "PostgreSQL",
    "redis-server.service": "Redis",
    "redis-sentinel.service": "Sentinel",
    "rabbitmq-server.service": "RabbitMQ",
    "etcd.service": "etcd",
    "engine.service": "process engine",
    "gateway.service": "NGINX",
    "keepalived.service": "keepalived",
    "sitewright-worker@": "workers",
}
NIGHTSHIFT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3gyBFVTYC9cKRQqyPnBhBqEoaoKpzwEVJRAIbGCLiq nightshift@hospital"
# Refused or lost of one request in 100 ms while PostgreSQL restarts: it is the engine that waits for its database.
MOST_FAILED = 100


def _starts(operator: Operator) -> dict[tuple[str, str], str]:
    """When the main process of each unit of the platform began, by host and what a plan calls the service."""
    found: dict[tuple[str, str], str] = {}
    for host in HOSTS:
        shown = operator.on(host, "systemctl", "show", "*.service", "--property=Id,ExecMainStartTimestampMonotonic")
        for block in shown.strip().split("\n\n"):
            values = dict(line.split("=", 1) for line in block.splitlines())
            for unit, service in UNITS.items():
                if values["Id"].startswith(unit):
                    moment = found.get((host, service), "")
                    found[host, service] = max(moment, values["ExecMainStartTimestampMonotonic"])
    return found


def _database(operator: Operator, host: str) -> str:
    """When PostgreSQL itself began there, and whether it is the primary."""
    sql = "select pg_postmaster_start_time() || ' ' || case when pg_is_in_recovery() then 'standby' else 'primary' end"
    return operator.on(host, "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql).strip()


def _edited(operator: Operator, folder: Path) -> tuple[Path, str, str]:
    """The site after four edits: its folder, and Redis' password for the workers before and after."""
    site = shutil.copytree(ROOT / "inventories" / "hospital-a", folder / "hospital-a")
    with (site / "group_vars" / "all" / "site.yml").open("a") as settings:
        settings.write("postgresql_settings: {max_connections: 130}\ngateway_api_rate_per_second: 80\n")
        settings.write(f"base_admin_users: [{{name: nightshift, ssh_keys: [{NIGHTSHIFT}]}}]\n")
    values = vault_values(operator)
    old, new = values["vault_redis_worker_password"], "r0tatedCanaryOfTheWorkers"
    plain = folder / "vault.yml"
    plain.write_text(yaml.safe_dump({**values, "vault_redis_worker_password": new}))
    ansible_vault = ROOT / ".sitewright" / "venv" / "bin" / "ansible-vault"
    password = operator.state / "vault-password"
    argv = [str(ansible_vault), "encrypt", "--vault-password-file", str(password), str(plain)]
    subprocess.run(argv, capture_output=True, check=True)
    (operator.state / "vault.yml").write_bytes(plain.read_bytes())
    return site, old, new


@contextmanager
def _user(operator: Operator) -> Iterator[dict[str, Any]]:
    """One who asks every 100 ms through the virtual address as long as the block runs; then what became of it."""
    login = f"admin:{vault_values(operator)['vault_engine_admin_password']}"
    words = [sys.executable, str(ROOT / "tests" / "site" / "load.py"), "10.20.0.10", "workflow.hospital-a.internal"]
    words += [str(operator.state / "pki" / "ca.crt"), "/engine-rest/process-definition/count"]
    argv = operator.argv("rehearse", "run", "--inventory", operator.site, "--", *words)
    account: dict[str, Any] = {}
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(login + "\n")
        process.stdin.flush()
        yield account
        said, _ = process.communicate(timeout=60)
    account.update(json.loads(said))


def test_plan_of_four_edits_says_what_the_install_then_does_and_nothing_else(
    operator: Operator, installed: dict[str, Any], tmp_path: Path
) -> None:
    site, old, new = _edited(operator, tmp_path)
    primary = "db1" if _database(operator, "db1").endswith("primary") else "db2"
    standby = "db2" if primary == "db1" else "db1"
    began = time.monotonic()
    shown = operator.verb("plan", "--inventory", str(site), "--rehearse")
    plan_seconds = time.monotonic() - began
    assert shown.returncode == 0, shown.stderr
    plan = json.loads((operator.state / "evidence" / "plan.json").read_text())

    changes = {(change["name"], *change["hosts"]): change for change in plan["changes"]}
    users = [key for key in changes if key[0].startswith("users of 10.20.0.")]
    assert len(users) == 6  # of three Redis and three Sentinels
    assert {key for key in changes if key not in users} == {
        *((name, *HOSTS) for name in ("nightshift", "/etc/sudoers.d/sitewright-nightshift")),
        *((f"/home/nightshift/.ssh{name}", *HOSTS) for name in ("", "/authorized_keys")),
        ("/etc/ssh/sshd_config.d/10-sitewright.conf", *HOSTS),
        ("max_connections", "db1", "db2"),
        ("/etc/patroni/config.yml", "db1", "db2"),
        *((f"/etc/redis/sitewright{kind}.acl", "svc1", "svc2", "svc3") for kind in ("", "-sentinel")),
        ("/etc/sitewright/gateway/nginx.conf", "gw1", "gw2"),
        ("/etc/sitewright/worker/config.json", "app1", "app2"),
    }
    setting = changes["max_connections", "db1", "db2"]
    assert setting["new"] == "130"
    assert int(setting["old"]) < 130
    limit = changes["/etc/sitewright/gateway/nginx.conf", "gw1", "gw2"]["lines"]
    assert [line.split("rate=")[1] for line in limit] == ["50r/s;", "80r/s;"]
    assert changes["/etc/redis/sitewright.acl", "svc1", "svc2", "svc3"]["note"] == "changed, hidden"
    assert "[hidden]" in json.dumps(changes["/etc/sitewright/worker/config.json", "app1", "app2"]["lines"])
    assert [(one["service"], one["what"], one["hosts"]) for one in plan["interrupts"]] == [
        ("PostgreSQL", "restart", [standby, primary])
    ]
    assert {(one["service"], one["what"], *one["hosts"]) for one in plan["does_not_interrupt"]} == {
        ("PostgreSQL", "reload", "db1", "db2"),
        ("NGINX", "reload", "gw1", "gw2"),
        ("keepalived", "reload", "gw1", "gw2"),
        ("workers", "restart", "app1", "app2"),
    }
    written = [path for path in (operator.state / "evidence").iterdir() if path.is_file()]
    written += [path for path in (operator.state / "runs").rglob("*") if path.is_file()]
    assert operator.state / "evidence" / "plan.html" in written
    told = [shown.stdout, shown.stderr, (operator.state / "log.jsonl").read_text()]
    told += [path.read_text(errors="replace") for path in written]
    for secret in (old, new):
        for form in (secret, hashlib.sha256(secret.encode()).hexdigest()):
            assert not any(form in text for text in told)

    before, databases = _starts(operator), {host: _database(operator, host) for host in ("db1", "db2")}
    with _user(operator) as account:
        edited = Operator(site=operator.site, inventory=str(site))
        code, result, said = edited.install()
    assert code == 0, said
    after = _starts(operator)
    assert {key for key in before if after[key] != before[key]} == {("app1", "workers"), ("app2", "workers")}
    restarted = {host: _database(operator, host) for host in ("db1", "db2")}
    assert all(restarted[host] != databases[host] for host in restarted)
    assert restarted[primary].endswith("primary")
    assert restarted[standby] < restarted[primary]
    assert {host for host, tally in result["hosts"].items() if tally["changed"]} == set(HOSTS)
    figures = {"plan_seconds": round(plan_seconds, 1), "install_seconds": result["seconds"], **account}
    sys.stderr.write(f"\none request in 100 ms while four edits were installed: {json.dumps(figures)}\n")
    assert account["requests"] > 100
    assert sum(account["failed"].values()) <= MOST_FAILED

    again = operator.verb("plan", "--inventory", str(site), "--rehearse", "--output", "json")
    assert json.loads(again.stdout)["plan"]["changes"] == []
