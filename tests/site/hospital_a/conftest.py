"""One hospital-a, installed once for all tests of this folder."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.site.conftest import ROOT, Operator, alone_with

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
HOSTS = ["gw1", "gw2", "app1", "app2", "db1", "db2", "svc1", "svc2", "svc3", "ops1"]


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


@pytest.fixture(scope="package")
def operator(bundle: Path) -> Iterator[Operator]:
    with alone_with("hospital-a") as operator:
        yield operator


@pytest.fixture(scope="package")
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


def starts(operator: Operator) -> dict[tuple[str, str], str]:
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


def database_start(operator: Operator, host: str) -> str:
    """When PostgreSQL itself began there, and whether it is the primary."""
    sql = "select pg_postmaster_start_time() || ' ' || case when pg_is_in_recovery() then 'standby' else 'primary' end"
    return operator.on(host, "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql).strip()


@contextmanager
def user_asking(operator: Operator, process: str = "", *, login: str = "") -> Iterator[dict[str, Any]]:
    """One who asks every 100 ms through the virtual address as long as the block runs; then what became of it.

    Args:
        operator: Whose site it is.
        process: Key of a process of which he starts an instance every second.
        login: His name and password with a colon between; the administrator's without.
    """
    login = login or f"admin:{vault_values(operator)['vault_engine_admin_password']}"
    words = [sys.executable, str(ROOT / "tests" / "site" / "load.py"), "10.20.0.10", "workflow.hospital-a.internal"]
    words += [
        str(operator.state / "pki" / "ca.crt"),
        "/engine-rest/process-definition/count",
        *([process] if process else []),
    ]
    argv = operator.argv("rehearse", "run", "--inventory", operator.site, "--", *words)
    account: dict[str, Any] = {}
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdin is not None
        asking.stdin.write(login + "\n")
        asking.stdin.flush()
        yield account
        said, _ = asking.communicate(timeout=60)
    account.update(json.loads(said))
