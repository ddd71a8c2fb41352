"""NGINX with the site's own Debian packages."""

from __future__ import annotations

from typing import Final

from installer.services.model import GroupRule, MemoryClaim, Service

SERVICE: Final = Service(
    name="repository",
    purpose="NGINX with the site's own Debian packages",
    group="repository",
    members=GroupRule(at_most=1),
    memory=MemoryClaim.fixed(64),
)
