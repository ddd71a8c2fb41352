"""Carrying on, starting over, repairing: the install with real Ansible, two stages and this very machine."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installer.console.terminal import Terminal
from installer.controller.paths import Paths
from installer.errors import ConfigurationError, PlaybookError, VerificationError
from installer.operations import checks, install, stage_runs
from installer.operations.context import OperationContext
from installer.operations.request import Request
from installer.playbooks.runner import Runner, RunnerSettings
from installer.report import CheckResult, Report, Verdict
from installer.stages.graph import Stage
from installer.stages.journal import Journal

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]
CHAIN = (Stage(name="first"), Stage(name="second", needs=("first",)))
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: do | Count
      ansible.builtin.shell: "echo {name} >> {log}"
    - name: do | Stop when asked to
      ansible.builtin.command: {{argv: [test, "!", -e, "{log}.break-{name}"]}}
      changed_when: false
"""


class Bench:
    """A checkout with two stages, and a site that is this machine."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        """Lay it down."""
        self.sockets = sockets
        self.root = folder / "checkout"
        self.log = folder / "ran"
        (self.root / "playbooks").mkdir(parents=True)
        for name in ("ansible.cfg", "plugins"):
            (self.root / name).symlink_to(ROOT / name)
        for stage in CHAIN:
            stage.playbook(self.root).write_text(PLAYBOOK.format(name=stage.name, log=self.log))
        (self.root / "playbooks" / "gather-facts.yml").write_text("- hosts: all\n  gather_facts: false\n")
        self.inventory = folder / "hosts.yml"
        self.inventory.write_text("all: {vars: {ansible_connection: local}, hosts: {one: }}\n")
        self.state = folder / "state"
        self.stdout = io.StringIO()

    def ran(self) -> list[str]:
        """Stages that worked on the host, in order, since the last call."""
        names = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return names

    def install(self, *, start_over: bool = False, digest: str = "d1") -> dict[str, Any]:
        """One call of the command; its JSON object."""
        self.stdout = io.StringIO()
        terminal = Terminal(output="json", stdout=self.stdout, stderr=io.StringIO(), environment={})
        runner = Runner(
            RunnerSettings(
                root=self.root,
                inventory=self.inventory,
                vault_password_client=None,
                facts=self.state / "facts",
                sockets=self.sockets,
                forks=5,
                strategy="stock",
            ),
            redact=terminal.redact,
        )
        site = SimpleNamespace(name="bench", path=self.root, hosts={"one": None}, groups={}, digest=lambda: digest)
        context = OperationContext(
            request=Request(
                verb="install", inventory="bench", arguments=("--inventory", "bench"), start_over=start_over, started=0
            ),
            paths=Paths(root=self.root, state=self.state, cache=self.state),
            terminal=terminal,
            site=site,  # type: ignore[arg-type] # what an install reads of a site: the hosts are this machine
            manifests={},
            state=self.state,
            secrets={},
            ssh={},
            rehearsal=None,
            runner=runner,
        )
        install.install(context)
        return self.said()

    def said(self) -> dict[str, Any]:
        """The JSON object of the last call."""
        document: dict[str, Any] = json.loads(self.stdout.getvalue())
        return document


def report(title: str, verdict: Verdict = Verdict.PASSED) -> Report:
    result = CheckResult(check="a.b", host="one", measured="1", wanted="1", verdict=verdict)
    return Report(title=title, site="bench", started=datetime.now(UTC), seconds=0.1, results=(result,))


@pytest.fixture
def bench(tmp_path: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # Bundle, preflight and proof need hosts of their own; the site tests run them for real.
    monkeypatch.setattr(install, "verify_bundle", lambda _context: SimpleNamespace(to_bytes=lambda: b"bundle"))
    monkeypatch.setattr(checks, "preflight", lambda _context: report("Preflight"))
    monkeypatch.setattr(checks, "verify", lambda _context: report("Verification"))
    monkeypatch.setattr(install, "STAGES", CHAIN)
    monkeypatch.setattr(stage_runs, "STAGES", CHAIN)
    return Bench(tmp_path, sockets)


def results(document: dict[str, Any]) -> dict[str, str]:
    return {line["name"]: line["result"] for line in document["stages"] if line["name"] in {"first", "second"}}


def test_an_install_carries_on_until_it_is_proven(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stage fails: what is done stays done, the rest waits, and everything is told.
    obstacle = Path(f"{bench.log}.break-second")
    obstacle.touch()
    with pytest.raises(PlaybookError) as failed:
        bench.install()
    said = bench.said()
    assert results(said) == {"first": "done", "second": "failed"}
    assert (said["result"], said["failed"], said["error"]["exit_code"]) == ("failed", 1, 4)
    assert said["failures"][0]["task"] == "do | Stop when asked to"
    assert Path(said["failures"][0]["log"]).is_file()
    assert failed.value.hint.endswith("carry on with: ./install --inventory bench")
    assert bench.ran() == ["first", "second"]

    # Its inputs change: refused, with what has changed and nothing else.
    with CHAIN[1].playbook(bench.root).open("a") as file:
        file.write("# changed\n")
    with pytest.raises(ConfigurationError) as refused:
        bench.install(digest="d2")
    assert "stage second (install-second.yml)" in refused.value.message
    assert "the site's settings" in refused.value.message
    assert "stage first" not in refused.value.message
    assert refused.value.hint.endswith("./install --inventory bench --start-over")
    assert bench.ran() == []

    # Starting over, the proof fails: nothing is trusted, the next run goes through all stages.
    obstacle.unlink()
    monkeypatch.setattr(checks, "verify", lambda _context: report("Verification", Verdict.FAILED))
    with pytest.raises(VerificationError):
        bench.install(digest="d2", start_over=True)
    assert bench.said()["error"]["exit_code"] == 5
    assert bench.ran() == ["first", "second"]
    monkeypatch.setattr(checks, "verify", lambda _context: report("Verification"))
    said = bench.install(digest="d2")
    assert (said["result"], said["changed"], said["failed"]) == ("done", 2, 0)
    assert bench.ran() == ["first", "second"]

    # Power goes while the second stage runs: only that one runs again.
    path = bench.state / "journal.jsonl"
    lines = path.read_text().splitlines()
    cut = max(number for number, line in enumerate(lines) if '"stage begun"' in line and '"second"' in line)
    path.write_text("\n".join(lines[: cut + 1]) + "\n" + lines[cut + 1][:30])
    assert results(bench.install(digest="d2")) == {"first": "done before", "second": "done"}
    assert bench.ran() == ["second"]
    last = Journal(path).last("install")
    assert last is not None
    assert last.result == "done"
