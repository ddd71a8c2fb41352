"""PostgreSQL under Patroni."""

from __future__ import annotations

from typing import Final

from installer.services.model import HealthCheck, Service

SERVICE: Final = Service(
    name="postgresql",
    group="postgresql",
    health=(HealthCheck(name="database", module="installer.services.health.postgresql"),),
)
