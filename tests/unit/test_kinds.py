"""What may begin while something else is not finished."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from installer.errors import ConfigurationError
from installer.stages.journal import Circumstances, Input, Operation
from installer.stages.kinds import KINDS, Kind, Wanted, decide, notice

INSTALL = KINDS["install"]
UPGRADE = Kind(name="upgrade")
ROLLBACK = Kind(name="rollback", replaces=frozenset({"upgrade"}))
ROTATION = KINDS["certificate-rotation"]
ALL = {kind.name: kind for kind in (INSTALL, UPGRADE, ROLLBACK)}
BUNDLE = {"bundle": Input(digest="b1", about="/srv/bundle")}


def unfinished(kind: str) -> Operation:
    return Operation(
        identifier="x",
        kind=kind,
        inputs=BUNDLE,
        planned=("base", "etcd"),
        begun_with=Circumstances(command=f"./install {kind} --inventory clinic", release="0.3.0"),
        started=datetime(2026, 11, 24, 22, 15, tzinfo=UTC),
    )


def wanted(kind: Kind, *, digest: str = "b1", start_over: bool = False) -> Wanted:
    inputs = {"bundle": Input(digest=digest, about="/mnt/bundle")}
    return Wanted(kind=kind, inputs=inputs, command="./install --inventory clinic", start_over=start_over)


def test_with_nothing_unfinished_everything_begins() -> None:
    assert decide(None, wanted(INSTALL)).resume is None


def test_the_same_kind_resumes() -> None:
    operation = unfinished("install")
    assert decide(operation, wanted(INSTALL)).resume is operation


def test_the_same_kind_with_other_inputs_is_refused_until_it_starts_over() -> None:
    operation = unfinished("install")
    with pytest.raises(ConfigurationError) as refused:
        decide(operation, wanted(INSTALL, digest="b2"))
    assert refused.value.message.endswith("since then changed: bundle (/mnt/bundle)")
    assert refused.value.hint.endswith("./install --inventory clinic --start-over")
    decision = decide(operation, wanted(INSTALL, digest="b2", start_over=True))
    assert decision.resume is None
    assert decision.abandon is operation


@pytest.mark.parametrize("start_over", [False, True])
def test_an_unfinished_upgrade_blocks_an_install(start_over: bool) -> None:
    with pytest.raises(ConfigurationError) as refused:
        decide(unfinished("upgrade"), wanted(INSTALL, start_over=start_over), kinds=ALL)
    assert refused.value.message == (
        "the upgrade begun 2026-11-24 22:15 UTC by release 0.3.0 is not finished; install has to wait for it"
    )
    assert refused.value.hint == "finish it with: ./install upgrade --inventory clinic"


def test_a_rollback_puts_an_end_to_an_upgrade_and_to_nothing_else() -> None:
    upgrade = unfinished("upgrade")
    assert decide(upgrade, wanted(ROLLBACK), kinds=ALL).abandon is upgrade
    with pytest.raises(ConfigurationError, match="rollback has to wait"):
        decide(unfinished("install"), wanted(ROLLBACK), kinds=ALL)


def test_a_kind_of_a_newer_release_is_left_to_that_release() -> None:
    with pytest.raises(ConfigurationError) as refused:
        decide(unfinished("migrate"), wanted(INSTALL))
    assert refused.value.hint == (
        "this release knows no migrate; finish it with release 0.3.0: ./install migrate --inventory clinic"
    )


def test_who_only_looks_is_told_in_one_line() -> None:
    assert notice(None) == ""
    assert notice(unfinished("upgrade")) == (
        "the upgrade begun 2026-11-24 22:15 UTC by release 0.3.0 is not finished (0 of 2 stages done);"
        " resume it with: ./install upgrade --inventory clinic"
    )


def test_what_may_see_nothing_changed_wants_a_verified_site() -> None:
    with pytest.raises(ConfigurationError) as refused:
        decide(None, wanted(ROTATION))
    assert "installed and verified from here, which this one was not" in refused.value.message
    assert refused.value.hint.startswith("install it first: ./install --inventory ")
    assert decide(None, wanted(ROTATION), verified=unfinished("install")).resume is None


def test_what_changed_since_the_verification_is_named_unless_the_kind_brings_it_to_the_site() -> None:
    verified = unfinished("install")
    with pytest.raises(ConfigurationError) as refused:
        decide(None, wanted(ROTATION, digest="b2"), verified=verified)
    assert refused.value.message.startswith("since the install begun 2026-11-24 22:15 UTC by release 0.3.0 changed")
    assert refused.value.message.endswith(": bundle (/mnt/bundle)")
    brings = Kind(name="brings", changes=frozenset({"bundle"}))
    assert decide(None, wanted(brings, digest="b2"), verified=verified).abandon is None


def test_an_unfinished_rotation_resumes_and_starts_over_only_on_the_site_it_began_with() -> None:
    rotation, verified = unfinished("certificate-rotation"), unfinished("install")
    assert decide(rotation, wanted(ROTATION), verified=verified).resume is rotation
    assert decide(rotation, wanted(ROTATION, start_over=True), verified=verified).abandon is rotation
    with pytest.raises(ConfigurationError, match="since the install begun"):
        decide(rotation, wanted(ROTATION, digest="b2", start_over=True), verified=verified)
    with pytest.raises(ConfigurationError, match="install has to wait for it"):
        decide(rotation, wanted(INSTALL))
