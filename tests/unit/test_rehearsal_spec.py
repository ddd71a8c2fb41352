"""What can be rehearsed, and the addresses that follow from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.errors import ConfigurationError
from installer.manifests import load_manifests
from installer.operations.rehearsed import spec_of
from installer.rehearsal import Rehearsal, RehearsalSpec
from installer.site import load_site

ROOT = Path(__file__).resolve().parents[2]


def spec(**changes: object) -> RehearsalSpec:
    fields: dict[str, object] = {
        "site": "ward",
        "network": "10.9.0.0/29",
        "hosts": {"a": "10.9.0.1", "b": "10.9.0.2"},
        "virtual_ip": "10.9.0.3",
        **changes,
    }
    return RehearsalSpec(**fields)  # type: ignore[arg-type]  # the tests give wrong values on purpose


def test_the_controller_takes_the_highest_free_address() -> None:
    assert spec().controller_address == "10.9.0.6"
    assert spec(hosts={"a": "10.9.0.6"}, virtual_ip="10.9.0.5").controller_address == "10.9.0.4"


def test_a_full_network_has_no_room_for_the_controller() -> None:
    hosts = {f"h{number}": f"10.9.0.{number}" for number in range(1, 7)}
    with pytest.raises(ConfigurationError, match="no address left"):
        _ = spec(hosts=hosts, virtual_ip="").controller_address


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"site": "Ward_1"}, "cannot be the name of a rehearsal"),
        ({"hosts": {"a.b": "10.9.0.1"}}, "cannot be the name of a host"),
        ({"hosts": {"a": "10.8.0.1"}}, "is not in the network"),
        ({"hosts": {"a": "10.9.0.3"}}, "the same address"),
    ],
)
def test_what_cannot_be_booted_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        spec(**changes)


def test_the_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    before = Rehearsal(spec=spec(), folder=tmp_path)
    assert Rehearsal.from_json(before.to_json(), tmp_path) == before


def test_an_unknown_host_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no host 'c'") as caught:
        Rehearsal(spec=spec(), folder=Path("/nowhere")).host_folder("c")
    assert caught.value.hint == "its hosts are a, b"


def test_a_host_that_is_said_to_be_absent_is_not_booted() -> None:
    site = load_site(ROOT / "inventories" / "hospital-a", manifests=load_manifests(ROOT), rehearsal=True)
    assert spec_of(site).hosts.keys() - spec_of(site, {"db1"}).hosts.keys() == {"db1"}
