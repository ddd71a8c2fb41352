"""The stages of a rotation of secrets: those of the install that may hold one, and what is to be done around them.

Each service's own stage brings it to the new secret. Two things differ from an install: those who log in with a secret
that is changed while they stand still are stopped for that moment, and servers that take the old and the new password
refuse the old one in the end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from installer.stages.graph import Graph, Stage
from installer.stages.install import INSTALL

if TYPE_CHECKING:
    from collections.abc import Iterable

# Playbooks that take the place of a stage's own.
_INSTEAD: Final = {"worker": "rotate-workers.yml"}
FORGET: Final = "forget"


def _stages(install: Iterable[Stage]) -> tuple[Stage, ...]:
    """The facts and the services' stages; whatever else an install does to a host holds no secret of a service."""
    kept = [stage for stage in install if stage.always or stage.interrupts]
    names = {stage.name for stage in kept}
    services = [
        replace(
            stage,
            playbook=_INSTEAD.get(stage.name, stage.playbook),
            needs=tuple(need for need in stage.needs if need in names),
        )
        for stage in kept
    ]
    everything = tuple(stage.name for stage in services if not stage.always)
    return (*services, Stage(name=FORGET, playbook="rotate-forget.yml", needs=everything))


SECRET_ROTATION: Final = Graph("secret-rotation", _stages(INSTALL.stages))
