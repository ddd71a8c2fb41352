"""Backups: a place in the inventory and room on its host; its role is to come."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import GroupRule, Service

SERVICE: Final = Service(
    name="backup",
    purpose="Room for backups; its role is to come",
    group="backup",
    members=GroupRule(required=False, at_most=1),
    memory=MemoryClaim.fixed(128),
)
