"""A bundle out of two suites: what was named comes from the further one, nothing else moves. Solved by apt itself."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest

from installer.bundle import Manifest, diff, inspect
from installer.bundle.additions import parse_additions
from installer.console.terminal import Terminal
from installer.errors import BundleError, ConfigurationError
from installer.operations.bundles import operation as bundles
from tests.bundle_workshop import Workshop, make_deb, make_workshop, sign_archive

OLD = "1:2.0-3"
NEW = "1:3.0-1~bpo13+1"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workshop whose archive has backports as well, and a bundle of trixie alone."""
    made = make_workshop(tmp_path_factory.mktemp("workshop") / "template")
    make_deb(made.base / "archive/pool", "demo-runtime", Depends=f"demo-library (= {OLD})")
    pool = made.base / "archive/pool-trixie-backports"
    pool.mkdir()
    make_deb(pool, "demo-service", Version=NEW, Depends="demo-library (>= 1:1.0), demo-old")
    make_deb(pool, "demo-runtime", Version=NEW, Depends="demo-extra (>= 1:3.0)")
    make_deb(pool, "demo-extra", Version=NEW)
    make_deb(pool, "demo-library", Version=NEW)
    make_deb(pool, "demo-unwanted", Version=NEW)
    make_deb(pool, "adduser", Version=OLD)
    make_deb(pool, "sudo", Version=NEW, Depends="demo-nowhere")
    sign_archive(made.base / "archive")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installer.controller.debian_mirror.KEYRING", made.base / "archive-key.asc")
        made.build()
    return made.base


@pytest.fixture
def workshop(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    base = tmp_path / "workshop"
    shutil.copytree(template, base)
    monkeypatch.setattr("installer.controller.debian_mirror.KEYRING", base / "archive-key.asc")
    return Workshop(base=base)


def changes(before: Manifest, after: Manifest) -> dict[str, tuple[str, str]]:
    return {change.name: (change.before, change.after) for change in diff(before, after).changes}


def refusal(workshop: Workshop, *taken: str) -> BundleError:
    before = inspect(workshop.paths.bundle)
    with pytest.raises(BundleError) as refused:
        workshop.build(taken=taken)
    assert inspect(workshop.paths.bundle) == before
    return refused.value


def test_a_named_package_comes_from_the_further_suite_and_nothing_else_moves(workshop: Workshop) -> None:
    first = inspect(workshop.paths.bundle)
    second = workshop.build(taken=("trixie-backports:demo-service",))
    assert changes(first, second) == {"demo-service": (OLD, NEW)}
    assert second.additions == {"trixie-backports": ["demo-service"]}
    assert second.describe()["additions"] == "trixie-backports: demo-service"
    assert sorted(second.suites) == ["trixie", "trixie-backports", "trixie-updates"]
    assert workshop.verify() == second
    assert "of trixie-backports: demo-service, and nothing else" in workshop.lines


def test_the_same_suites_give_the_same_bundle_and_without_them_it_is_built_anew(workshop: Workshop) -> None:
    first = inspect(workshop.paths.bundle)
    second = workshop.build(taken=("trixie-backports:demo-service",))
    assert workshop.build(taken=("trixie-backports:demo-service",)) == second
    assert "up to date" in workshop.lines[-1]
    assert workshop.build() == first
    assert b"additions" not in first.to_bytes()  # a bundle of Debian 13 alone is written as before


@pytest.mark.parametrize(
    ("named", "needed"),
    [
        ("demo-runtime", ["demo-extra"]),  # a library that only the further suite has
        ("demo-library", ["demo-extra", "demo-runtime"]),  # what needs exactly the version that goes, and its own
    ],
)
def test_what_a_named_package_drags_along_is_said_and_the_advice_works(
    workshop: Workshop, named: str, needed: list[str]
) -> None:
    first = inspect(workshop.paths.bundle)
    refused = refusal(workshop, f"trixie-backports:{named}")
    assert refused.message.endswith(f"in a newer version: {', '.join(needed)}")
    advice = re.findall(r"--from (\S+)", refused.hint)
    second = workshop.build(taken=tuple(advice))
    assert changes(first, second).keys() == {named, *needed}


def test_what_cannot_be_installed_is_refused_with_what_apt_lacks(workshop: Workshop) -> None:
    message = refusal(workshop, "trixie-backports:sudo").message
    assert "does not go with the rest of Debian 13: sudo : Depends: demo-nowhere but it is not installable" in message


def test_a_package_the_suite_lacks_is_named(workshop: Workshop) -> None:
    assert "trixie-backports has no package demo-new" in refusal(workshop, "trixie-backports:demo-new").message


def test_a_package_that_is_not_newer_there_is_refused_with_both_versions(workshop: Workshop) -> None:
    refused = refusal(workshop, "trixie-backports:adduser")
    assert f"has adduser {OLD}, which is not newer than {OLD} of trixie" in refused.message
    assert "leave adduser out" in refused.hint


def test_a_package_no_role_needs_is_refused(workshop: Workshop) -> None:
    assert "no role needs demo-unwanted" in refusal(workshop, "trixie-backports:demo-unwanted").message


def test_a_suite_the_mirror_lacks_is_named(workshop: Workshop) -> None:
    refused = refusal(workshop, "trixie-proposed-updates:demo-service")
    assert refused.message == f"the Debian mirror file:{workshop.base}/archive has no suite trixie-proposed-updates"
    assert "--mirror" in refused.hint


def test_inspect_says_what_came_from_where(workshop: Workshop) -> None:
    workshop.build(taken=("trixie-backports:demo-service",))
    said = io.StringIO()
    bundles.inspect(
        workshop.paths, Terminal(output="text", stdout=said, stderr=io.StringIO(), environment={}), bundle=None
    )
    assert re.search(rf"demo-service +{re.escape(NEW)} +Debian trixie-backports\n", said.getvalue())
    assert re.search(rf"demo-library +{re.escape(OLD)} +Debian *\n", said.getvalue())
    assert "also from:   trixie-backports: demo-service\n" in said.getvalue()


def test_options_of_one_suite_add_up_and_their_order_is_no_matter() -> None:
    [first] = parse_additions(["trixie-backports:curl", "trixie-backports:libcurl4t64,curl"])
    assert str(first) == "trixie-backports:curl,libcurl4t64"
    assert parse_additions(["trixie-x:git", "trixie-a:vim"]) == parse_additions(["trixie-a:vim", "trixie-x:git"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("trixie-backports", "does not name a suite and its packages"),
        ("trixie-backports:", "does not name a suite and its packages"),
        (":curl", "is no suite of Debian 13"),
        ("trixie-backports:curl,", "does not name a suite and its packages"),
        ("trixie-backports:curl libcurl4t64", "does not name a suite and its packages"),
        ("trixie-backports:*", "does not name a suite and its packages"),
        ("trixie-backports:-o", "does not name a suite and its packages"),
        ("trixie-backports:curl\nPin: x", "does not name a suite and its packages"),
        ("trixie-backports\ndeb http://other:curl", "does not name a suite and its packages"),
        ("trixie-backports main contrib:curl", "is no suite of Debian 13"),
        ("forky:curl", "is no suite of Debian 13"),
        ("sid:curl", "is no suite of Debian 13"),
        ("bookworm-backports:curl", "is no suite of Debian 13"),
        ("trixie:curl", "which is read anyway"),
        ("trixie-security:openssl", "which is read anyway"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_fetched(given: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_additions([given])
    assert said in refused.value.message
    assert "\n" not in refused.value.message
    assert refused.value.hint


def test_a_package_out_of_two_suites_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes curl from two suites"):
        parse_additions(["trixie-backports:curl", "trixie-proposed-updates:git,curl"])
