"""The engine's memory and connections follow their formulas."""

from __future__ import annotations

import pytest

from installer.services.formulas import jvm, pools

GB = 1024


@pytest.mark.parametrize(
    ("memory_gb", "heap_gb"),
    [(8, 3), (16, 10), (20, 13), (24, 16), (32, 16), (64, 16)],
)
def test_heap_of_a_dedicated_host_follows_the_formula(memory_gb: int, heap_gb: int) -> None:
    assert jvm.heap_mb(memory_gb * GB) == heap_gb * GB


def test_a_host_that_reports_slightly_less_than_it_was_bought_with_gets_the_same_heap() -> None:
    assert jvm.heap_mb(int(15.6 * GB)) == jvm.heap_mb(16 * GB)


def test_a_host_that_misses_more_than_the_slack_is_planned_as_what_it_has() -> None:
    assert jvm.heap_mb(int(15.0 * GB)) == 9 * GB


def test_a_small_host_gets_a_share_instead_of_nothing() -> None:
    small = jvm.plan(planning_mb=1728, share_mb=1536, site_class="production", rehearsal=True)
    assert 512 <= small.heap_mb <= 768
    assert small.heap_mb % jvm.SMALL_HEAP_STEP_MB == 0
    assert small.memory_max_mb <= 1536


def test_a_tiny_host_still_gets_what_the_engine_needs_to_start() -> None:
    assert jvm.heap_mb(256) == jvm.SMALL_HEAP_FLOOR_MB


def test_a_larger_host_never_gets_a_smaller_heap() -> None:
    heaps = [jvm.heap_mb(memory_mb) for memory_mb in range(512, 40 * GB, 128)]
    assert heaps == sorted(heaps)


@pytest.mark.parametrize("share_mb", [1318, 1400, 1536, 2048, 4096, 5000, 6144, 8192, 16 * GB, 64 * GB])
def test_the_whole_process_fits_into_its_share(share_mb: int) -> None:
    process = jvm.plan(planning_mb=share_mb * 9 // 8, share_mb=share_mb, site_class="production", rehearsal=False)
    assert process.heap_mb < process.memory_max_mb <= share_mb


def test_pages_are_touched_in_production_only() -> None:
    def touched(site_class: str, *, rehearsal: bool) -> bool:
        plan = jvm.plan(planning_mb=16 * GB, share_mb=14 * GB, site_class=site_class, rehearsal=rehearsal)
        return plan.touch_pages

    assert touched("production", rehearsal=False)
    assert not touched("staging", rehearsal=False)
    assert not touched("production", rehearsal=True)


@pytest.mark.parametrize(
    ("job_threads", "database_cores", "engine_nodes", "expected"),
    [(10, 2, 2, 20), (3, 4, 2, 20), (15, 8, 2, 25), (10, 32, 2, 30), (10, 32, 3, 22), (20, 64, 1, 30)],
)
def test_pool_covers_job_threads_and_the_share_of_the_database(
    job_threads: int, database_cores: int, engine_nodes: int, expected: int
) -> None:
    size = pools.engine_pool_size(job_threads=job_threads, database_cores=database_cores, engine_nodes=engine_nodes)
    assert size == expected


def test_more_job_threads_than_the_database_plans_with_are_refused() -> None:
    with pytest.raises(ValueError, match="21 job threads need a pool of 31"):
        pools.engine_pool_size(job_threads=21, database_cores=8, engine_nodes=2)
