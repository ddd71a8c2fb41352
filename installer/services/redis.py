"""Redis with Sentinel: the cache. Reads of its host: `memory_mb`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.services.allocation import MemoryClaim
from installer.services.model import (
    Act,
    GroupRule,
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

NAME: Final = "redis"
# A full synchronisation or a rewrite of its log forks, and the copy can need as much again.
_COPIES: Final = 2
_EXAMPLE: Final[Mapping[str, int]] = {"memory_mb": 16384}


def _settings(situation: Situation) -> tuple[TunedSetting, ...]:
    share = situation.allocate(situation.host, int(situation.facts["memory_mb"])).share_mb(NAME)
    return (
        TunedSetting(
            name="redis_maxmemory_mb",
            value=share // _COPIES,
            formula="share / 2",
            source="Redis documentation, Persistence: a rewrite of the log forks",
        ),
    )


# Until the clients know the new master; measured on rehearsal hosts, docs/decisions/README.md#plan.
_SWITCHOVER: Final = Act(effect="up to 6 s without writes when the master moves", seconds=6)

SERVICE: Final = Service(
    name=NAME,
    purpose="Redis with Sentinel: the cache",
    group="redis",
    members=GroupRule(voters=True),
    stage=InstallStage(name="cache", needs=("firewall",), seconds=20),
    units=(
        Unit(
            name=r"redis-server\.service",
            called="Redis",
            restart=_SWITCHOVER,
            alone=Act(effect="about 3 s without the cache", seconds=3),
            within={"switchover": _SWITCHOVER},
        ),
        Unit(
            name=r"redis-sentinel\.service",
            called="Sentinel",
            restart=Act(effect="the other Sentinels answer"),
            alone=Act(effect="about 2 s in which clients cannot ask for the master", seconds=2),
        ),
    ),
    memory=MemoryClaim(floor_mb=_COPIES * 64, weight=4, ceiling_mb=_COPIES * 8192),
    overcommits=True,
    settings=_settings,
    example=_EXAMPLE,
    kernel=(
        KernelSetting(key="net.core.somaxconn", value=4096),
        # The fork must succeed; a database beside it wants the opposite, and both can live with the kernel's own.
        KernelSetting(key="vm.overcommit_memory", value=1, contested=0),
    ),
    health=(
        HealthCheck(
            name="cache",
            module="installer.services.health.redis",
            checks={
                "master": "one Redis takes writes",
                "replica": "each replica follows the master",
                "sentinel": "each Sentinel names the master that runs and knows all others",
            },
        ),
    ),
    metrics=(
        Metric(name="used_memory", source="INFO memory", meaning="near maxmemory: keys are evicted"),
        Metric(name="evicted_keys", source="INFO stats", meaning="rising: the cache is too small"),
        Metric(name="master_link_status", source="INFO replication", meaning="down: a replica does not follow"),
    ),
)
