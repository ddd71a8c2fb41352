"""Monitoring: a place in the inventory and room on its host; its role is to come."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import GroupRule, Service

SERVICE: Final = Service(
    name="monitoring",
    purpose="Room for monitoring; its role is to come",
    group="monitoring",
    members=GroupRule(required=False, at_most=1),
    memory=MemoryClaim.fixed(512),
)
