"""What the command line says to what cannot work; nothing is touched then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.site.conftest import ROOT, Operator


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of hospital-a to spoil, under a name of its own."""
    folder = tmp_path / "spoiled"
    shutil.copytree(ROOT / "inventories" / "hospital-a", folder)
    settings = folder / "group_vars" / "all" / "site.yml"
    settings.write_text(settings.read_text().replace("name: hospital-a", "name: spoiled"))
    return folder


def _refused(folder: Path) -> str:
    ended = Operator(site=str(folder), inventory=str(folder)).verb("plan", "--inventory", str(folder), "--rehearse")
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_unknown_key_is_refused_with_the_nearest_right_one(copy: Path) -> None:
    settings = copy / "group_vars" / "all" / "site.yml"
    settings.write_text(settings.read_text().replace("virtual_ip:", "virtual_pi:"))
    said = _refused(copy)
    assert "virtual_pi" in said
    assert "virtual_ip" in said
    assert "site.yml:" in said


def test_even_number_of_voters_is_refused(copy: Path) -> None:
    hosts = copy / "hosts.yml"
    hosts.write_text("\n".join(line for line in hosts.read_text().splitlines() if "svc3" not in line) + "\n")
    assert "odd" in _refused(copy)


def test_yaml_that_does_not_parse_is_refused_with_its_line(copy: Path) -> None:
    hosts = copy / "hosts.yml"
    hosts.write_text(hosts.read_text() + "  broken: [\n")
    assert "hosts.yml:" in _refused(copy)


def test_address_used_twice_is_refused(copy: Path) -> None:
    hosts = copy / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("10.20.0.22", "10.20.0.21"))
    assert "10.20.0.21" in _refused(copy)


def test_unknown_site_is_refused_with_the_ones_there_are() -> None:
    ended = Operator(site="nowhere", inventory="nowhere").verb("plan", "--inventory", "nowhere")
    assert ended.returncode == 2
    assert "hospital-a" in ended.stderr


def test_bundle_with_one_flipped_byte_is_refused(bundle: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "bundle"
    shutil.copytree(bundle, spoiled)
    victim = sorted(spoiled.rglob("*.deb"))[7]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    ended = Operator(site="hospital-a", inventory="hospital-a").verb("bundle", "verify", str(spoiled))
    assert ended.returncode == 6, ended.stdout + ended.stderr
    assert victim.name in ended.stderr
    whole = Operator(site="hospital-a", inventory="hospital-a").verb("bundle", "verify", str(bundle))
    assert whole.returncode == 0, whole.stderr
