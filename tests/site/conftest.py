"""What the site tests share: the installer run as an operator runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from installer.controller.paths import Paths

ROOT = Path(__file__).resolve().parents[2]
INSTALL_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody at the controller, working on one site's rehearsal."""

    site: str
    inventory: str

    @property
    def state(self) -> Path:
        """The rehearsal's journal, secrets, certificates and evidence, where the product keeps them."""
        return Paths.from_environment().rehearsal(self.site)

    def argv(self, *words: str) -> list[str]:
        """The command line as the README gives it."""
        return [str(ROOT / "install"), *words]

    def install(self, *words: str, seconds: int = INSTALL_SECONDS) -> tuple[int, dict[str, Any], str]:
        """The first README command with JSON output: exit code, the object, what was said."""
        argv = self.argv("--inventory", self.inventory, "--rehearse", "--output", "json", *words)
        ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
        assert len(ended.stdout.splitlines()) <= 1 or ended.stdout.startswith("{"), ended.stdout
        return ended.returncode, json.loads(ended.stdout) if ended.stdout.strip() else {}, ended.stderr

    def verb(self, *words: str, seconds: int = 600) -> subprocess.CompletedProcess[str]:
        """Any other verb."""
        return subprocess.run(self.argv(*words), cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)

    def on(self, host: str, *command: str) -> str:
        """Run a command as root on a rehearsal host and give its output; a failure fails the test."""
        ended = self.verb("rehearse", "exec", "--inventory", self.inventory, host, "--", *command)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def within(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine inside the rehearsal's network."""
        return self.verb("rehearse", "run", "--inventory", self.inventory, "--", *command)

    def down(self) -> None:
        """End the rehearsal."""
        ended = self.verb("rehearse", "down", "--inventory", self.inventory)
        assert ended.returncode == 0, ended.stderr


@contextmanager
def alone_with(site: str, inventory: Path | None = None) -> Iterator[Operator]:
    """One test module at a time works with a site; before and after, nothing of it is there.

    Args:
        site: Name of the site.
        inventory: Its folder, when it is not the one of this name under inventories/.
    """
    with FileLock(ROOT / ".sitewright" / f"tests-{site}.lock"):
        operator = Operator(site=site, inventory=str(inventory or site))
        operator.down()
        yield operator
        operator.down()
        assert leftovers(site) == []


def leftovers(site: str) -> list[str]:
    """Processes, mounts, namespaces, interfaces and control groups that belong to a site's rehearsal."""
    folder = str(ROOT / ".sitewright" / "rehearsal" / site)
    found = [f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text().splitlines() if folder in line]
    for hierarchy in ("", "*/"):
        found += [f"control group {group}" for group in Path("/sys/fs/cgroup").glob(f"{hierarchy}sitewright/{site}")]
    found += [f"namespace {path.name}" for path in Path("/run/netns").glob(f"sw-{site}*")]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in words:
            found.append(f"process {process.name} {words[:120]}")
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    found += [f"interface {line.split()[0]}" for line in links.splitlines() if line.startswith(("sw-", "vb-"))]
    return found


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle every site test installs from."""
    ended = subprocess.run(
        [str(ROOT / "install"), "bundle", "build"], cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ROOT / ".sitewright" / "bundle"
