"""What users notice when a unit restarts or reloads, and in which order its hosts are treated.

The seconds are upper figures of measurements on rehearsal hosts (two shared cores): docs/decisions/plan.md says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is noticed of a restart or a reload.

    Attributes:
        effect: What users notice.
        seconds: About how long; 0 for not at all.
    """

    effect: str
    seconds: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What is known of a unit.

    Attributes:
        units: Its name, as a regular expression that must match the whole of it.
        service: The service as an operator calls it.
        restart: Noticed of a restart of all hosts, one after the other.
        alone: Noticed of a restart when only one host runs the service.
        reload: Noticed of a reload.
    """

    units: str
    service: str
    restart: Act
    alone: Act
    reload: Act = Act(effect="nothing is interrupted")


_UNNOTICED: Final = Act(effect="no user notices")

EFFECTS: Final = (
    Effects(
        units=r"patroni\.service",
        service="PostgreSQL",
        restart=Act(effect="about 5 s without writes while the synchronous standby takes over", seconds=5),
        alone=Act(effect="about 15 s without the database", seconds=15),
        reload=Act(effect="connections stay open"),
    ),
    Effects(
        units=r"redis-server\.service",
        service="Redis",
        restart=Act(effect="up to 6 s without writes when the master moves", seconds=6),
        alone=Act(effect="about 3 s without the cache", seconds=3),
    ),
    Effects(
        units=r"redis-sentinel\.service",
        service="Sentinel",
        restart=Act(effect="the other Sentinels answer"),
        alone=Act(effect="about 2 s in which clients cannot ask for the master", seconds=2),
    ),
    Effects(
        units=r"rabbitmq-server\.service",
        service="RabbitMQ",
        restart=Act(effect="clients of a node connect to another, about 1 s each", seconds=1),
        alone=Act(effect="about 20 s without the broker", seconds=20),
    ),
    Effects(
        units=r"etcd\.service",
        service="etcd",
        restart=Act(effect="the majority goes on"),
        alone=Act(effect="about 3 s without etcd; the database goes on"),
    ),
    Effects(
        units=r"engine\.service",
        service="process engine",
        restart=Act(effect="the other engine answers; a request may take up to 8 s or, seldom, fail", seconds=8),
        alone=Act(effect="about 40 s without the engine", seconds=40),
    ),
    Effects(
        units=r"gateway\.service",
        service="NGINX",
        restart=Act(effect="the virtual address moves, up to 3 s without answers", seconds=3),
        alone=Act(effect="about 2 s without answers", seconds=2),
        reload=Act(effect="no connection is closed"),
    ),
    Effects(
        units=r"keepalived\.service",
        service="keepalived",
        restart=Act(effect="the virtual address moves, up to 3 s without answers", seconds=3),
        alone=Act(effect="about 3 s without the virtual address", seconds=3),
        reload=Act(effect="the virtual address stays"),
    ),
    Effects(
        units=r"sitewright-worker@.*\.service",
        service="workers",
        restart=Act(effect="tasks in hand are finished first, the others go on"),
        alone=Act(effect="tasks in hand are finished first, new ones wait some seconds"),
    ),
    Effects(
        units=r"sitewright-repository\.service",
        service="package repository",
        restart=_UNNOTICED,
        alone=Act(effect="no user notices; packages cannot be fetched for about 1 s"),
    ),
    Effects(units=r"systemd-journald\.service", service="journal", restart=_UNNOTICED, alone=_UNNOTICED),
    Effects(units=r"systemd-sysctl\.service", service="kernel settings", restart=_UNNOTICED, alone=_UNNOTICED),
    Effects(units=r"chrony\.service", service="clock", restart=_UNNOTICED, alone=_UNNOTICED),
    Effects(units=r"epmd\.socket", service="RabbitMQ's port mapper", restart=_UNNOTICED, alone=_UNNOTICED),
)


def effects_of(unit: str) -> Effects:
    """What is known of a unit; of an unknown one the plan says that nobody measured it."""
    for effects in EFFECTS:
        if re.fullmatch(effects.units, unit):
            return effects
    unmeasured = Act(effect="for how long was never measured", seconds=1)
    return Effects(units=re.escape(unit), service=unit, restart=unmeasured, alone=unmeasured, reload=unmeasured)
