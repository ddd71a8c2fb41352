"""A plan of an installed hospital-a, and what the installation then does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.site.conftest import ROOT, Operator
from tests.site.hospital_a.conftest import HOSTS, vault_values

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
        ("SSH", "reload", *HOSTS),
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
