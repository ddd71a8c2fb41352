"""Filter that hashes a password as RabbitMQ stores it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

_SALT_BYTES = 4


def rabbitmq_password_hash(password: str, identity: str) -> str:
    """Hash a password the way RabbitMQ's definitions want it: base64 of salt and SHA-256.

    RabbitMQ draws the salt at random; here it comes from who the password belongs to, so the same
    vault gives the same definitions file on every run. A salt need not be secret, only differ
    between users and sites, and the passwords are random to begin with.

    Args:
        password: Password in clear, from the vault.
        identity: Site and user, for example "hospital-a:worker".
    """
    salt = hashlib.sha256(identity.encode()).digest()[:_SALT_BYTES]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"rabbitmq_password_hash": rabbitmq_password_hash}
