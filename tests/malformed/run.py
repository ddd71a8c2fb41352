"""Play malformed inventories, each in a process of its own with little time and memory; one line of JSON for each.

`python -m tests.malformed.run SHARD OF` plays the cases of a shard, each forked from one process that has loaded the
installer. `--whole` plays those that are marked through `./install preflight` instead.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Final

from installer.checks.preflight.catalog import CHECKS
from installer.documents import DocumentError
from installer.manifests import load_manifests
from installer.site import load_site
from tests.malformed import ROOT, Case, connections, copy, files, settings

# What the process may reserve; what it really takes is measured.
ADDRESS_SPACE: Final = 2 * 1024**3
WALL_SECONDS: Final = 60
_MB: Final = 1024  # ru_maxrss is in kB


def all_cases() -> list[Case]:
    """Every case, in an order that stays."""
    return [*files.cases(), *connections.cases(), *settings.cases()]


def _load(inventory: Path, manifests: Any) -> dict[str, Any]:
    """Load in this process; what came of it."""
    try:
        load_site(inventory, manifests=manifests, check_ids=set(CHECKS))
    except DocumentError as error:
        return {"code": error.exit_code, "said": f"{error.message}\n{error.hint}\n"}
    except BaseException:  # whatever it is, it is the finding
        return {"code": 70, "said": traceback.format_exc()}
    return {"code": 0, "said": ""}


def _play(case: Case, folder: Path, *, whole: bool, manifests: Any) -> dict[str, Any]:
    """One case in a child with limits; its result, seconds and megabytes."""
    inventory = copy(case, folder)
    _trap(folder / "bin")
    before = sorted(path.name for path in folder.rglob("*"))
    output = folder / "output"
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        signal.alarm(WALL_SECONDS)
        if whole:
            _become_install(inventory, output, folder / "bin")
        result = _load(inventory, manifests)
        output.write_text(json.dumps(result), encoding="utf-8")
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - began
    said = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
    if not os.WIFEXITED(status):
        result = {"code": -os.WTERMSIG(status), "said": said}
    else:
        result = {"code": os.WEXITSTATUS(status), "said": said} if whole else json.loads(said)
    output.unlink(missing_ok=True)
    left = sorted(path.name for path in folder.rglob("*")) if folder.exists() else []
    return {
        **result,
        "name": case.name,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "mb": used.ru_maxrss / _MB,
        "made": [name for name in left if name not in before],
    }


def _trap(programs: Path) -> None:
    """An ssh that leaves a file behind when anybody calls it: no host may be touched."""
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text('#!/bin/sh\n: >"$(dirname "$0")/ssh-was-called"\nexit 255\n')
    ssh.chmod(0o700)


def _become_install(inventory: Path, output: Path, programs: Path) -> None:
    """Go on as the real command line, with its talk in a file."""
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    talk = os.open(output, os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(talk, stream)
    os.execv(ROOT / "install", ["./install", "preflight", "--inventory", str(inventory)])  # noqa: S606 - no shell wanted


def main(words: list[str]) -> None:
    """Play a shard."""
    whole = "--whole" in words
    shard, of = (int(word) for word in words if word != "--whole")
    chosen = [case for case in all_cases() if case.whole or not whole][shard::of]
    manifests = load_manifests(ROOT)
    load_site(ROOT / "inventories" / "clinic", manifests=manifests)  # a good one passes; the roles are read then
    for case in chosen:
        with tempfile.TemporaryDirectory() as folder:
            result = _play(case, Path(folder), whole=whole, manifests=manifests)
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
