"""PostgreSQL settings from what a host has: pure functions, megabytes in, settings out.

The formulas are those of pgtune's OLTP profile where no other source is named; the sources stand
beside each value, so that ``tune --explain`` can print them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.services.model import TunedSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MB_PER_GB: Final = 1024
KB_PER_MB: Final = 1024

# Connections that belong to nobody's pool: replication, rewind, monitoring, backups, verify, an operator at night.
CONNECTIONS_FOR_OPERATION: Final = 25
MAX_CONNECTIONS_FLOOR: Final = 100
MAX_WORKER_PROCESSES_FLOOR: Final = 8
WAL_DISK_FALLBACK_MB: Final = 10 * MB_PER_GB


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseHost:
    """What a database host has, and what is asked of it.

    Attributes:
        memory_mb: Memory PostgreSQL may plan with, in MB, its part of the operating system's included: the formulas
            leave that to it.
        cores: Processors PostgreSQL may plan with.
        client_pools: Largest connection pool of each client node; two engines with 30 connections
            each are ``(30, 30)``.
        wal_disk_mb: Size of the file system that holds the write-ahead log, in MB.
        rotational: Whether that storage has moving parts.
    """

    memory_mb: int
    cores: int
    client_pools: Sequence[int] = ()
    wal_disk_mb: int = WAL_DISK_FALLBACK_MB
    rotational: bool = False


def max_connections(client_pools: Sequence[int]) -> int:
    """Connections the server allows: all client pools full, a quarter more, and operation.

    The quarter is room for a pool that is being replaced by a new one while an old node still
    drains. Source: our own rule, ``N * pool + replication + monitoring + 10 < max_connections``.
    """
    return max(MAX_CONNECTIONS_FLOOR, math.ceil(1.25 * sum(client_pools)) + CONNECTIONS_FOR_OPERATION)


def shared_buffers_mb(memory_mb: int) -> int:
    """Buffer cache in MB: a quarter of the memory (pgtune, timescaledb-tune, autobase, pigsty alike)."""
    return max(64, memory_mb // 4)


def work_mem_kb(memory_mb: int, connections: int, worker_processes: int) -> int:
    """Memory of one sort or hash in kB: what the buffers leave, shared by three per connection.

    pgtune's formula; never below PostgreSQL's own default of 4 MB, and capped at 64 MB, because one
    query may use it many times over.
    """
    left_kb = (memory_mb - shared_buffers_mb(memory_mb)) * KB_PER_MB
    return min(64 * KB_PER_MB, max(4 * KB_PER_MB, left_kb // ((connections + worker_processes) * 3)))


def maintenance_work_mem_mb(memory_mb: int) -> int:
    """Memory of VACUUM or CREATE INDEX in MB: a sixteenth, 32 MB at least and 2 GB at most (pgtune)."""
    return min(2 * MB_PER_GB, max(32, memory_mb // 16))


def max_wal_size_mb(wal_disk_mb: int) -> int:
    """Write-ahead log between two checkpoints in MB: a fifth of its disk, from 2 to 32 GB (pigsty)."""
    return min(32 * MB_PER_GB, max(2 * MB_PER_GB, wal_disk_mb // 5))


def max_slot_wal_keep_size_mb(wal_disk_mb: int) -> int:
    """Log kept for a replica that is away, in MB: 30% of its disk, so that it cannot fill it; 1 GB at least."""
    return max(MB_PER_GB, wal_disk_mb * 3 // 10)


def autovacuum_max_workers(cores: int) -> int:
    """Autovacuum workers: PostgreSQL's 3, 4 from 16 cores on, 5 from 32 (pgtune)."""
    return 3 + (cores >= 16) + (cores >= 32)  # noqa: PLR2004 - the thresholds are the sentence above


def explain(host: DatabaseHost) -> tuple[TunedSetting, ...]:
    """Every tuned setting of a database host with its formula and its source."""
    memory = host.memory_mb
    connections = max_connections(host.client_pools)
    workers = max(MAX_WORKER_PROCESSES_FLOOR, host.cores)
    parallel = max(1, host.cores // 2)
    buffers = shared_buffers_mb(memory)
    wal = max_wal_size_mb(host.wal_disk_mb)
    rows: tuple[tuple[str, str | int, str, str], ...] = (
        ("max_connections", connections, "max(100, ceil(1.25 * sum of client pools) + 25)", "own rule"),
        ("shared_buffers", f"{buffers}MB", "memory / 4", "pgtune"),
        ("effective_cache_size", f"{memory * 3 // 4}MB", "memory * 3 / 4", "pgtune"),
        (
            "work_mem",
            f"{work_mem_kb(memory, connections, workers)}kB",
            "clamp((memory - shared_buffers) / ((max_connections + max_worker_processes) * 3), 4 MB, 64 MB)",
            "pgtune, capped",
        ),
        ("maintenance_work_mem", f"{maintenance_work_mem_mb(memory)}MB", "clamp(memory / 16, 32 MB, 2 GB)", "pgtune"),
        ("huge_pages", "try" if buffers >= 2 * MB_PER_GB else "off", "try from 2 GB of shared_buffers on", "pgtune"),
        ("wal_buffers", "16MB", "16 MB, one segment", "pgtune"),
        ("max_wal_size", f"{wal}MB", "clamp(WAL disk / 5, 2 GB, 32 GB)", "pigsty"),
        ("min_wal_size", f"{wal // 4}MB", "max_wal_size / 4", "own rule"),
        (
            "max_slot_wal_keep_size",
            f"{max_slot_wal_keep_size_mb(host.wal_disk_mb)}MB",
            "max(1 GB, WAL disk * 0.3)",
            "own rule",
        ),
        ("wal_compression", "lz4", "lz4", "pigsty"),
        ("checkpoint_timeout", "15min", "15 min", "autobase, pigsty"),
        ("checkpoint_completion_target", "0.9", "0.9", "pgtune"),
        ("random_page_cost", "4" if host.rotational else "1.1", "1.1, or 4 on rotating disks", "pgtune"),
        ("effective_io_concurrency", 2 if host.rotational else 200, "200, or 2 on rotating disks", "pgtune"),
        ("max_worker_processes", workers, "max(8, cores)", "autobase"),
        ("max_parallel_workers", parallel, "cores / 2", "autobase"),
        ("max_parallel_workers_per_gather", min(2, parallel), "2, at most max_parallel_workers", "autobase"),
        ("max_parallel_maintenance_workers", min(2, parallel), "2, at most max_parallel_workers", "autobase"),
        ("jit", "off", "off: short transactions", "pgtune, autobase"),
        ("autovacuum_max_workers", autovacuum_max_workers(host.cores), "3, 4 from 16 cores, 5 from 32", "pgtune"),
        ("autovacuum_vacuum_scale_factor", "0.02", "0.02: the engine's tables change all day", "own rule"),
        ("autovacuum_analyze_scale_factor", "0.02", "0.02: the engine's tables change all day", "own rule"),
    )
    return tuple(
        TunedSetting(name=name, value=value, formula=formula, source=source) for name, value, formula, source in rows
    )


def smallest(hosts: Iterable[DatabaseHost]) -> DatabaseHost:
    """What every host of a cluster has at least: any of them may be the primary tomorrow.

    Raises:
        ValueError: If there is no host.
    """
    known = tuple(hosts)
    if not known:
        message = "a database cluster has at least one host"
        raise ValueError(message)
    return DatabaseHost(
        memory_mb=min(host.memory_mb for host in known),
        cores=min(host.cores for host in known),
        client_pools=known[0].client_pools,
        wal_disk_mb=min(host.wal_disk_mb for host in known),
        rotational=any(host.rotational for host in known),
    )


def disk_mb(mounts: Iterable[Mapping[str, object]], path: str, *, fallback_mb: int) -> int:
    """Size of the file system that holds a path, in MB, from Ansible's ``mounts`` fact.

    A container's overlay is not among the mounts; then the fallback is what there is to plan with.
    """
    best = ""
    size_mb = fallback_mb
    for mount in mounts:
        point = str(mount["mount"]).rstrip("/")
        if (path == point or path.startswith(f"{point}/")) and len(point) >= len(best):
            best = point
            size_mb = int(str(mount["size_total"])) // (MB_PER_GB * KB_PER_MB)
    return size_mb
