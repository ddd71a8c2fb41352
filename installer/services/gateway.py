"""NGINX and keepalived: the site's public address."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import Act, HealthCheck, InstallStage, Service, Unit

SERVICE: Final = Service(
    name="gateway",
    purpose="NGINX and keepalived: the public address",
    group="gateway",
    stage=InstallStage(name="gateway", needs=("firewall",), seconds=6),
    units=(
        Unit(
            name=r"gateway\.service",
            called="NGINX",
            restart=Act(effect="the virtual address moves, up to 3 s without answers", seconds=3),
            alone=Act(effect="about 2 s without answers", seconds=2),
            reload=Act(effect="no connection is closed"),
        ),
        Unit(
            name=r"keepalived\.service",
            called="keepalived",
            restart=Act(effect="the virtual address moves, up to 3 s without answers", seconds=3),
            alone=Act(effect="about 3 s without the virtual address", seconds=3),
            reload=Act(effect="the virtual address stays"),
        ),
    ),
    health=(
        HealthCheck(
            name="gateway",
            module="installer.services.health.gateway",
            checks={
                "address": "the virtual IP answers under the public name",
                "apart": "a machine's user cannot log in where people do, even with its right password",
                "up": "each gateway answers, so that it could take the virtual IP over",
            },
        ),
    ),
    memory=MemoryClaim.fixed(64),
)
