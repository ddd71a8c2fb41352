"""memcached: a plain cache, for the tests alone. Reads of its host: `memory_mb`."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import MemoryClaim
from installer.services.model import (
    Act,
    GroupRule,
    HealthCheck,
    InstallStage,
    Metric,
    Service,
    Situation,
    TunedSetting,
    Unit,
)

NAME: Final = "memcached"


def _settings(situation: Situation) -> tuple[TunedSetting, ...]:
    share = situation.allocate(situation.host, int(situation.facts["memory_mb"])).share_mb(NAME)
    return (
        TunedSetting(
            name="memcached_memory_mb", value=share * 9 // 10, formula="share * 0.9", source="own rule: a tenth beside"
        ),
    )


SERVICE: Final = Service(
    name=NAME,
    purpose="memcached: a plain cache",
    group="memcached",
    members=GroupRule(required=False),
    stage=InstallStage(name="memcached", needs=("base",)),
    units=(
        Unit(
            name=r"memcached\.service",
            called="memcached",
            restart=Act(effect="what it held is gone"),
            alone=Act(effect="what it held is gone; about 1 s without it", seconds=1),
        ),
    ),
    memory=MemoryClaim(floor_mb=32, weight=1, ceiling_mb=1024),
    settings=_settings,
    example={"memory_mb": 16384},
    health=(
        HealthCheck(
            name="memcached",
            module="installer.services.health.memcached",
            checks={"answers": "it answers what it was told"},
        ),
    ),
    metrics=(Metric(name="evictions", source="stats", meaning="rising: the cache is too small"),),
)
