"""Filter that hashes a password for RabbitMQ's definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from installer.broker_credentials import rabbitmq_password_hash


class FilterModule:
    """The function of installer.broker_credentials, by its own name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filter."""
        return {"rabbitmq_password_hash": rabbitmq_password_hash}
