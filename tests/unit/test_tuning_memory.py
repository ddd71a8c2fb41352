"""Cache and broker get a share of a host that leaves room for their neighbours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from installer.tuning import memory

SERVICE_HOST = ("etcd", "redis", "rabbitmq")
ONE_HOST = ("gateway", "engine", "worker", "postgresql", "etcd", "redis", "rabbitmq", "repository")


def test_service_host_of_two_gigabytes_is_shared_by_redis_and_rabbitmq() -> None:
    assert memory.redis_maxmemory_mb(2048, SERVICE_HOST) == 512
    assert memory.rabbitmq_memory_watermark_mb(2048, SERVICE_HOST) == 512


def test_one_host_site_keeps_most_of_its_memory_for_engine_and_database() -> None:
    assert memory.redis_maxmemory_mb(8192, ONE_HOST) == 512
    assert memory.rabbitmq_memory_watermark_mb(8192, ONE_HOST) == 1024


def test_host_of_its_own_is_used() -> None:
    assert memory.redis_maxmemory_mb(8192, ("redis",)) == 3276
    assert memory.rabbitmq_memory_watermark_mb(8192, ("rabbitmq",)) == 4096


def test_tiny_host_still_gets_what_a_service_needs_to_work() -> None:
    assert memory.redis_maxmemory_mb(512, ONE_HOST) == 64
    assert memory.rabbitmq_memory_watermark_mb(512, ONE_HOST) == 256


def test_disk_limit_holds_all_that_is_in_memory_twice() -> None:
    assert memory.rabbitmq_disk_free_limit_mb(512) == 1024


@given(memory_mb=st.integers(2048, 512 * 1024), groups=st.sampled_from([SERVICE_HOST, ONE_HOST]))
def test_both_together_leave_a_fifth_for_the_others(memory_mb: int, groups: tuple[str, ...]) -> None:
    taken = 2 * memory.redis_maxmemory_mb(memory_mb, groups) + memory.rabbitmq_memory_watermark_mb(memory_mb, groups)
    assert taken <= memory_mb * 0.8 + 1


@given(memory_mb=st.integers(256, 512 * 1024))
def test_hungry_neighbours_never_leave_more(memory_mb: int) -> None:
    assert memory.redis_maxmemory_mb(memory_mb, ONE_HOST) <= memory.redis_maxmemory_mb(memory_mb, SERVICE_HOST)
