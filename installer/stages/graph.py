"""What an operation does: a graph of stages, each a playbook with the stages it needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One named step of an operation, carried out by one playbook.

    Attributes:
        name: Name shown and recorded; unique within its graph.
        playbook: File name of its playbook under `playbooks/`; its plays say which hosts it works on.
        needs: Stages that must be done before.
        always: Runs in every operation, before all others, even if it was done before.
        seconds: About how long it takes the first time.
        interrupts: Services, by the name of their role, that it may restart or take out of use for a while.
    """

    name: str
    playbook: str
    needs: tuple[str, ...] = ()
    always: bool = False
    seconds: int = 5
    interrupts: tuple[str, ...] = ()

    def path(self, root: Path) -> Path:
        """Where its playbook is in a checkout."""
        return root / "playbooks" / self.playbook

    def hosts(self, root: Path, groups: Mapping[str, Sequence[str]], everyone: Sequence[str]) -> list[str]:
        """Names of the hosts it works on, as far as its plays name groups or hosts; in the order of `everyone`."""
        found: set[str] = set()
        for play in plays(self.path(root)):
            for pattern in re.split(r"[:,]", str(play.get("hosts", ""))):
                name = re.sub(r"\[.*", "", pattern.strip().lstrip("&"))
                found.update(everyone if name == "all" else groups.get(name, (name,)))
        return [host for host in everyone if host in found]


@dataclass(frozen=True, slots=True)
class Graph:
    """The stages of one kind of operation.

    Attributes:
        name: What the operation is called, on record and in talk.
        stages: Its stages; each stands behind those it needs.
    """

    name: str
    stages: tuple[Stage, ...]

    @property
    def order(self) -> dict[str, int]:
        """Each stage's place, by name."""
        return {stage.name: place for place, stage in enumerate(self.stages)}

    def check(self, root: Path) -> None:
        """Refuse a graph that cannot be run to its end.

        Raises:
            ConfigurationError: If a stage needs one that does not come before it, or lacks its playbook.
        """
        known: set[str] = set()
        for stage in self.stages:
            unknown = [need for need in stage.needs if need not in known]
            if unknown:
                raise ConfigurationError(
                    f"stage {stage.name} of {self.name} needs {unknown[0]}, which does not come before it",
                    hint=f"repair the graph {self.name} in installer/stages",
                )
            if stage.name in known:
                raise ConfigurationError(
                    f"{self.name} has two stages called {stage.name}",
                    hint=f"repair the graph {self.name} in installer/stages",
                )
            if not stage.path(root).is_file():
                raise ConfigurationError(
                    f"stage {stage.name} of {self.name} has no playbook {stage.path(root)}",
                    hint="this checkout is not complete; get it again",
                )
            known.add(stage.name)


def plays(playbook: Path) -> list[Mapping[str, Any]]:
    """The plays of a playbook."""
    document = yaml.safe_load(playbook.read_text(encoding="utf-8"))
    return [play for play in document or () if isinstance(play, dict)]
