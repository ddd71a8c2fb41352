"""Running modules on a rehearsal host: for those that need a real systemd, or packages of their own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import ansible

from installer import rehearsal
from installer.controller.paths import Paths
from installer.rehearsal.access import ssh_argv

ROOT: Final = Path(__file__).resolve().parents[1]
# What Ansible sends along with a module.
_ANSIBLE: Final = ("ansible/__init__.py", "ansible/_vendor", "ansible/release.py", "ansible/module_utils")


@dataclass(frozen=True, kw_only=True)
class ModuleHost:
    """A host, and the collection's modules on it."""

    site: rehearsal.Rehearsal

    def on(self, command: str, *, stdin: bytes | None = None) -> str:
        """Run a command as root; its output. A failure fails the test."""
        argv = [*self.site.enter_argv(), *ssh_argv(self.site, "one"), f"sudo -n sh -c {shlex.quote(command)}"]
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def bring(self, target: str, folder: Path, *names: str) -> None:
        """Copy files of a folder of this machine to a folder of the host."""
        tar = subprocess.run(["tar", "-c", "-C", folder, *names], capture_output=True, check=True).stdout
        self.on(f"mkdir --parents {target}; tar -x -C {target}", stdin=tar)

    def module(self, module: str, /, *, check: bool = False, **parameters: Any) -> dict[str, Any]:
        """Call a module with the arguments Ansible gives it; what it returned, whether it failed or not."""
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**parameters, "_ansible_check_mode": check}})
        said = self.on(
            f"cd /srv/module && PYTHONPATH=. python3 {module}.py 2>&1 || true",  # it fails with its answer
            stdin=arguments.encode(),
        )
        assert said.lstrip().startswith("{"), said
        answer: dict[str, Any] = json.loads(said)
        return answer


@contextmanager
def module_host() -> Iterator[ModuleHost]:
    """Boot one; afterwards nothing of it is left."""
    usual = Paths.from_environment()
    usual.state.mkdir(exist_ok=True)
    spec = rehearsal.RehearsalSpec(site=f"modules-{os.getpid()}", network="10.98.0.0/24", hosts={"one": "10.98.0.11"})
    # In the state folder `tests/run` finds it, should this process be killed.
    with tempfile.TemporaryDirectory(prefix="unit-", dir=usual.state) as state:
        paths = replace(usual, state=Path(state))
        try:
            host = ModuleHost(site=rehearsal.up(spec, paths, lambda _line: None))
            host.bring("/srv/module", Path(ansible.__file__).parents[1], *_ANSIBLE)
            host.bring("/srv/module", ROOT / "plugins" / "modules", ".")
            yield host
        finally:
            rehearsal.down(spec.site, paths, lambda _line: None)
