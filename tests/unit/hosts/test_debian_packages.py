"""Packages on a real host: missing, older, newer, half done; with a Debian archive in miniature on its disk."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.bundle_workshop import make_deb, run
from tests.module_on_host import ModuleHost

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD: Final = "1:2.0-3"
NEW: Final = "1:2.0-10"  # sorted as text it would be the older one
OLD_PAYLOAD, NEW_PAYLOAD = "1.0+06a6", "1.0+6130"
# Name to its further fields; every package exists in both versions.
PACKAGES: Final = {"demo-service": {"Depends": "demo-library"}} | {
    name: {} for name in ("demo-library", "demo-other", "sitewright-demo")
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The host, and the module under test on it."""

    host: ModuleHost

    def on(self, command: str) -> str:
        """Run a command as root; its output."""
        return self.host.on(command)

    def module(self, *, check: bool = False, **parameters: Any) -> dict[str, Any]:
        """Call the module; what it returned."""
        return self.host.module("debian_packages", check=check, **parameters)

    def versions(self) -> dict[str, str]:
        """Version of each of our packages that is fully installed."""
        shown = self.on(
            "dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\\n'"
            " 'demo-*' 'sitewright-*' || true"
        )
        fields = [line.split() for line in shown.splitlines()]
        return {name: version for status, name, version in fields if status == "installed"}

    def unpack(self, version: str, *names: str) -> None:
        """What an apt-get that was killed leaves behind."""
        folder = "old" if version in {OLD, OLD_PAYLOAD} else "new"
        self.on(f"dpkg --unpack {' '.join(f'/srv/debs/{folder}/{name}_*_all.deb' for name in names)}")

    def install(self, version: str, *names: str) -> None:
        """Bring packages in without the module."""
        self.unpack(version, *names)
        self.on("dpkg --configure --pending")


@pytest.fixture(scope="module")
def booted(host: ModuleHost, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """One host whose only source of packages is a folder with two versions of each."""
    archive = tmp_path_factory.mktemp("archive")
    for folder, version in (("old", OLD), ("new", NEW)):
        (archive / folder).mkdir()
        for name, fields in PACKAGES.items():
            payload = {"old": OLD_PAYLOAD, "new": NEW_PAYLOAD}[folder]
            ours = name.startswith("sitewright-")
            make_deb(archive / folder, name, Version=payload if ours else version, **fields)
    packages = run("apt-ftparchive", "packages", ".", directory=archive)
    (archive / "Packages").write_text(packages, encoding="utf-8")
    host.bring("/srv/debs", archive, ".")
    host.on("rm -rf /etc/apt/sources.list*; mkdir /etc/apt/sources.list.d")
    return Machine(host=host)


@pytest.fixture
def bare(booted: Machine) -> Iterator[Machine]:
    """A host without our packages and without a source of packages."""
    booted.on("dpkg --force-all --purge demo-service demo-library demo-other sitewright-demo 2>/dev/null; true")
    booted.on("rm -f /usr/sbin/policy-rc.d")
    booted.on("rm -rf /etc/apt/sources.list.d/demo.list /var/lib/apt/lists/*")
    yield booted
    assert booted.on("ls /usr/sbin/policy-rc.d 2>/dev/null || true") == ""


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """The same host with the source."""
    bare.on("echo 'deb [trusted=yes] file:/srv/debs ./' > /etc/apt/sources.list.d/demo.list; apt-get -qq update")
    return bare


def test_on_a_bare_host_check_mode_tells_what_is_missing_without_a_package_list(bare: Machine) -> None:
    said = bare.module(check=True, name=["demo-service", "demo-other"], versions={"demo-service": NEW})
    assert said["changed"] is True
    assert said["missing"] == ["demo-service", "demo-other"]
    assert said["diff"]["before"] == ""
    assert said["diff"]["after"] == f"demo-other of any version\ndemo-service {NEW}\n"
    assert bare.versions() == {}


def test_what_is_missing_comes_in_the_version_asked_for_and_the_second_run_changes_nothing(machine: Machine) -> None:
    wanted = {"demo-service": OLD, "demo-library": OLD}
    said = machine.module(name=["demo-service"], versions=wanted)
    assert (said["changed"], said["missing"]) == (True, ["demo-service"])
    assert said["diff"]["after"] == f"demo-service {OLD}\n"
    assert machine.versions()["demo-service"] == OLD
    # apt took the newest of what nobody asked for by name; it is reported, and stays.
    again = machine.module(name=["demo-service"], versions=wanted)
    assert again["changed"] is False
    assert [change["name"] for change in again["newer"]] == ["demo-library"]


def test_one_missing_package_upgrades_no_other(machine: Machine) -> None:
    machine.install(OLD, "demo-service", "demo-library")
    said = machine.module(name=["demo-service", "demo-other"])
    assert said["missing"] == ["demo-other"]
    assert machine.versions() == {"demo-service": OLD, "demo-library": OLD, "demo-other": NEW}


def test_an_older_package_is_upgraded_with_what_it_depends_on_and_the_change_is_shown(machine: Machine) -> None:
    machine.install(OLD, "demo-service", "demo-library", "demo-other")
    wanted = {"demo-service": NEW, "demo-library": NEW, "demo-unknown": NEW}
    for check in (True, False):
        said = machine.module(check=check, name=["demo-service"], versions=wanted)
        assert said["changed"] is True
        assert said["diff"]["before"] == f"demo-library {OLD}\ndemo-service {OLD}\n"
        assert said["diff"]["after"] == f"demo-library {NEW}\ndemo-service {NEW}\n"
        assert {"name": "demo-service", "installed": OLD, "wanted": NEW} in said["older"]
    assert machine.versions() == {"demo-service": NEW, "demo-library": NEW, "demo-other": OLD}
    assert machine.module(name=["demo-service"], versions=wanted)["changed"] is False


def test_what_somebody_else_upgrades_is_only_reported(machine: Machine) -> None:
    machine.install(OLD, "demo-service", "demo-library", "demo-other")
    parameters: dict[str, Any] = {
        "name": ["demo-service", "demo-other"],
        "versions": {"demo-service": NEW, "demo-other": NEW},
        "upgrade": ["demo-other"],
    }
    said = machine.module(**parameters)
    assert [change["name"] for change in said["older"]] == ["demo-other"]
    assert [change["name"] for change in said["kept"]] == ["demo-service"]
    assert machine.versions() == {"demo-service": OLD, "demo-library": OLD, "demo-other": NEW}
    assert machine.module(**parameters)["changed"] is False


def test_a_payload_that_was_built_anew_is_brought_though_its_digest_sorts_before(machine: Machine) -> None:
    machine.install(NEW_PAYLOAD, "sitewright-demo")
    wanted: dict[str, Any] = {"name": ["sitewright-demo"], "versions": {"sitewright-demo": OLD_PAYLOAD}}
    said = machine.module(**wanted)
    assert said["older"] == [{"name": "sitewright-demo", "installed": NEW_PAYLOAD, "wanted": OLD_PAYLOAD}]
    assert machine.versions() == {"sitewright-demo": OLD_PAYLOAD}
    assert machine.module(**wanted)["changed"] is False


def test_a_newer_package_is_never_downgraded_and_named(machine: Machine) -> None:
    machine.install(NEW, "demo-service", "demo-library")
    said = machine.module(name=["demo-service"], versions={"demo-service": OLD})
    assert said["changed"] is False
    assert said["newer"] == [{"name": "demo-service", "installed": NEW, "wanted": OLD}]
    assert "demo-service 1:2.0-10 is newer than 1:2.0-3, and stays" in json.dumps(said["warnings"])
    assert machine.versions()["demo-service"] == NEW


@pytest.mark.parametrize("versions", [{}, {"demo-service": OLD, "demo-library": OLD}], ids=["any", "exact"])
def test_what_a_killed_run_left_half_configured_is_finished(machine: Machine, versions: dict[str, str]) -> None:
    machine.unpack(OLD, "demo-service", "demo-library")
    checked = machine.module(check=True, name=["demo-service"], versions=versions)
    assert checked["changed"] is True
    assert machine.versions() == {}
    said = machine.module(name=["demo-service"], versions=versions)
    assert (said["changed"], said["repaired"]) == (True, True)
    assert machine.versions() == {"demo-service": OLD, "demo-library": OLD}
    assert machine.module(name=["demo-service"], versions=versions)["changed"] is False


def test_a_version_the_source_does_not_have_is_refused_by_name(machine: Machine) -> None:
    said = machine.module(name=["demo-service"], versions={"demo-service": "1:9.9-9"})
    assert said["failed"] is True
    assert "demo-service" in said["msg"]
    assert "1:9.9-9" in said["msg"]
    assert machine.versions() == {}


def test_packages_start_no_service_and_a_policy_of_the_host_stays(machine: Machine) -> None:
    machine.on("printf '#!/bin/sh\\nexit 0\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d")
    machine.module(name=["demo-other"])
    assert "exit 0" in machine.on("cat /usr/sbin/policy-rc.d; rm /usr/sbin/policy-rc.d")


def test_nothing_to_do_takes_hundredths_of_a_second(machine: Machine) -> None:
    machine.install(OLD, "demo-service", "demo-library")
    shown = machine.on("dpkg-query --show --showformat='${Package} ${Version}\\n'")
    versions = dict(line.split() for line in shown.splitlines())
    command = "dpkg-query --show --showformat='${Package} ${db:Status-Status} ${Version}\\n' -- " + " ".join(versions)
    began = time.monotonic()
    machine.on(command)
    assert time.monotonic() - began < 0.5  # with the login
    assert machine.module(name=["demo-service"], versions=versions)["changed"] is False
