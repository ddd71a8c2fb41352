"""Filters that give the cache and the broker their share of a host's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from installer.tuning import memory


class FilterModule:
    """The formulas of installer.tuning.memory, by their own names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {
            "redis_maxmemory_mb": memory.redis_maxmemory_mb,
            "rabbitmq_memory_watermark_mb": memory.rabbitmq_memory_watermark_mb,
            "rabbitmq_disk_free_limit_mb": memory.rabbitmq_disk_free_limit_mb,
        }
