"""Shares of a host's memory for the cache and the broker, which keep their data in it.

Both run beside something else on every layout we know: beside each other and etcd on the three
service hosts, beside the database and the engine on a one-host site. The share a service gets
depends on those neighbours, and a floor keeps it able to work at all.
"""

from __future__ import annotations

from collections.abc import Collection

# What wants most of a host's memory for itself.
_HUNGRY_GROUPS = frozenset({"engine", "postgresql"})

REDIS_FLOOR_MB = 64
REDIS_CEILING_MB = 8192
# A RabbitMQ node with the management plugin uses about 150 MB while it idles; a watermark below
# that would block every publisher from the start.
RABBITMQ_FLOOR_MB = 256
RABBITMQ_CEILING_MB = 8192


def redis_maxmemory_mb(host_memory_mb: int, neighbours: Collection[str]) -> int:
    """Data a Redis node may hold.

    A full synchronisation or an AOF rewrite forks, and the copy can need as much again, so twice
    this figure must fit: half of the memory beside small neighbours, an eighth beside hungry ones.

    Args:
        host_memory_mb: Memory of the host that may be planned with.
        neighbours: Groups the host plays, its own included.
    """
    if _HUNGRY_GROUPS & set(neighbours):
        share = host_memory_mb // 16
    elif "rabbitmq" in neighbours:
        share = host_memory_mb // 4
    else:
        share = host_memory_mb * 2 // 5
    return min(max(share, REDIS_FLOOR_MB), REDIS_CEILING_MB)


def rabbitmq_memory_watermark_mb(host_memory_mb: int, neighbours: Collection[str]) -> int:
    """Memory at which a RabbitMQ node stops its publishers.

    Absolute, because RabbitMQ's own default is a share of the whole host and takes no account of
    who else lives there.

    Args:
        host_memory_mb: Memory of the host that may be planned with.
        neighbours: Groups the host plays, its own included.
    """
    if _HUNGRY_GROUPS & set(neighbours):
        share = host_memory_mb // 8
    elif "redis" in neighbours:
        share = host_memory_mb // 4
    else:
        share = host_memory_mb // 2
    return min(max(share, RABBITMQ_FLOOR_MB), RABBITMQ_CEILING_MB)


def rabbitmq_disk_free_limit_mb(memory_watermark_mb: int) -> int:
    """Free disk below which a RabbitMQ node stops its publishers.

    A node may have to write all it holds in memory, so at least the watermark; twice that leaves
    room for the log segments of quorum queues that are being compacted.
    """
    return 2 * memory_watermark_mb
