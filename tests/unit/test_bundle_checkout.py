"""A bundle that another release or another checkout built is refused by every verb, before a host is asked."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installer.bundle import inspect
from installer.bundle.checkout import require_fit
from installer.console.terminal import Terminal
from installer.errors import BundleError
from installer.manifests import load_manifests
from installer.operations import rehearsed
from installer.operations.bundles import operation as bundles
from installer.operations.checks import operation as checks
from installer.operations.verified_bundle import verify_bundle
from tests.bundle_workshop import Workshop, make_workshop


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_workshop(tmp_path_factory.mktemp("workshop") / "template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installer.controller.debian_mirror.KEYRING", made.base / "archive-key.asc")
        made.build()
    return made.base


@pytest.fixture
def workshop(template: Path, tmp_path: Path) -> Workshop:
    """A checkout with the bundle it built; the tests change the checkout."""
    shutil.copytree(template, tmp_path / "workshop")
    return Workshop(base=tmp_path / "workshop")


def another_release(workshop: Workshop) -> None:
    project = workshop.paths.root / "pyproject.toml"
    project.write_text(project.read_text().replace("7.1.0", "7.2.0"))


def fit(workshop: Workshop) -> None:
    root, bundle = workshop.paths.root, workshop.paths.bundle
    require_fit(bundle, inspect(bundle), root, load_manifests(root))


def refusal(workshop: Workshop) -> BundleError:
    with pytest.raises(BundleError) as refused:
        fit(workshop)
    assert refused.value.exit_code == 6
    assert str(workshop.paths.bundle) in refused.value.message
    assert "./install bundle build" in refused.value.hint
    return refused.value


def test_the_bundle_of_this_checkout_fits(workshop: Workshop) -> None:
    fit(workshop)


def test_a_bundle_of_another_release_is_refused_with_both(workshop: Workshop) -> None:
    another_release(workshop)
    refused = refusal(workshop)
    assert f"of release 7.1.0, and the checkout {workshop.paths.root} is release 7.2.0" in refused.message
    assert "use the checkout of release 7.1.0" in refused.hint


def test_a_bundle_of_the_first_release_names_it_though_its_manifest_does_not(workshop: Workshop) -> None:
    manifest = inspect(workshop.paths.bundle).model_copy(update={"release": ""})
    with pytest.raises(BundleError, match=r"of release 0\.1\.0"):
        require_fit(workshop.paths.bundle, manifest, workshop.paths.root, {})


def test_the_same_release_with_an_edited_payload_is_refused_with_both_versions(workshop: Workshop) -> None:
    [before] = [entry.version for entry in inspect(workshop.paths.bundle).packages if entry.name == "sitewright-demo"]
    (workshop.payload / "package.json").write_text(json.dumps({"name": "@scope/left", "version": "5.0.0"}))
    refused = refusal(workshop)
    assert "sitewright-demo 1.2.3+" in refused.message
    assert f"(the bundle has {before})" in refused.message
    assert str(workshop.paths.root / "payloads") in refused.hint


def test_a_payload_that_is_new_in_the_checkout_is_named(workshop: Workshop) -> None:
    more = workshop.paths.root / "payloads/more"
    shutil.copytree(workshop.payload, more)
    text = (more / "payload.yml").read_text().replace("sitewright-demo", "sitewright-more")
    (more / "payload.yml").write_text(text)
    message = refusal(workshop).message
    assert "sitewright-more 1.2.3+" in message
    assert "(the bundle has none)" in message
    assert "sitewright-demo" not in message


def test_a_package_that_a_role_asks_for_and_the_bundle_lacks_is_named(workshop: Workshop) -> None:
    manifest = workshop.paths.root / "roles/demo/meta/sitewright.yml"
    manifest.write_text(manifest.read_text().replace("[demo-service", "[demo-service, demo-unwanted"))
    assert "lacks what roles of the checkout" in refusal(workshop).message
    assert ": demo-unwanted" in refusal(workshop).message


def _install_and_plan(context: Any) -> None:
    verify_bundle(context)


def _rehearsal(context: Any) -> None:
    rehearsed.prepare(context.request, context.paths, context.terminal, with_bundle=True)


@pytest.mark.parametrize("verb", [_install_and_plan, checks.preflight_alone, checks.verify_alone, _rehearsal])
def test_every_verb_that_has_a_bundle_refuses_it_first(
    workshop: Workshop, verb: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    another_release(workshop)
    manifests = load_manifests(workshop.paths.root)
    monkeypatch.setattr(rehearsed, "load", lambda _request, _paths: (SimpleNamespace(name="bench"), manifests))
    context = SimpleNamespace(
        bundle=workshop.paths.bundle,
        paths=workshop.paths,
        manifests=manifests,
        request=SimpleNamespace(bundle=None, bundle_key=None),
        terminal=Terminal(output="text", stdout=io.StringIO(), stderr=io.StringIO(), environment={}),
    )  # without hosts: who asked one would fail otherwise than with a refusal
    with pytest.raises(BundleError, match=r"of release 7\.1\.0, and the checkout"):
        verb(context)


def test_inspect_still_reads_a_bundle_of_another_release(workshop: Workshop) -> None:
    another_release(workshop)
    said = io.StringIO()
    terminal = Terminal(output="text", stdout=said, stderr=io.StringIO(), environment={})
    bundles.inspect(workshop.paths, terminal, bundle=None)
    assert "7.1.0" in said.getvalue()
    assert "demo-service" in said.getvalue()
