"""The applications' external-task workers."""

from __future__ import annotations

from typing import Final

from installer.services.model import MemoryClaim, Service

SERVICE: Final = Service(
    name="worker",
    purpose="The applications' external-task workers",
    group="worker",
    memory=MemoryClaim.fixed(320),
)
