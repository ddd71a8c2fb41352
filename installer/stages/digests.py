"""Hashes of the files a stage's result depends on, so that a resumed operation is still the one that was begun."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import yaml

from installer.stages.graph import plays
from installer.stages.journal import Input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from installer.stages.graph import Graph

SHARED: Final = "shared code"
_DIGITS: Final = 16


def stage_inputs(graph: Graph, root: Path) -> dict[str, Input]:
    """An input for each stage's own files, and one for the files all stages share.

    Args:
        graph: The operation's graph.
        root: The checkout.
    """
    shared = [
        root / "ansible.cfg",
        *_files(root / "playbooks" / "group_vars"),
        *_files(root / "plugins"),
        *_files(root / "installer" / "services"),
    ]
    inputs = {SHARED: Input(digest=_digest(shared, root), about="playbooks/group_vars, plugins and services")}
    for stage in graph.stages:
        playbook = stage.path(root)
        roles = sorted(_roles(playbook, root))
        files = [playbook, *(file for role in roles for file in _files(root / "roles" / role))]
        about = ", ".join([f"playbooks/{stage.playbook}", *(f"roles/{role}" for role in roles)])
        inputs[f"stage {stage.name}"] = Input(digest=_digest(files, root), about=about)
    return inputs


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
