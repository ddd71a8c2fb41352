"""The stages of an installation, what each of them needs and what it is made of."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One named step, carried out by the playbook `playbooks/install-<name>.yml`.

    Attributes:
        name: Name shown, recorded and used for the playbook.
        needs: Stages that must be done before.
        always: Runs in every operation, before all others, even if it was done before.
    """

    name: str
    needs: tuple[str, ...] = ()
    always: bool = False

    def playbook(self, root: Path) -> Path:
        """Where its playbook is in a checkout."""
        return root / "playbooks" / f"install-{self.name}.yml"


# A new service adds one line here.
STAGES: Final[tuple[Stage, ...]] = (
    Stage(name="facts", always=True),
    Stage(name="certificates"),
    Stage(name="repository", needs=("certificates",)),
    Stage(name="base", needs=("repository",)),
    Stage(name="etcd", needs=("base",)),
    Stage(name="database", needs=("etcd",)),
    Stage(name="cache", needs=("base",)),
    Stage(name="broker", needs=("base",)),
    Stage(name="engine", needs=("database",)),
    Stage(name="gateway", needs=("base",)),
    Stage(name="models", needs=("engine", "gateway")),
    Stage(name="worker", needs=("models", "cache", "broker")),
)


def check_stages(stages: Iterable[Stage], root: Path) -> None:
    """Refuse a graph that cannot be run to its end.

    Raises:
        ConfigurationError: If a stage needs one that does not come before it, or lacks its playbook.
    """
    known: set[str] = set()
    for stage in stages:
        unknown = [need for need in stage.needs if need not in known]
        if unknown:
            raise ConfigurationError(
                f"stage {stage.name} needs {unknown[0]}, which does not come before it",
                hint="mend STAGES in installer/stages/graph.py",
            )
        if not stage.playbook(root).is_file():
            raise ConfigurationError(
                f"stage {stage.name} has no playbook {stage.playbook(root)}",
                hint="this checkout is not complete; get it again",
            )
        known.add(stage.name)


# What a stage is made of


def hosts_of(stage: Stage, root: Path, groups: Mapping[str, Sequence[str]], everyone: Sequence[str]) -> list[str]:
    """Names of the hosts a stage works on, as far as its plays name groups; in the order of `everyone`."""
    found: set[str] = set()
    for play in _plays(stage.playbook(root)):
        for pattern in re.split(r"[:,]", str(play.get("hosts", ""))):
            group = pattern.strip().lstrip("&")
            found.update(everyone if group == "all" else groups.get(re.sub(r"\[.*", "", group), ()))
    return [host for host in everyone if host in found]


def file_digests(stages: Iterable[Stage], root: Path) -> dict[str, str]:
    """A hash for each stage's own files, and one for the files all stages share."""
    shared = [
        root / "ansible.cfg",
        *_files(root / "playbooks" / "group_vars"),
        *_files(root / "plugins"),
        *_files(root / "installer" / "tuning"),
    ]
    digests = {"playbooks/group_vars, plugins and tuning": _digest(shared, root)}
    for stage in stages:
        playbook = stage.playbook(root)
        roles = _roles(playbook, root)
        files = [playbook, *(file for role in sorted(roles) for file in _files(root / "roles" / role))]
        named = ", ".join(f"roles/{role}" for role in sorted(roles))
        digests[f"stage {stage.name} ({playbook.name}{', ' + named if named else ''})"] = _digest(files, root)
    return digests


def _plays(playbook: Path) -> list[Mapping[str, Any]]:
    document = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    return [play for play in document or () if isinstance(play, dict)]


def _roles(playbook: Path, root: Path) -> set[str]:
    """Roles a playbook uses, with the roles those depend on."""
    waiting = [
        entry if isinstance(entry, str) else entry.get("role") or entry.get("name", "")
        for play in _plays(playbook)
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
    return hashed.hexdigest()[:16]
