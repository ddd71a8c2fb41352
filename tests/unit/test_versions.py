"""Debian's order of versions, and a host against a bundle."""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path

import pytest

from installer.checks.verify.packages import judge
from installer.manifests.versions import Comparison, compare, installed_packages, is_older
from installer.report import Verdict

CARRIED = {
    "base": {"libc6": "2.41-12", "curl": "8.14.1-2"},
    "redis": {"redis-server": "5:8.0.5-1", "libjemalloc2": "5.3.0-3"},
    "rabbitmq": {"libjemalloc2": "5.3.0-3"},
}
AS_CARRIED = {name: version for packages in CARRIED.values() for name, version in packages.items()}


def compared(**other: str) -> Comparison:
    installed = {**AS_CARRIED, "of-the-site": "1", **{name.replace("_", "-"): value for name, value in other.items()}}
    return compare(installed, asked={"curl", "redis-server"}, carried=CARRIED)


def dpkg_says_older(left: str, right: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", left, "lt", right], check=False).returncode == 0


def test_versions_are_sorted_as_dpkg_sorts_them() -> None:
    known = [
        "1.0",
        "1.0-0",
        "1.0~rc1-1",
        "1.0-1",
        "1.0-1+deb13u1",
        "1.0-1+deb13u1~bpo1",
        "1:0.1",
        "1.0+dfsg-1",
        "1.0a-1",
    ]
    known += ["1.00-1", "1.10", "1.9", "2", "0", "17.6-0+deb13u1", "17.10-0+deb13u1", "5:8.0.5-1", "1.0-1-2", "1.0.~"]
    source = random.Random(7)  # noqa: S311 - the same examples in every run, nothing secret
    strange = ["".join(source.choices("01a.~+-Z", k=source.randint(1, 5))) for _ in range(60)]
    versions = [*known, *(f"0{each}-0" for each in strange)]
    pairs = [*itertools.permutations(known, 2), *(source.sample(versions, 2) for _ in range(300))]
    wrong = [pair for pair in pairs if is_older(*pair) != dpkg_says_older(*pair)]
    assert wrong == []


def test_a_host_as_the_bundle_carries_it_differs_in_nothing() -> None:
    found = compared()
    assert (found.missing, found.lacking, found.older, found.newer, found.ahead) == ((), (), (), (), ())
    assert found.compared == 4
    assert not found.is_other


def test_older_and_newer_are_told_apart_and_belong_to_the_services_that_need_them() -> None:
    found = compared(redis_server="5:8.0.2-1", libjemalloc2="5.3.0-10")
    assert [str(change) for change in found.older] == ["redis-server 5:8.0.2-1 -> 5:8.0.5-1"]
    assert found.older[0].roles == ("redis",)
    assert [str(change) for change in found.newer] == ["libjemalloc2 5.3.0-10 -> 5.3.0-3"]
    assert found.newer[0].roles == ("rabbitmq", "redis")
    assert found.is_other


def test_a_host_may_be_ahead_with_what_debian_brings_but_not_with_a_service() -> None:
    found = compared(libc6="2.41-20", redis_server="5:8.1-1")
    assert [change.package for change in found.ahead] == ["libc6"]
    assert [change.package for change in found.newer] == ["redis-server"]


def test_a_payload_that_was_built_anew_is_what_the_bundle_brings_whatever_its_digest() -> None:
    for installed, kind in (("1.0+6130", "older"), ("0.9+0000", "older"), ("1.1+0000", "newer")):
        carried = {"worker": {"sitewright-worker": "1.0+06a6"}}
        found = compare({"sitewright-worker": installed}, asked=["sitewright-worker"], carried=carried)
        assert [change.installed for change in getattr(found, kind)] == [installed]


def test_missing_and_not_in_the_bundle_are_two_things() -> None:
    found = compare({"curl": "8.14.1-2", "etcd": "3"}, asked={"curl", "redis-server", "etcd"}, carried=CARRIED)
    assert found.missing == ("redis-server",)
    assert found.lacking == ("etcd",)


def test_only_what_is_fully_installed_counts() -> None:
    lines = ["installed curl 8.14.1-2", "half-configured redis-server 5:8.0.5-1", "config-files nginx 1.26.3-3"]
    assert installed_packages(lines) == {"curl": "8.14.1-2"}


@pytest.mark.parametrize(
    ("other", "measured", "fix"),
    [
        (
            {"redis_server": "5:8.0.2-1"},
            "older than the bundle: redis-server 5:8.0.2-1 instead of 5:8.0.5-1",
            "an upgrade",
        ),
        (
            {"redis_server": "5:8.1-1"},
            "newer than the bundle: redis-server 5:8.1-1 instead",
            "somebody installed these",
        ),
    ],
)
def test_verify_names_each_package_and_says_what_helps(other: dict[str, str], measured: str, fix: str) -> None:
    result = judge("one", compared(**other))
    assert result.verdict is Verdict.FAILED
    assert result.measured.startswith("3 of 4 as in the bundle; ")
    assert measured in result.measured
    assert fix in result.fix
    assert "run the installation" not in result.fix


def test_verify_sends_only_what_is_missing_to_the_installation() -> None:
    missing = compare({}, asked={"curl"}, carried=CARRIED)
    assert judge("one", missing).fix == "run the installation again: it brings what is missing"
    ahead = judge("one", compared(libc6="2.41-20"))
    assert (ahead.verdict, ahead.note) == (Verdict.PASSED, "ahead of the bundle: libc6 2.41-20 instead of 2.41-12")


def test_a_bundle_without_packages_proves_nothing() -> None:
    assert judge("one", compare({"curl": "1"}, asked=(), carried={})).verdict is Verdict.FAILED


def test_what_verify_points_to_is_there() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "bundle.md"
    assert "## Another bundle" in page.read_text(encoding="utf-8")
