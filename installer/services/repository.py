"""NGINX with the site's own Debian packages."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import UNNOTICED, Act, GroupRule, InstallStage, Service, Unit

SERVICE: Final = Service(
    name="repository",
    purpose="NGINX with the site's own Debian packages",
    group="repository",
    members=GroupRule(at_most=1),
    stage=InstallStage(name="repository", needs=("certificates",), seconds=6),
    units=(
        Unit(
            name=r"sitewright-repository\.service",
            called="package repository",
            restart=UNNOTICED,
            alone=Act(effect="no user notices; packages cannot be fetched for about 1 s"),
        ),
    ),
    memory=MemoryClaim.fixed(64),
)
