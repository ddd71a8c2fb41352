"""NGINX and keepalived: the site's public address."""

from __future__ import annotations

from typing import Final

from installer.services.model import MemoryClaim, Service

SERVICE: Final = Service(
    name="gateway",
    purpose="NGINX and keepalived: the public address",
    group="gateway",
    memory=MemoryClaim.fixed(64),
)
