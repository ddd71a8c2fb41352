"""A small site to run graphs on with real Ansible: toy stages, and this very machine as the host."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from installer.console.terminal import Terminal
from installer.controller.paths import Paths
from installer.controller.release import Release
from installer.operations.context import OperationContext
from installer.operations.request import Request
from installer.playbooks.runner import Runner, RunnerSettings
from installer.stages.graph import Graph, Stage
from installer.stages.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
# A stage tells that it ran, waits as long as it is asked to, and fails when it is asked to.
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: do | Count
      ansible.builtin.shell: "echo {name} >> {log}"
    - name: do | Wait while asked to
      ansible.builtin.command: {{argv: [sh, -c, "while test -e {log}.hold-{name}; do sleep 0.1; done"]}}
      changed_when: false
    - name: do | Stop when asked to
      ansible.builtin.command: {{argv: [test, "!", -e, "{log}.break-{name}"]}}
      changed_when: false
"""


def chain(name: str) -> Graph:
    """A graph of two stages, one behind the other."""
    first = Stage(name="first", playbook=f"{name}-first.yml")
    return Graph(name, (first, Stage(name="second", playbook=f"{name}-second.yml", needs=("first",))))


class Bench:
    """A checkout with a graph of toy stages, and a site that is this machine."""

    def __init__(self, folder: Path, sockets: Path, graph: Graph) -> None:
        """Lay it down, or find it as it was laid down."""
        self.sockets = sockets
        self.root = folder / "checkout"
        self.log = folder / "ran"
        self.inventory = folder / "hosts.yml"
        self.state = folder / "state"
        self.stdout = io.StringIO()
        if self.root.exists():
            return
        (self.root / "playbooks").mkdir(parents=True)
        for name in ("ansible.cfg", "installer", "plugins", "requirements.txt"):
            (self.root / name).symlink_to(ROOT / name)
        self.lay_down(graph)
        self.inventory.write_text("all: {vars: {ansible_connection: local}, hosts: {one: }}\n")

    def lay_down(self, graph: Graph) -> None:
        """Write the playbooks of a graph."""
        for stage in graph.stages:
            stage.path(self.root).write_text(PLAYBOOK.format(name=stage.name, log=self.log))

    def ran(self) -> list[str]:
        """Stages that worked on the host, in order, since the last call."""
        names = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return names

    def run(
        self,
        operation: Callable[[OperationContext], None],
        *,
        verb: str = "",
        start_over: bool = False,
        digest: str = "d1",
    ) -> dict[str, Any]:
        """One call of the command; its JSON object."""
        self.stdout = io.StringIO()
        terminal = Terminal(output="json", stdout=self.stdout, stderr=io.StringIO(), environment={})
        settings = RunnerSettings(
            root=self.root,
            inventory=self.inventory,
            vault_password_client=None,
            facts=self.state / "facts",
            sockets=self.sockets,
            forks=5,
            strategy="stock",
        )
        site = SimpleNamespace(
            name="bench",
            path=self.root,
            hosts={"one": SimpleNamespace(address="127.0.0.1")},
            groups={},
            certificates_directory=None,
            digest=lambda: digest,
            resolved=lambda: {"name": "bench", "hosts": {"one": {}}},
        )
        words = (verb, "--inventory", "bench") if verb else ("--inventory", "bench")
        context = OperationContext(
            request=Request(verb=verb, inventory="bench", arguments=words, start_over=start_over, started=0),
            paths=Paths(root=self.root, state=self.state, cache=self.state),
            terminal=terminal,
            site=site,  # type: ignore[arg-type] # what an operation reads of a site: the hosts are this machine
            manifests={},
            state=self.state,
            secrets={"ca_passphrase": "c4nary"},
            vault_password="c4nary of the vault",
            authority=self.state / "pki",
            ssh={},
            rehearsal=None,
            become_password=lambda: None,
            runner=Runner(settings, redact=terminal.redact),
            carried={},
            release=Release(version="9.9.9", commit="1368137"),
        )
        operation(context)
        return self.said()

    def said(self) -> dict[str, Any]:
        """The JSON object of the last call."""
        document: dict[str, Any] = json.loads(self.stdout.getvalue())
        return document

    @property
    def journal(self) -> Journal:
        """The site's journal."""
        return Journal.of(self.state)


def results(document: dict[str, Any]) -> dict[str, str]:
    """What became of each stage of the chain."""
    return {line["name"]: line["result"] for line in document["stages"] if line["name"] in {"first", "second"}}
