"""RabbitMQ accepts our password hashes, and the same password gives the same file."""

from __future__ import annotations

import base64
import hashlib

from plugins.filter.broker_credentials import rabbitmq_password_hash


def test_hash_is_salt_and_sha256_of_salt_and_password() -> None:
    raw = base64.b64decode(rabbitmq_password_hash("test12", "hospital-a:worker"))
    salt, digest = raw[:4], raw[4:]
    assert digest == hashlib.sha256(salt + b"test12").digest()


def test_hash_is_the_same_on_every_run() -> None:
    assert rabbitmq_password_hash("secret", "a:worker") == rabbitmq_password_hash("secret", "a:worker")


def test_same_password_hashes_differently_for_another_user_or_site() -> None:
    hashes = {rabbitmq_password_hash("secret", identity) for identity in ("a:worker", "a:admin", "b:worker")}
    assert len(hashes) == 3
