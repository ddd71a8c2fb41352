"""One hospital-a, installed once for all tests of this folder."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.site.conftest import ROOT, Operator, alone_with

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
