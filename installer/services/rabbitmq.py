"""RabbitMQ: the message broker."""

from __future__ import annotations

from typing import Final

from installer.services.model import HealthCheck, Service

SERVICE: Final = Service(
    name="rabbitmq", group="rabbitmq", health=(HealthCheck(name="broker", module="installer.services.health.rabbitmq"),)
)
