"""etcd: who is the primary, agreed on by an odd number of voters."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import Act, GroupRule, HealthCheck, InstallStage, Metric, Service, Unit

SERVICE: Final = Service(
    name="etcd",
    purpose="Which database is the primary, by vote",
    group="etcd",
    members=GroupRule(voters=True),
    stage=InstallStage(name="etcd", needs=("firewall",), seconds=4),
    units=(
        Unit(
            name=r"etcd\.service",
            called="etcd",
            restart=Act(effect="the majority goes on"),
            alone=Act(effect="about 3 s without etcd; the database goes on"),
        ),
    ),
    # It maps its whole database, which etcd's documentation keeps at 2 GB unless asked for more.
    memory=MemoryClaim(floor_mb=256, weight=1, ceiling_mb=2048),
    health=(
        HealthCheck(
            name="etcd",
            module="installer.services.health.etcd",
            checks={
                "quorum": "each member knows all members, and a read that needs a quorum works",
            },
        ),
    ),
    metrics=(
        Metric(name="etcd_server_has_leader", source="/metrics", meaning="0: no quorum, no failover"),
        Metric(
            name="etcd_disk_wal_fsync_duration_seconds",
            source="/metrics",
            meaning="99th percentile above 10 ms: the disk is too slow for elections",
        ),
        Metric(
            name="etcd_mvcc_db_total_size_in_bytes", source="/metrics", meaning="near the quota: writes will be refused"
        ),
    ),
)
