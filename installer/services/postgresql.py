"""PostgreSQL under Patroni.

Reads, one for each database host: `memory_mb`, `cores`, `mounts`; then `wal_directory`, and `pools`: the pool of one
host of each service that connects, by service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.services import known_services
from installer.services.allocation import MemoryClaim
from installer.services.formulas import postgresql as formulas
from installer.services.model import (
    Act,
    HealthCheck,
    InstallStage,
    KernelSetting,
    Metric,
    Service,
    Situation,
    TunedSetting,
    Unit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "postgresql"
_BYTES_PER_MB: Final = 1024 * 1024
_EXAMPLE: Final[Mapping[str, object]] = {
    "memory_mb": [16384],
    "cores": [8],
    "mounts": [[]],
    "wal_directory": "/",
    "pools": {},
}


def _client_pools(situation: Situation) -> list[int]:
    """Largest pool of each host that connects: what it was given, and at least what it may be tuned to."""
    given = situation.facts["pools"]
    return [
        max(claim.per_host, int(given.get(name, 0)))
        for name, service in known_services().items()
        for claim in service.connections
        if claim.to == NAME
        for _ in situation.site["groups"].get(service.group, ())
    ]


def _settings(situation: Situation) -> tuple[TunedSetting, ...]:
    """Settings that fit every database host of the site; any of them may be the primary tomorrow."""
    facts = situation.facts
    pools = _client_pools(situation)
    hosts = situation.site["groups"]["postgresql"]
    measured = [
        formulas.DatabaseHost(
            memory_mb=situation.allocate(host, int(memory_mb)).planning_mb(NAME),
            cores=int(cores),
            client_pools=pools,
            # The hosts of a rehearsal share one disk, so there the size assumed is the same for all of them.
            wal_disk_mb=formulas.WAL_DISK_FALLBACK_MB
            if situation.site["rehearsal"]
            else formulas.disk_mb(mounts, facts["wal_directory"], fallback_mb=formulas.WAL_DISK_FALLBACK_MB),
        )
        for host, memory_mb, cores, mounts in zip(
            hosts, facts["memory_mb"], facts["cores"], facts["mounts"], strict=True
        )
    ]
    return formulas.explain(formulas.smallest(measured))


SERVICE: Final = Service(
    name=NAME,
    purpose="PostgreSQL under Patroni: the database",
    group="postgresql",
    stage=InstallStage(name="database", needs=("etcd",), seconds=14),
    units=(
        Unit(
            name=r"patroni\.service",
            called="PostgreSQL",
            restart=Act(effect="about 5 s without writes while the synchronous standby takes over", seconds=5),
            alone=Act(effect="about 15 s without the database", seconds=15),
            reload=Act(effect="connections stay open"),
            # Patroni restarts the server that it runs, where it is.
            within={
                "restart of the server": Act(effect="about 5 s without writes", seconds=5),
                "restart of the only server": Act(effect="about 10 s without the database", seconds=10),
                "restart of a standby": Act(effect="only standbys, nobody notices"),
            },
        ),
    ),
    memory=MemoryClaim(floor_mb=448, weight=8),
    large=True,
    settings=_settings,
    example=_EXAMPLE,
    kernel=(
        # Little dirty memory, so that a checkpoint's fsync finds little left to write (autobase).
        KernelSetting(key="vm.dirty_background_bytes", value=64 * _BYTES_PER_MB),
        KernelSetting(key="vm.dirty_bytes", value=512 * _BYTES_PER_MB),
        KernelSetting(key="vm.dirty_expire_centisecs", value=1000),
        # No swapping of the buffer cache.
        KernelSetting(key="vm.swappiness", value=1),
        KernelSetting(key="vm.zone_reclaim_mode", value=0),
        KernelSetting(key="kernel.numa_balancing", value=0),
        # A backend is refused memory rather than the whole database killed (PostgreSQL documentation, 18.4.4).
        KernelSetting(key="vm.overcommit_memory", value=2, contested=0, strict=True),
        KernelSetting(key="vm.overcommit_ratio", value=85, strict=True),
    ),
    health=(
        HealthCheck(
            name="database",
            module="installer.services.health.postgresql",
            checks={
                "primary": "one PostgreSQL takes writes, not two and not none",
                "replication": "each standby streams and is not far behind",
                "synchronous": "a commit is on two hosts before it is acknowledged",
                "checksums": "damaged pages would be noticed",
                "encrypted": "nobody is connected in clear",
            },
        ),
    ),
    metrics=(
        Metric(name="count(*)", source="pg_stat_activity", meaning="near max_connections: clients will be refused"),
        Metric(name="replay_lsn", source="pg_stat_replication", meaning="far behind: a failover would take long"),
        Metric(name="restart_lsn", source="pg_replication_slots", meaning="far behind: the log fills its disk"),
    ),
)
