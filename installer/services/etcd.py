"""etcd: who is the primary, agreed on by an odd number of voters."""

from __future__ import annotations

from typing import Final

from installer.services.model import HealthCheck, Service

SERVICE: Final = Service(
    name="etcd", group="etcd", health=(HealthCheck(name="etcd", module="installer.services.health.etcd"),)
)
