"""Which services a changed file restarts, where, in which order, and what is noticed of it."""

from __future__ import annotations

import pytest

from installer.operations.plan.effects import effects_of
from installer.operations.plan.interruptions import UnitUse, conclude
from installer.operations.plan.model import Interruption

HOSTS = ("gw1", "gw2", "db1", "db2", "svc1", "svc2", "svc3")
CONFIG = "/etc/redis/sitewright.conf"


def use(host: str, unit: str, *watch: str, on_stale: str = "report", active: bool = True, **more: object) -> UnitUse:
    return UnitUse(host=host, unit=unit, active=active, watch=watch, on_stale=on_stale, **more)  # type: ignore[arg-type] # the tests' own keywords


def redis(*hosts: str) -> list[UnitUse]:
    return [use(host, "redis-server.service", CONFIG) for host in hosts]


def changed(path: str, *hosts: str) -> dict[str, dict[str, str]]:
    return {host: {path: path} for host in hosts}


def test_a_role_that_rolls_its_own_restart_treats_the_master_last() -> None:
    svc = ("svc1", "svc2", "svc3")
    (found,) = conclude(redis(*svc), changed(CONFIG, *svc), hosts=HOSTS, last={"redis-server.service": "svc1"})
    assert (found.service, found.what, found.hosts) == ("Redis", "restart", ("svc2", "svc3", "svc1"))
    assert found.why == (CONFIG,)
    assert found.title == (
        "Redis restarts on svc2, then svc3, then svc1: up to 6 s without writes when the master moves"
    )


def test_a_file_no_unit_reads_interrupts_nothing() -> None:
    svc = ("svc1", "svc2", "svc3")
    assert conclude(redis(*svc), changed("/etc/redis/sitewright.acl", *svc), hosts=HOSTS, last={}) == ()


def test_only_the_hosts_whose_file_changes_are_treated() -> None:
    (found,) = conclude(redis("svc1", "svc2", "svc3"), changed(CONFIG, "svc2"), hosts=HOSTS, last={})
    assert found.hosts == ("svc2",)


def test_a_reload_is_told_and_noticed_by_nobody() -> None:
    path = "/etc/sitewright/gateway/nginx.conf"
    uses = [
        use(host, unit, *watch, on_stale=on_stale)
        for watch, on_stale in (((), "restart"), ((path,), "reload"))
        for host in ("gw1", "gw2")
        for unit in ("gateway.service",)
    ]
    (found,) = conclude(uses, changed(path, "gw1", "gw2"), hosts=HOSTS, last={"gateway.service": "gw1"})
    assert found.title == "NGINX reloads on gw1, gw2: no connection is closed"
    assert (found.what, found.interrupts, found.effect) == ("reload", False, "no connection is closed")


def test_a_restart_is_stronger_than_a_reload_of_the_same_unit() -> None:
    unit = "patroni.service"
    uses = [use("db1", unit, "/a"), use("db1", unit, "/b", on_stale="reload"), use("db2", unit, "/a")]
    (found,) = conclude(uses, {"db1": {"/a": "/a", "/b": "/b"}}, hosts=HOSTS, last={})
    assert (found.what, found.why) == ("restart", ("/a",))


@pytest.mark.parametrize(
    "path",
    [
        "/etc/systemd/system/sitewright-worker@.service",
        "/etc/systemd/system/sitewright-worker@1.service.d/own.conf",
        "/etc/systemd/system/sitewright-worker@.service.d/new.conf",
    ],
)
def test_a_units_own_files_are_watched_even_before_they_exist(path: str) -> None:
    uses = [use("gw1", f"sitewright-worker@{number}.service", on_stale="restart") for number in (1, 2)]
    found = conclude(uses, changed(path, "gw1"), hosts=HOSTS, last={})
    assert [(one.service, one.hosts) for one in found] == [("workers", ("gw1",))]


def test_instances_of_a_template_are_one_service_also_where_hosts_have_different_ones() -> None:
    path = "/etc/sitewright/worker/config.json"
    instances = (("gw1", 1), ("gw1", 2), ("gw2", 1), ("gw1", 3))
    uses = [use(host, f"sitewright-worker@{number}.service", path, on_stale="restart") for host, number in instances]
    uses.append(use("gw2", "sitewright-worker@2.service", on_stale="restart", action="stop"))
    found = conclude(uses, changed(path, "gw1", "gw2"), hosts=HOSTS, last={})
    assert [(one.service, one.what, one.hosts) for one in found] == [
        ("workers", "restart", ("gw1", "gw2")),
        ("workers", "stop", ("gw2",)),
    ]


def test_what_does_not_run_is_started_and_interrupts_nobody() -> None:
    uses = [use("svc1", "redis-server.service", CONFIG, active=False, action="start")]
    assert conclude(uses, changed(CONFIG, "svc1"), hosts=HOSTS, last={}) == ()


def test_the_only_host_of_a_service_is_missed() -> None:
    (found,) = conclude(redis("svc1"), changed(CONFIG, "svc1"), hosts=HOSTS, last={})
    assert found.effect == "about 3 s without the cache"


def test_a_restart_owed_by_an_interrupted_run_is_told() -> None:
    uses = [use("svc1", "redis-server.service", CONFIG, stale=(CONFIG,)), *redis("svc2", "svc3")]
    (found,) = conclude(uses, {}, hosts=HOSTS, last={})
    assert (found.hosts, found.why) == (("svc1",), (f"{CONFIG}, changed before",))


def test_a_unit_that_is_to_go_is_stopped_if_it_runs() -> None:
    uses = [use("gw1", "sitewright-worker@3.service", on_stale="restart", action="stop")]
    (found,) = conclude(uses, {}, hosts=HOSTS, last={})
    assert (found.what, found.effect) == ("stop", "it does not come back")


def test_what_a_module_declares_comes_first_and_is_kept_as_it_is() -> None:
    said = Interruption(
        service="PostgreSQL", what="restart", hosts=("db2", "db1"), why=("x 1 -> 2",), effect="e", seconds=5
    )
    found = conclude(redis("svc1"), changed(CONFIG, "svc1"), hosts=HOSTS, last={}, declared=[said])
    assert found[0] == said
    assert len(found) == 2


def test_an_unknown_unit_is_never_called_harmless() -> None:
    (found,) = conclude([use("gw1", "strange.service", "/x")], changed("/x", "gw1"), hosts=HOSTS, last={})
    assert found.interrupts
    assert found.service == "strange.service"


def test_every_unit_is_known_once() -> None:
    names = ["patroni.service", "sitewright-worker@4.service", "etcd.service", "gateway.service"]
    assert all(effects_of(name).called != name for name in names)
