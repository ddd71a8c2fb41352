"""PostgreSQL tuning for wiring files: thin wrappers of ``installer.tuning.postgresql``.

Imported by the filters themselves, because Ansible loads this file again in each of its workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def postgresql_tuned(
    site: Mapping[str, Any],
    *,
    memory_mb: Sequence[int | str],
    cores: Sequence[int | str],
    mounts: Sequence[Sequence[Mapping[str, object]]],
    wal_directory: str,
    pools: Sequence[int | str],
) -> dict[str, str | int]:
    """Settings that fit every database host of a site, each with its measured memory, cores and mounts.

    The hosts of a rehearsal share one disk, so there the size assumed is the same for all of them.
    Each engine node is planned with at least the ceiling its pool can be tuned to, so that a tuned
    pool that grows does not restart the database; an operator's larger one does.
    """
    from installer.tuning import postgresql as tuning
    from installer.tuning.pools import POOL_CEILING

    hosts = site["groups"]["postgresql"]
    client_pools = [max(POOL_CEILING, int(pool)) for pool in pools]
    client_pools += [POOL_CEILING] * (len(site["groups"]["engine"]) - len(client_pools))
    measured = [
        tuning.DatabaseHost(
            memory_mb=tuning.planned_memory_mb(
                int(host_memory_mb), dedicated=tuning.is_dedicated(site["hosts"][host]["groups"])
            ),
            cores=int(host_cores),
            client_pools=client_pools,
            wal_disk_mb=tuning.WAL_DISK_FALLBACK_MB
            if site["rehearsal"]
            else tuning.disk_mb(host_mounts, wal_directory, fallback_mb=tuning.WAL_DISK_FALLBACK_MB),
        )
        for host, host_memory_mb, host_cores, host_mounts in zip(hosts, memory_mb, cores, mounts, strict=True)
    ]
    return tuning.settings(tuning.smallest(measured))


def postgresql_kernel(site: Mapping[str, Any], host: str) -> dict[str, int]:
    """Kernel settings of a database host."""
    from installer.tuning import postgresql as tuning

    return tuning.kernel_settings(dedicated=tuning.is_dedicated(site["hosts"][host]["groups"]))


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"postgresql_tuned": postgresql_tuned, "postgresql_kernel": postgresql_kernel}
