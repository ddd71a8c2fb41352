"""An install with another bundle than the site stands on: explained and refused, or told apart from a repair."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installer.bundle import inspect
from installer.bundle.closure import carried_by_role, carried_packages, newly_needed
from installer.console.terminal import Terminal
from installer.errors import BundleError, ConfigurationError
from installer.manifests import load_manifests
from installer.operations.bundle_change import require_same_bundle
from installer.operations.plan.brought import brought_along
from installer.operations.plan.collect import Observed
from installer.operations.summary import Summary
from installer.report import Report
from installer.stages.journal import Circumstances, Input, Journal
from tests.bundle_workshop import Workshop, make_newer_bundle, make_workshop

SITE: dict[str, Any] = {"name": "bench", "hosts": {"one": {"groups": []}, "two": {"groups": []}}}
OLD = "1:2.0-3"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop with a bundle, and beside it one in which demo-library is newer."""
    made = make_workshop(tmp_path_factory.mktemp("workshop") / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installer.controller.debian_mirror.KEYRING", made.base / "archive-key.asc")
        made.build()
    make_newer_bundle(made.paths.bundle, made.base / "newer", package="demo-library", paths=made.paths)
    make_newer_bundle(made.paths.bundle, made.base / "service", package="demo-service", paths=made.paths)
    # Another role than base, so that what it needs is its own.
    manifest = made.paths.root / "roles/demo/meta/sitewright.yml"
    manifest.write_text(manifest.read_text().replace("group: all", "group: redis"), encoding="utf-8")
    (made.paths.root / "roles/base/meta").mkdir(parents=True)
    (made.paths.root / "roles/base/meta/sitewright.yml").write_text(
        "group: all\npackages: [adduser]\n", encoding="utf-8"
    )
    return made


class Site:
    """A site of two hosts: what is installed there, and what an install with a bundle says to it."""

    def __init__(self, workshop: Workshop, state: Path) -> None:
        """Two hosts with all packages of the workshop's bundle."""
        self.workshop = workshop
        self.state = state
        self.bundles = {
            "old": workshop.paths.bundle,
            "newer": workshop.base / "newer",
            "service": workshop.base / "service",
        }
        entries = inspect(workshop.paths.bundle).packages
        self.installed = {host: {each.name: each.version for each in entries} for host in SITE["hosts"]}
        self.marker = "bench"
        self.release = ""
        self.told = io.StringIO()

    def done(self, bundle: str, *, finished: bool = True) -> None:
        """Put an install on record."""
        described = inspect(self.bundles[bundle]).describe()
        journal = Journal.of(self.state)
        operation = journal.begin(
            "install",
            {"bundle": Input(digest=described["id"], about=str(self.bundles[bundle]))},
            stages=["base"],
            begun_with=Circumstances(command="./install", bundle=described),
        )
        if finished:
            journal.end(operation, "done", seconds=1, changed=1, failed=0)

    def stands_on(self, bundle: str) -> None:
        """Let the hosts say which bundle was installed there."""
        self.release = f"site=bench\nrelease=1\nbundle={inspect(self.bundles[bundle]).identity}\n"

    def install(self, bundle: str) -> None:
        """What happens behind the preflight."""
        manifests = load_manifests(self.workshop.paths.root)
        folder = self.bundles[bundle]
        site = {**SITE, "hosts": {host: {"groups": ["redis"]} for host in SITE["hosts"]}}
        self.told = io.StringIO()
        context = SimpleNamespace(
            bundle=folder,
            carried=carried_packages(folder, inspect(folder), site, manifests),
            manifests=manifests,
            site=SimpleNamespace(name="bench", resolved=lambda: site),
            state=self.state,
            terminal=Terminal(output="text", stdout=self.told, stderr=self.told, environment={}),
        )
        answers = {
            host: {
                "marker": self.marker,
                "release": self.release,
                "packages": "\n".join(f"installed {name} {version}" for name, version in packages.items()),
            }
            for host, packages in self.installed.items()
        }
        report = Report(
            title="Preflight", site="bench", started=datetime.now(UTC), seconds=0.1, results=(), answers=answers
        )
        self.summary = Summary(operation="install", site="bench", started=0)
        require_same_bundle(context, report, self.summary)  # type: ignore[arg-type] # what it reads of a context


@pytest.fixture
def site(workshop: Workshop, tmp_path: Path) -> Site:
    return Site(workshop, tmp_path)


def test_a_newer_bundle_on_an_installed_site_is_refused_as_an_upgrade_with_each_package(site: Site) -> None:
    site.done("old")
    with pytest.raises(ConfigurationError) as refused:
        site.install("newer")
    assert refused.value.exit_code == 2
    assert "an upgrade of 1 package(s) on 2 host(s), which install does not make" in refused.value.message
    assert f"--bundle {site.bundles['old']} (docs/bundle.md" in refused.value.hint
    [row] = [line.split() for line in site.told.getvalue().splitlines() if "demo-library" in line]
    assert row == ["demo", "demo-library", OLD, f"{OLD}+deb13u9", "one", "two"]


def test_the_hosts_word_decides_when_the_journal_is_lost_or_says_otherwise(site: Site) -> None:
    site.stands_on("old")
    with pytest.raises(ConfigurationError):
        site.install("newer")
    site.done("newer")
    with pytest.raises(ConfigurationError):
        site.install("newer")


def test_without_journal_and_release_file_other_packages_are_enough(site: Site) -> None:
    with pytest.raises(ConfigurationError, match="stands on another bundle"):
        site.install("newer")


def test_an_older_bundle_is_refused_as_a_downgrade(site: Site) -> None:
    site.stands_on("newer")
    for packages in site.installed.values():
        packages["demo-library"] = f"{OLD}+deb13u9"
    with pytest.raises(ConfigurationError, match=r"a downgrade of 1 package\(s\)"):
        site.install("old")


def test_the_sites_own_bundle_repairs_what_drifted_and_names_what_is_newer(site: Site) -> None:
    site.done("old")
    site.stands_on("old")
    site.installed["one"]["demo-library"] = "1:1.0-1"
    site.installed["two"]["demo-service"] = "1:3.0-1"
    site.install("old")
    assert f"demo-service 1:3.0-1 on two is newer than the bundle's {OLD}, and stays" in site.told.getvalue()


def test_another_bundle_with_the_same_packages_is_no_upgrade(site: Site) -> None:
    site.done("newer")
    site.install("old")


def test_a_first_install_that_is_not_finished_takes_another_bundle(site: Site) -> None:
    site.done("old", finished=False)
    site.install("newer")


def test_a_bare_host_is_brought_up_but_never_down(site: Site) -> None:
    site.marker = ""
    site.install("newer")
    site.installed["two"]["demo-service"] = "1:3.0-1"
    site.installed["one"]["base-files"] = "1:3.0-1"  # Debian's own may be ahead
    with pytest.raises(ConfigurationError, match="two came with packages that are newer"):
        site.install("newer")


def test_a_service_is_charged_with_what_it_needs_and_base_with_what_debian_brings(workshop: Workshop) -> None:
    bundle = workshop.paths.bundle
    roles = {"base": ["adduser"], "demo": ["demo-service"], "alone": ["demo-runtime", "adduser"]}
    found = carried_by_role(bundle, inspect(bundle), roles, everywhere=["base"])
    assert found["demo"] == {"demo-library": OLD, "demo-old": OLD, "demo-service": OLD}
    assert found["alone"] == {"adduser": OLD, "demo-runtime": OLD}  # what a role names, it brings in its version
    assert {"adduser", "base-files", "sudo"} <= found["base"].keys()
    assert not found["base"].keys() & found["demo"].keys()


def test_what_a_newer_package_needs_and_a_host_lacks_is_shown_as_new(site: Site) -> None:
    site.done("old")
    del site.installed["two"]["demo-old"]
    with pytest.raises(ConfigurationError, match=r"an upgrade of 1 package\(s\) on 2 host\(s\)"):
        site.install("service")
    [row] = [line.split() for line in site.told.getvalue().splitlines() if "demo-old" in line]
    assert row == ["demo", "demo-old", "-", OLD, "two"]
    [new] = site.summary.more["other_bundle"]["new"]
    assert (new["package"], new["hosts"]) == ("demo-old", ["two"])


def plan_of(site: Site, tmp_path: Path) -> list[Observed]:
    """What a plan adds to what the task said that would upgrade demo-service on host two."""
    listed = tmp_path / "two"
    listed.write_text("".join(f"installed {name} {version}\n" for name, version in site.installed["two"].items()))
    # What is asked comes behind and is not looked at.
    context = SimpleNamespace(bundle=site.bundles["service"], ssh={"two": ("sh", "-c", f"cat {listed}")})
    upgrade = {"missing": [], "older": [{"name": "demo-service", "installed": OLD, "wanted": "1:3"}]}
    said = [
        Observed(stage="base", host="one", task="t", changed=False, details=({"missing": [], "older": []},)),
        Observed(stage="demo", host="two", task="demo : install | Ensure", changed=True, details=(upgrade,)),
    ]
    return brought_along(context, said)  # type: ignore[arg-type] # what it reads of a context


def test_a_plan_says_it_in_the_stage_of_who_needs_it(site: Site, tmp_path: Path) -> None:
    assert plan_of(site, tmp_path) == []
    del site.installed["two"]["demo-old"]
    [row] = plan_of(site, tmp_path)
    assert (row.stage, row.host, row.changed) == ("demo", "two", True)
    [change] = row.details[0]["plan"]["changes"]
    assert change == {"kind": "package", "name": "demo-old", "new": OLD, "note": "new, for demo-service"}


def test_a_need_is_met_by_any_alternative_and_by_who_provides_it(tmp_path: Path) -> None:
    index = tmp_path / "apt/dists/trixie/main/binary-amd64/Packages"
    index.parent.mkdir(parents=True)
    stanzas = [
        "Package: a\nVersion: 2\nDepends: b (>= 2), mail-agent, x | y",
        "Package: b\nVersion: 2\nPre-Depends: c",
        "Package: c\nVersion: 3",
        "Package: post\nVersion: 1\nProvides: mail-agent",
        "Package: x\nVersion: 1",
        "Package: y\nVersion: 1",
        "Package: z\nVersion: 1\nDepends: c, nowhere",
    ]
    index.write_text("\n\n".join(stanzas) + "\n\n")
    manifest: Any = SimpleNamespace(architecture="amd64")

    def needed(*installed: str) -> dict[str, dict[str, str]]:
        return newly_needed(tmp_path, manifest, installed=installed, changing=["a", "z"])

    assert needed("a", "z") == {"a": {"b": "2", "post": "1", "x": "1", "c": "3"}}
    assert needed("a", "z", "b", "c", "post", "y") == {}
    assert needed("a", "z", "b", "post", "x") == {"z": {"c": "3"}}


def test_a_bundle_without_an_index_is_refused_by_name(workshop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Packages cannot be read"):
        carried_by_role(tmp_path, inspect(workshop.paths.bundle), {}, everywhere=[])


def test_what_differs_is_in_the_json_as_well(site: Site) -> None:
    site.done("old")
    with pytest.raises(ConfigurationError):
        site.install("newer")
    [row] = json.loads(json.dumps(site.summary.more))["other_bundle"]["upgraded"]
    assert (row["services"], row["package"], row["hosts"]) == (["demo"], "demo-library", ["one", "two"])
