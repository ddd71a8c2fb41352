"""A bundle with packages out of backports, for real: an upgrade on a site of Debian 13, and a site installed from it.

What backports has moves on, so this is no test for CI; it takes curl, and whatever apt says goes with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import Operator, alone_with

pytestmark = pytest.mark.long
NAMED = "trixie-backports:curl"


@pytest.fixture(scope="module")
def operator() -> Iterator[Operator]:
    with alone_with("clinic") as operator:
        yield operator


@pytest.fixture(scope="module")
def newer(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, by the advice that the first try gets."""
    folder = tmp_path_factory.mktemp("bundles") / "newer"
    argv = ("bundle", "build", "--out", str(folder), "--from")
    built = operator.verb(*argv, NAMED)
    if built.returncode != 0:
        advice = re.search(r"--from (trixie-backports:\S+)", built.stderr.partition("to do:")[2])
        if advice is None:
            pytest.skip(f"backports has no newer curl today: {built.stderr}")
        assert "needs more of its suite in a newer version" in built.stderr
        built = operator.verb(*argv, advice[1])
    assert built.returncode == 0, built.stderr
    return folder


def moved(operator: Operator, bundle: Path, newer: Path, *, new: bool = False) -> list[dict[str, Any]]:
    """The packages that are newer in one bundle, or new there."""
    compared = operator.verb("bundle", "diff", str(bundle), str(newer), "--output", "json")
    changes: list[dict[str, Any]] = json.loads(compared.stdout)["changes"]
    return [change for change in changes if change["after"] and bool(change["before"]) is not new]


def test_a_site_of_debian_13_alone_is_told_what_would_be_upgraded(
    operator: Operator, bundle: Path, newer: Path
) -> None:
    code, _, said = operator.install()
    assert code == 0, said
    changes = moved(operator, bundle, newer)
    assert "curl" in {change["name"] for change in changes}
    options = ("--inventory", operator.inventory, "--rehearse", "--bundle", str(newer))

    planned = operator.verb("plan", *options)
    assert planned.returncode == 0, planned.stderr
    for change in changes:
        assert f"{change['name']} {change['before']} -> {change['after']}" in planned.stdout
    needed = moved(operator, bundle, newer, new=True)
    for change in needed:
        assert f"{change['name']} -> {change['after']} (new, for " in planned.stdout
    assert "which install refuses to make" in planned.stdout

    verified = operator.verb("verify", *options)
    assert verified.returncode == 5, verified.stderr
    curl = next(change for change in changes if change["name"] == "curl")
    assert f"curl {curl['before']} instead of {curl['after']}" in verified.stdout

    code, result, said = operator.install("--bundle", str(newer))
    assert code == 2, said
    upgraded = {row["package"]: (row["installed"], row["bundle"]) for row in result["other_bundle"]["upgraded"]}
    assert upgraded == {change["name"]: (change["before"], change["after"]) for change in changes}
    assert {row["package"] for row in result["other_bundle"]["new"]} == {change["name"] for change in needed}
    assert operator.on("clinic1", "dpkg-query", "-W", "-f${Version}", "curl") == curl["before"]


def test_a_fresh_site_is_installed_from_it_and_a_second_run_changes_nothing(
    operator: Operator, bundle: Path, newer: Path
) -> None:
    operator.down()
    code, _, said = operator.install("--bundle", str(newer))
    assert code == 0, said
    code, result, said = operator.install("--bundle", str(newer))
    assert code == 0, said
    assert result["changed"] == 0, [stage for stage in result["stages"] if stage["changed"]]
    for change in moved(operator, bundle, newer):
        assert operator.on("clinic1", "dpkg-query", "-W", "-f${Version}", change["name"]) == change["after"]
