"""The process engine: one Java process a host.

Reads of its host: `memory_mb`; for the pool: `job_threads` and `database_cores`, a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.services.allocation import MemoryClaim
from installer.services.formulas import jvm, pools
from installer.services.model import (
    Act,
    ConnectionClaim,
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

NAME: Final = "engine"
_EXAMPLE: Final[Mapping[str, object]] = {"memory_mb": 16384, "job_threads": 10, "database_cores": [8]}


def _settings(situation: Situation) -> tuple[TunedSetting, ...]:
    given = situation.facts
    rows: list[tuple[str, int | bool, str, str]] = []
    if "memory_mb" in given:
        allocation = situation.allocate(situation.host, int(given["memory_mb"]))
        plan = jvm.plan(
            planning_mb=allocation.planning_mb(NAME),
            share_mb=allocation.share_mb(NAME),
            site_class=situation.site["site_class"],
            rehearsal=situation.site["rehearsal"],
        )
        rows += [
            (
                "engine_heap_mb",
                plan.heap_mb,
                "min(16 GB, floor((share and its part of the system - 4 GB) / 1.15)); below 2 GB 35 % of it,"
                " 384 MB to 2 GB; never more than the process may take",
                "own rule: G1 needs a tenth beside the heap",
            ),
            ("engine_metaspace_mb", plan.metaspace_mb, "512 MB; 256 MB beside a heap below 2 GB", "own rule"),
            ("engine_direct_memory_mb", plan.direct_memory_mb, "512 MB; 128 MB beside a heap below 2 GB", "own rule"),
            (
                "engine_memory_max_mb",
                plan.memory_max_mb,
                "1.1 * heap + metaspace + direct memory + 768 MB (512 MB beside a heap below 2 GB)",
                "own rule",
            ),
            ("engine_touch_pages", plan.touch_pages, "in production, not in a rehearsal", "own rule"),
            ("engine_quick_start", plan.quick_start, "in a rehearsal", "own rule"),
        ]
    if "database_cores" in given:
        size = pools.engine_pool_size(
            job_threads=int(given["job_threads"]),
            # Any of the database hosts may be the primary tomorrow.
            database_cores=min(int(cores) for cores in given["database_cores"]),
            engine_nodes=len(situation.site["groups"]["engine"]),
        )
        formula = "clamp(max(job threads + 10, ceil((2 * database cores + 1) / engine hosts)), 20, 30)"
        rows.append(("engine_pool_size", size, formula, "HikariCP, About pool sizing"))
    return tuple(
        TunedSetting(name=name, value=value, formula=formula, source=source) for name, value, formula, source in rows
    )


SERVICE: Final = Service(
    name=NAME,
    purpose="The process engine, one Java process a host",
    group="engine",
    stage=InstallStage(name="engine", needs=("database",), seconds=24),
    units=(
        Unit(
            name=r"engine\.service",
            called="process engine",
            restart=Act(effect="the other engine answers; a request may take up to 8 s or, seldom, fail", seconds=8),
            alone=Act(effect="about 40 s without the engine", seconds=40),
        ),
    ),
    memory=MemoryClaim(
        floor_mb=jvm.process_mb(jvm.SMALL_HEAP_FLOOR_MB),
        weight=8,
        ceiling_mb=jvm.process_mb(jvm.HEAP_CEILING_GB * jvm.MB_PER_GB),
    ),
    large=True,
    overcommits=True,
    connections=(ConnectionClaim(to="postgresql", variable="engine_pool_size", per_host=pools.POOL_CEILING),),
    settings=_settings,
    example=_EXAMPLE,
    health=(
        HealthCheck(
            name="engine",
            module="installer.services.health.engine",
            checks={
                "up": "each engine says it is up, its database included",
                "directory": "the hospital's directory, where the site names one, answers each engine",
            },
        ),
    ),
    metrics=(
        Metric(name="count", source="GET /engine-rest/incident/count", meaning="rising: jobs fail for good"),
        Metric(
            name="hikaricp_connections_pending",
            source="/actuator/prometheus",
            meaning="above 0 for long: the pool is small",
        ),
    ),
)
