"""Memory of the engine's Java process from what its host has: pure functions, megabytes in, plan out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MB_PER_GB: Final = 1024

# The operating system, its page cache and agents, and the JVM's own 1.5 GB beside the heap.
GB_BESIDE_HEAP: Final = 4
# G1's own tables grow with the heap, about a tenth, and a little air.
HEAP_OVERHEAD: Final = 1.15
HEAP_CEILING_GB: Final = 16
# A "16 GB" host reports a little less; up to this share missing it still counts as 16 GB.
NOMINAL_SLACK: Final = 0.05

# Below two gigabytes the rule above leaves nothing, and a share of what there is takes its place.
SMALL_HEAP_BELOW_GB: Final = 2
SMALL_HEAP_SHARE: Final = 0.35
SMALL_HEAP_FLOOR_MB: Final = 384
SMALL_HEAP_CEILING_MB: Final = 2048
SMALL_HEAP_STEP_MB: Final = 64

PRODUCTION: Final = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class JvmPlan:
    """What the engine's Java process may use.

    Attributes:
        heap_mb: Heap, minimum and maximum alike.
        metaspace_mb: Most that classes may take.
        direct_memory_mb: Most that buffers outside the heap may take.
        memory_max_mb: What the whole process may take before the kernel ends it.
        touch_pages: Whether the heap is taken from the kernel at the start.
        quick_start: Whether code is compiled once, lightly: for machines that share two processors
            among a whole site.
    """

    heap_mb: int
    metaspace_mb: int
    direct_memory_mb: int
    memory_max_mb: int
    touch_pages: bool
    quick_start: bool


def nominal_gb(memory_mb: int) -> float:
    """Gigabytes a host was bought with: the next whole number when at most 5% of it is missing."""
    measured = memory_mb / MB_PER_GB
    nominal = math.ceil(measured)
    return float(nominal) if measured >= nominal * (1 - NOMINAL_SLACK) else measured


def heap_mb(memory_mb: int) -> int:
    """Heap in MB for the memory that the engine has for itself.

    ``min(16, floor((GB - 4) / 1.15))`` gigabytes. Where that gives less than two, a third of the
    memory in steps of 64 MB, never below what the engine needs to start.
    """
    gigabytes = math.floor((nominal_gb(memory_mb) - GB_BESIDE_HEAP) / HEAP_OVERHEAD)
    if gigabytes >= SMALL_HEAP_BELOW_GB:
        return min(HEAP_CEILING_GB, gigabytes) * MB_PER_GB
    share = int(memory_mb * SMALL_HEAP_SHARE) // SMALL_HEAP_STEP_MB * SMALL_HEAP_STEP_MB
    return min(max(share, SMALL_HEAP_FLOOR_MB), SMALL_HEAP_CEILING_MB)


def process_mb(heap: int) -> int:
    """What the whole process may take beside a heap, in MB.

    Heap and G1's tables, classes, buffers, and the rest for compiled code, threads and the JVM itself.
    """
    return int(heap * 1.1) + sum(_beside(heap))


def _beside(heap: int) -> tuple[int, int, int]:
    """Metaspace, direct memory and the rest, in MB."""
    return (256, 128, 512) if heap < SMALL_HEAP_BELOW_GB * MB_PER_GB else (512, 512, 768)


def fitting_heap_mb(wanted_mb: int, share_mb: int) -> int:
    """The largest heap up to the wanted one whose process fits into a share, in MB; at least the floor."""
    heap = wanted_mb
    while process_mb(heap) > share_mb and heap > SMALL_HEAP_FLOOR_MB:
        heap -= SMALL_HEAP_STEP_MB
    return max(heap, SMALL_HEAP_FLOOR_MB)


def plan(*, planning_mb: int, share_mb: int, site_class: str, rehearsal: bool) -> JvmPlan:
    """Plan the engine's process for one host.

    Args:
        planning_mb: Memory for the engine with its part of the operating system's, which the heap's rule counts in.
        share_mb: Memory for the engine alone; the process never takes more.
        site_class: The site's class; only production takes the heap's pages at the start.
        rehearsal: Whether the host is one of many on a single machine.
    """
    heap = fitting_heap_mb(heap_mb(planning_mb), share_mb)
    metaspace, direct, _ = _beside(heap)
    return JvmPlan(
        heap_mb=heap,
        metaspace_mb=metaspace,
        direct_memory_mb=direct,
        memory_max_mb=process_mb(heap),
        touch_pages=site_class == PRODUCTION and not rehearsal,
        quick_start=rehearsal,
    )
