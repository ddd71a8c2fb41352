"""What the services of one host will take together, against what the host has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.tuning import jvm, memory, postgresql

if TYPE_CHECKING:
    from collections.abc import Collection

# systemd, journald, sshd, chrony and room for Ansible's modules.
SYSTEM_MB: Final = 192
# Patroni and PostgreSQL's own processes beside the buffers.
_POSTGRESQL_MB: Final = 256


def budget_mb(*, memory_mb: int, groups: Collection[str], site_class: str, rehearsal: bool) -> dict[str, int]:
    """Memory each service of a host is planned to take, in MB, by inventory group.

    The same formulas the roles are configured with, so the sum is what will happen and not an estimate.

    Args:
        memory_mb: Memory of the host that may be planned with.
        groups: Groups the host plays.
        site_class: The site's class.
        rehearsal: Whether the host is a throwaway container.
    """
    planned = {"system": SYSTEM_MB}
    planned |= {group: jvm.FIXED_SHARES_MB[group] for group in groups if group in jvm.FIXED_SHARES_MB}
    if "engine" in groups:
        plan = jvm.plan(memory_mb=memory_mb, groups=groups, site_class=site_class, rehearsal=rehearsal)
        planned["engine"] = plan.memory_max_mb
    if "postgresql" in groups:
        share = postgresql.planned_memory_mb(memory_mb, dedicated=postgresql.is_dedicated(groups))
        planned["postgresql"] = postgresql.shared_buffers_mb(share) + _POSTGRESQL_MB
    if "redis" in groups:
        planned["redis"] = 2 * memory.redis_maxmemory_mb(memory_mb, groups)
    if "rabbitmq" in groups:
        planned["rabbitmq"] = memory.rabbitmq_memory_watermark_mb(memory_mb, groups)
    return planned
