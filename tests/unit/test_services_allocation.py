"""Who gets how much of a host's memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.services import groups, known_services
from installer.services.allocation import SYSTEM, MemoryClaim, allocate
from installer.services.hosts import allocation, explain, kernel_settings, resolve
from installer.services.model import KernelSetting, Service

GB = 1024
SERVICE_HOST = ("etcd", "redis", "rabbitmq")
ONE_HOST = tuple(groups())
CLAIMS = {name: service.memory for name, service in known_services().items()}
SOME = st.sets(st.sampled_from(sorted(CLAIMS)), min_size=1)
EXTRA = st.integers(0, 512 * GB)


def site(*host_groups: str, rehearsal: bool = False) -> dict[str, object]:
    """A site of one host."""
    return {
        "rehearsal": rehearsal,
        "site_class": "production",
        "hosts": {"h": {"groups": list(host_groups)}},
        "groups": {group: ["h"] for group in host_groups},
        "waivers": [],
    }


def shares(memory_mb: int, *host_groups: str) -> dict[str, int]:
    return allocation(site(*host_groups), "h", memory_mb).shares_mb


def value(name: str, service: str, memory_mb: int, *host_groups: str) -> object:
    found = explain(site(*host_groups), "h", service, {"memory_mb": memory_mb})
    return {setting.name: setting.value for setting in found}[name]


@given(names=SOME, extra=EXTRA)
def test_shares_keep_to_floors_and_ceilings_and_never_exceed_the_memory(names: set[str], extra: int) -> None:
    claims = {name: CLAIMS[name] for name in names}
    memory = sum(claim.floor_mb for claim in claims.values()) + extra
    found = allocate(memory, claims)
    assert found.fits
    assert sum(found.shares_mb.values()) <= memory
    for name, claim in claims.items():
        assert claim.floor_mb <= found.share_mb(name) <= (claim.ceiling_mb or memory)
        assert found.share_mb(name) <= found.planning_mb(name) <= memory


@given(names=SOME, extra=EXTRA, more=st.integers(0, 64 * GB))
def test_more_memory_gives_nobody_less(names: set[str], extra: int, more: int) -> None:
    claims = {name: CLAIMS[name] for name in names}
    memory = sum(claim.floor_mb for claim in claims.values()) + extra
    before, after = allocate(memory, claims), allocate(memory + more, claims)
    assert all(after.share_mb(name) >= before.share_mb(name) for name in claims)
    assert all(after.planning_mb(name) >= before.planning_mb(name) for name in claims)


@given(names=SOME, extra=EXTRA)
def test_all_memory_is_given_away_while_somebody_can_use_it(names: set[str], extra: int) -> None:
    claims = {name: CLAIMS[name] for name in names | {SYSTEM}}
    memory = sum(claim.floor_mb for claim in claims.values()) + extra
    assert memory - sum(allocate(memory, claims).shares_mb.values()) < len(claims)


@given(
    claims=st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.builds(
            lambda floor, weight, room: MemoryClaim(
                floor_mb=floor, weight=weight, ceiling_mb=None if room is None else floor + room
            ),
            st.integers(1, 4096),
            st.integers(0, 20),
            st.none() | st.integers(0, 8192),
        ),
        min_size=1,
        max_size=8,
    ),
    extra=EXTRA,
    more=st.integers(0, 8192),
)
def test_the_rule_holds_for_claims_nobody_has_thought_of(claims: dict[str, MemoryClaim], extra: int, more: int) -> None:
    memory = sum(claim.floor_mb for claim in claims.values()) + extra
    found, larger = allocate(memory, claims), allocate(memory + more, claims)
    assert sum(found.shares_mb.values()) <= memory
    for name, claim in claims.items():
        assert claim.floor_mb <= found.share_mb(name) <= larger.share_mb(name)
        assert claim.ceiling_mb is None or found.share_mb(name) <= claim.ceiling_mb


@given(memory_mb=st.integers(4 * GB, 64 * GB))
def test_two_services_keep_their_relation_whoever_else_is_there(memory_mb: int) -> None:
    alone = shares(memory_mb, "redis", "rabbitmq")
    crowded = shares(memory_mb, "redis", "rabbitmq", "gateway", "worker", "repository")
    for found in (alone, crowded):
        if found["redis"] < CLAIMS["redis"].ceiling_mb and found["rabbitmq"] > CLAIMS["rabbitmq"].floor_mb:  # type: ignore[operator] # redis has a ceiling
            assert abs(found["redis"] - 2 * found["rabbitmq"]) <= 2


def test_what_does_not_fit_says_so_and_gives_the_floors() -> None:
    found = allocate(1000, {"a": MemoryClaim.fixed(600), "b": MemoryClaim(floor_mb=500, weight=1)})
    assert not found.fits
    assert found.shares_mb == {"a": 600, "b": 500}


# The layouts that exist


def test_a_service_host_of_two_gigabytes_is_what_it_was() -> None:
    assert shares(2048, *SERVICE_HOST) == {"etcd": 256, "rabbitmq": 512, "redis": 1024, "system": 256}
    assert value("redis_maxmemory_mb", "redis", 2048, *SERVICE_HOST) == 512
    assert value("rabbitmq_memory_watermark_mb", "rabbitmq", 2048, *SERVICE_HOST) == 512


@pytest.mark.parametrize("memory_gb", [2, 4, 8, 16])
def test_larger_service_hosts_are_what_they_were(memory_gb: int) -> None:
    memory_mb = memory_gb * GB
    assert value("redis_maxmemory_mb", "redis", memory_mb, *SERVICE_HOST) == memory_mb // 4
    assert value("rabbitmq_memory_watermark_mb", "rabbitmq", memory_mb, *SERVICE_HOST) == memory_mb // 4


def test_redis_alone_is_what_it_was() -> None:
    assert value("redis_maxmemory_mb", "redis", 8192, "redis") == 3276


@pytest.mark.parametrize(
    ("memory_gb", "heap_gb"), [(8, 3), (16, 10), (20, 13), (24, 16), (32, 16), (64, 16)], ids=lambda gb: f"{gb}GB"
)
@pytest.mark.parametrize("neighbours", [(), ("worker",)], ids=["alone", "beside workers"])
def test_the_engines_heap_is_what_it_was(memory_gb: int, heap_gb: int, neighbours: tuple[str, ...]) -> None:
    assert value("engine_heap_mb", "engine", memory_gb * GB, "engine", *neighbours) == heap_gb * GB


def test_the_engine_of_a_rehearsal_host_is_what_it_was() -> None:
    assert value("engine_heap_mb", "engine", 2048, "engine", "worker") == 576
    assert value("engine_memory_max_mb", "engine", 2048, "engine", "worker") == 1529
    assert value("engine_heap_mb", "engine", 6144, *ONE_HOST) == 576


@pytest.mark.parametrize("memory_mb", [2048, 16 * GB, 32 * GB, 64 * GB])
def test_a_database_alone_plans_with_the_whole_host(memory_mb: int) -> None:
    assert allocation(site("postgresql"), "h", memory_mb).planning_mb("postgresql") == memory_mb


def test_one_host_site_in_figures() -> None:
    found = shares(6144, *ONE_HOST)
    assert sum(found.values()) <= 6144
    assert found == {
        "backup": 128,
        "engine": 1669,
        "etcd": 256,
        "gateway": 64,
        "monitoring": 512,
        "postgresql": 1669,
        "rabbitmq": 417,
        "redis": 834,
        "repository": 64,
        "system": 208,
        "worker": 320,
    }


@given(memory_mb=st.integers(512, 96 * GB), names=st.sets(st.sampled_from(ONE_HOST)))
def test_what_the_services_are_configured_with_stays_within_their_shares(memory_mb: int, names: set[str]) -> None:
    everyone = site("engine", "postgresql", "redis", *names)
    found = allocation(everyone, "h", memory_mb)
    jvm = {each.name: each.value for each in explain(everyone, "h", "engine", {"memory_mb": memory_mb})}
    assert jvm["engine_memory_max_mb"] <= found.share_mb("engine")  # type: ignore[operator] # a whole number
    facts = {"memory_mb": [memory_mb], "cores": [2], "mounts": [[]], "wal_directory": "/", "pools": {}}
    database = {each.name: str(each.value) for each in explain(everyone, "h", "postgresql", facts)}
    assert int(database["shared_buffers"].removesuffix("MB")) + 256 <= found.share_mb("postgresql")
    cache = explain(everyone, "h", "redis", {"memory_mb": memory_mb})[0].value
    assert 2 * int(cache) <= found.share_mb("redis")


# Sysctls


@pytest.mark.parametrize(
    ("host_groups", "overcommit"),
    [
        (("redis",), 1),
        (SERVICE_HOST, 1),
        (("postgresql",), 2),
        (("postgresql", "etcd"), 2),
        (("postgresql", "redis"), 0),
        (("postgresql", "engine"), 0),
        (ONE_HOST, 0),
        (("engine",), None),
    ],
)
def test_redis_wants_to_fork_and_a_database_of_its_own_wants_no_promises(
    host_groups: tuple[str, ...], overcommit: int | None
) -> None:
    found = kernel_settings(site(*host_groups), "h")
    assert found.get("vm.overcommit_memory") == overcommit
    assert ("vm.overcommit_ratio" in found) == (overcommit == 2)


def test_two_services_that_want_the_same_get_it() -> None:

    def service(name: str, wanted: int) -> Service:
        return Service(
            name=name,
            purpose="",
            group=name,
            memory=MemoryClaim.fixed(1),
            kernel=(KernelSetting(key="a.b", value=wanted),),
        )

    assert resolve([service("x", 1), service("y", 1)]) == {"a.b": 1}
    assert resolve([service("x", 1), service("y", 2)]) == {}


def test_a_service_without_settings_says_so() -> None:
    with pytest.raises(LookupError, match="gateway has no settings"):
        explain(site("gateway"), "h", "gateway", {})


def test_reading_the_services_imports_no_client_of_any() -> None:

    text = (
        "import sys; from installer.services import known_services; known_services();"
        " print({'pydantic', 'psycopg', 'redis', 'pika', 'urllib3', 'yaml'} & sys.modules.keys())"
    )
    answer = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_every_number_has_a_formula_and_a_source() -> None:
    for service in known_services().values():
        if service.settings is not None:
            found = explain(site(service.group), "h", service.name, service.example)
            assert found
            assert all(each.formula and each.source for each in found)


@given(memory_mb=st.integers(2048, 64 * GB))
def test_the_brokers_log_leaves_its_memory_room(memory_mb: int) -> None:
    watermark = value("rabbitmq_memory_watermark_mb", "rabbitmq", memory_mb, *ONE_HOST)
    found = explain(site(*ONE_HOST), "h", "rabbitmq", {"memory_watermark_mb": watermark})
    log = {each.name: each.value for each in found}["rabbitmq_wal_size_mb"]
    assert isinstance(watermark, int)
    assert isinstance(log, int)
    assert 16 <= log <= watermark // 3
