"""Engine tuning for wiring files: thin wrappers of ``installer.tuning.jvm`` and ``installer.tuning.pools``.

Imported by the filters themselves, because Ansible loads this file again in each of its workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def engine_jvm(site: Mapping[str, Any], host: str, *, memory_mb: int | str) -> dict[str, int | bool]:
    """The plan of one host's Java process, by the names the engine role uses."""
    from dataclasses import asdict

    from installer.tuning import jvm

    plan = jvm.plan(
        memory_mb=int(memory_mb),
        groups=site["hosts"][host]["groups"],
        site_class=site["site_class"],
        rehearsal=site["rehearsal"],
    )
    return asdict(plan)


def engine_pool_size(site: Mapping[str, Any], *, job_threads: int | str, database_cores: Sequence[int | str]) -> int:
    """Connections of one engine node; the smallest database host counts, any may be the primary tomorrow."""
    from installer.tuning import pools

    return pools.engine_pool_size(
        job_threads=int(job_threads),
        database_cores=min(int(cores) for cores in database_cores),
        engine_nodes=len(site["groups"]["engine"]),
    )


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"engine_jvm": engine_jvm, "engine_pool_size": engine_pool_size}
