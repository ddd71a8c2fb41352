"""Hashes of all that a stage's result depends on, so that a resumed operation is still the one that was begun.

Covered: the site (`Site.digest`), its secrets, its custom certificates, the bundle, each stage's playbook and roles,
and what stages share: the wiring, all plugins with what they import of the installer, every role's manifest, the way
values reach Ansible, and the lock that Ansible itself comes from.

Not covered: how hosts are reached; what the hosts are like (facts are asked for anew by every operation, but a finished
stage is not repeated because a host got more memory); files of the private Python environment that somebody edited;
the parts of the installer that run no task (command line, journal, checks, reports).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Final

import yaml

from installer.stages.graph import plays
from installer.stages.imports import imported_files
from installer.stages.journal import Input
from installer.vault import PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from installer.stages.graph import Graph

SHARED: Final = "shared code"
_WRITES_INVENTORY: Final = "installer/site/runtime.py"
_DIGITS: Final = 16


def stage_inputs(graph: Graph, root: Path) -> dict[str, Input]:
    """An input for each stage's own files, and one for the files all stages share.

    Args:
        graph: The operation's graph.
        root: The checkout.
    """
    inputs = {SHARED: Input(digest=_digest(shared_files(root), root), about="wiring, plugins and what they import")}
    for stage in graph.stages:
        playbook = stage.path(root)
        roles = sorted(_roles(playbook, root))
        files = [playbook, *(file for role in roles for file in _files(root / "roles" / role))]
        about = ", ".join([f"playbooks/{stage.playbook}", *(f"roles/{role}" for role in roles)])
        inputs[f"stage {stage.name}"] = Input(digest=_digest(files, root), about=about)
    return inputs


def shared_files(root: Path) -> list[Path]:
    """Files that all stages depend on."""
    plugins = _files(root / "plugins")
    python = [*(file for file in plugins if file.suffix == ".py"), root / _WRITES_INVENTORY]
    return sorted(
        {
            root / "ansible.cfg",
            root / "requirements.txt",
            root / _WRITES_INVENTORY,
            *_files(root / "playbooks" / "group_vars"),
            *root.glob("playbooks/rotate-*.yml"),
            *plugins,
            *imported_files(python, root),
            *root.glob("roles/*/meta/sitewright.yml"),
        }
    )


def secrets_input(secrets: Mapping[str, str]) -> Input:
    """An input for the vault's values; from what is kept nobody can try out passwords, because a secret is its key.

    The previous ones of a rotation do not count: they are gone when it ends.
    """
    current = {name: value for name, value in secrets.items() if not name.startswith(PREVIOUS)}
    key, text = current["ca_passphrase"].encode(), json.dumps(current, sort_keys=True).encode()
    return Input(digest=short(hmac.new(key, text, "sha256").hexdigest()), about="the vault")


def folder_input(folder: Path) -> Input:
    """An input for all files of a folder."""
    return Input(digest=_digest(_files(folder), folder), about=str(folder))


def short(digest: str) -> str:
    """As many digits of a hash as the journal keeps."""
    return digest[:_DIGITS]


def _roles(playbook: Path, root: Path) -> set[str]:
    """Roles a playbook uses, with the roles those depend on."""
    waiting = [
        entry if isinstance(entry, str) else entry.get("role") or entry.get("name", "")
        for play in plays(playbook)
        for entry in play.get("roles") or ()
    ]
    found: set[str] = set()
    while waiting:
        role = waiting.pop()
        if role in found or not (root / "roles" / role).is_dir():
            continue
        found.add(role)
        meta = root / "roles" / role / "meta" / "main.yml"
        if meta.is_file():
            depends = (yaml.safe_load(meta.read_text(encoding="utf-8")) or {}).get("dependencies") or ()
            waiting += [entry if isinstance(entry, str) else entry.get("role", "") for entry in depends]
        waiting += _included_roles(root / "roles" / role / "tasks")
    return found


def _included_roles(tasks: Path) -> Iterator[str]:
    for file in sorted(tasks.glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        yield from re.findall(r"(?:import|include)_role:\s*\n\s+name:\s*([a-z0-9_]+)", text)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _digest(files: Iterable[Path], root: Path) -> str:
    hashed = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        hashed.update(f"{file.relative_to(root)}\0{len(content)}\0".encode())
        hashed.update(content)
    return short(hashed.hexdigest())
