"""The stages of an install: those of the services, and the few that belong to none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.services import known_services
from installer.stages.graph import Graph, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

_OF_NO_SERVICE: Final = (
    Stage(name="facts", playbook="install-facts.yml", always=True),
    Stage(name="certificates", playbook="install-certificates.yml"),
    Stage(name="base", playbook="install-base.yml", needs=("repository",), seconds=45),
    Stage(name="hardening", playbook="install-hardening.yml", needs=("base",)),
    # Behind hardening, which changes sshd: a login anew is what lets the rules stay. Before any service: their first
    # start then proves that the table of who talks to whom is the whole truth.
    Stage(name="firewall", playbook="install-firewall.yml", needs=("hardening",)),
    Stage(name="models", playbook="install-models.yml", needs=("engine", "gateway")),
)


def _of_services() -> list[Stage]:
    return [
        Stage(
            name=service.stage.name,
            playbook=f"install-{service.stage.name}.yml",
            needs=service.stage.needs,
            seconds=service.stage.seconds,
            interrupts=(service.name,),
        )
        for service in known_services().values()
        if service.stage is not None
    ]


def in_order(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Stages behind those they need; of those that could come next, what has the longest way behind it comes first.

    What needs a stage that does not exist, or itself, comes last; `Graph.check` refuses it.
    """
    waiting = {stage.name: stage for stage in stages}
    seconds = {name: stage.seconds for name, stage in waiting.items()}
    waits = {name: [other for other in waiting.values() if name in other.needs] for name in waiting}

    def length(name: str, seen: frozenset[str] = frozenset()) -> int:
        """Seconds from the beginning of a stage to the end of the last that waits for it."""
        behind = seen | {name}
        return seconds[name] + max(
            (length(other.name, behind) for other in waits[name] if other.name not in behind), default=0
        )

    lengths = {name: length(name) for name in waiting}
    ordered: list[Stage] = []
    while waiting:
        done = {stage.name for stage in ordered}
        ready = [stage for stage in waiting.values() if done.issuperset(stage.needs)] or list(waiting.values())
        following = min(ready, key=lambda stage: (not stage.always, -lengths[stage.name], stage.name))
        ordered.append(waiting.pop(following.name))
    return tuple(ordered)


INSTALL: Final = Graph("install", in_order((*_OF_NO_SERVICE, *_of_services())))
