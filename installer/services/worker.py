"""The applications' external-task workers."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import Act, HealthCheck, InstallStage, Service, Unit

SERVICE: Final = Service(
    name="worker",
    purpose="The applications' external-task workers",
    group="worker",
    stage=InstallStage(
        name="worker",
        needs=(
            "models",
            "cache",
            "broker",
        ),
    ),
    units=(
        Unit(
            name=r"sitewright-worker@.*\.service",
            called="workers",
            restart=Act(effect="tasks in hand are finished first, the others go on"),
            alone=Act(effect="tasks in hand are finished first, new ones wait some seconds"),
        ),
    ),
    health=(
        HealthCheck(
            name="worker",
            module="installer.services.health.worker",
            checks={
                "running": "every instance of a worker runs; it does only while it reaches engine, cache and broker",
            },
        ),
    ),
    memory=MemoryClaim.fixed(320),
)
