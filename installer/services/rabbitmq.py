"""RabbitMQ: the message broker. Reads of its host: `memory_mb`; for the disk: `memory_watermark_mb`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.services.allocation import MemoryClaim
from installer.services.model import (
    UNNOTICED,
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

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "rabbitmq"
_WAL_CEILING_MB: Final = 512
_EXAMPLE: Final[Mapping[str, int]] = {"memory_mb": 16384, "memory_watermark_mb": 8192}


def _settings(situation: Situation) -> tuple[TunedSetting, ...]:
    given = situation.facts
    found = []
    if "memory_mb" in given:
        # Absolute, because RabbitMQ's own default is a share of the whole host and takes no account of who else
        # lives there.
        watermark = TunedSetting(
            name="rabbitmq_memory_watermark_mb",
            value=situation.allocate(situation.host, int(given["memory_mb"])).share_mb(NAME),
            formula="share",
            source="RabbitMQ documentation, Memory alarms: an absolute threshold",
        )
        found.append(watermark)
    if "memory_watermark_mb" in given:
        watermark_mb = int(given["memory_watermark_mb"])
        found += [
            # A node may have to write all it holds in memory; the same again for logs of quorum queues being compacted.
            TunedSetting(
                name="rabbitmq_disk_free_limit_mb",
                value=2 * watermark_mb,
                formula="2 * memory watermark",
                source="RabbitMQ documentation, Disk alarms: at least the memory watermark",
            ),
            # Held in memory until the log is full. With RabbitMQ's 512 MB a small node would stop its publishers before
            # that, and where nobody consumes nothing would ever fill the log.
            TunedSetting(
                name="rabbitmq_wal_size_mb",
                value=min(watermark_mb // 4, _WAL_CEILING_MB),
                formula="min(memory watermark / 4, 512 MB)",
                source="RabbitMQ documentation, Quorum queues: memory of 3 to 4 times the limit",
            ),
        ]
    return tuple(found)


SERVICE: Final = Service(
    name=NAME,
    purpose="RabbitMQ: the message broker",
    group="rabbitmq",
    members=GroupRule(voters=True),
    stage=InstallStage(name="broker", needs=("firewall",), seconds=30),
    units=(
        Unit(
            name=r"rabbitmq-server\.service",
            called="RabbitMQ",
            restart=Act(effect="clients of a node connect to another, about 1 s each", seconds=1),
            alone=Act(effect="about 20 s without the broker", seconds=20),
        ),
        Unit(name=r"epmd\.socket", called="RabbitMQ's port mapper", restart=UNNOTICED, alone=UNNOTICED),
    ),
    # A node with the management plugin uses about 150 MB while it idles; a watermark below that would block every
    # publisher from the start.
    memory=MemoryClaim(floor_mb=256, weight=2, ceiling_mb=8192),
    overcommits=True,
    settings=_settings,
    example=_EXAMPLE,
    health=(
        HealthCheck(
            name="broker",
            module="installer.services.health.rabbitmq",
            checks={
                "cluster": "each node sees all nodes running, with no alarm and no partition",
                "queue": "each queue is a quorum queue with all its members online",
            },
        ),
    ),
    metrics=(
        Metric(name="mem_alarm, disk_free_alarm", source="/api/nodes", meaning="true: publishers are stopped"),
        Metric(name="messages", source="/api/queues", meaning="rising: nobody consumes"),
        Metric(name="online", source="/api/queues", meaning="fewer than members: a queue is one failure from its end"),
    ),
)
