"""A plan of an installed hospital-a, and what the installation then does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.site.conftest import ROOT, Operator
from tests.site.hospital_a.conftest import HOSTS, database_start, starts, user_asking, vault_values

NIGHTSHIFT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3gyBFVTYC9cKRQqyPnBhBqEoaoKpzwEVJRAIbGCLiq nightshift@hospital"
# Refused or lost of one request in 100 ms while PostgreSQL restarts: it is the engine that waits for its database.
MOST_FAILED = 100


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


def test_plan_of_four_edits_says_what_the_install_then_does_and_nothing_else(
    operator: Operator, installed: dict[str, Any], tmp_path: Path
) -> None:
    site, old, new = _edited(operator, tmp_path)
    primary = "db1" if database_start(operator, "db1").endswith("primary") else "db2"
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

    before, databases = starts(operator), {host: database_start(operator, host) for host in ("db1", "db2")}
    with user_asking(operator) as account:
        edited = Operator(site=operator.site, inventory=str(site))
        code, result, said = edited.install()
    assert code == 0, said
    after = starts(operator)
    assert {key for key in before if after[key] != before[key]} == {("app1", "workers"), ("app2", "workers")}
    restarted = {host: database_start(operator, host) for host in ("db1", "db2")}
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
