"""Redis with Sentinel: the cache."""

from __future__ import annotations

from typing import Final

from installer.services.model import HealthCheck, Service

SERVICE: Final = Service(
    name="redis", group="redis", health=(HealthCheck(name="cache", module="installer.services.health.redis"),)
)
