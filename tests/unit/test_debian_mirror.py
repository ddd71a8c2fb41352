"""The controller's own apt says where Debian comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from installer.controller.debian_mirror import DebianMirror, read_debian_mirror
from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    """An apt of its own: no sources, no lists."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "lists/partial").mkdir(parents=True)
    return tmp_path


def read(apt: Path) -> DebianMirror:
    return read_debian_mirror(
        apt_config=[
            f"Dir::Etc::sourcelist={apt / 'sources.list'}",
            f"Dir::Etc::sourceparts={apt / 'sources.list.d'}",
            f"Dir::State::lists={apt / 'lists'}",
        ]
    )


def test_the_archive_is_found_before_apt_was_ever_updated(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "deb http://mirror.example/debian bookworm main contrib\n"
        "deb http://mirror.example/debian bookworm-updates main\n"
        "deb http://mirror.example/security bookworm-security main\n"
    )
    mirror = read(apt)
    assert mirror.archive == "http://mirror.example/debian"
    assert mirror.security == "http://mirror.example/security"


def test_both_formats_of_sources_are_read_and_disabled_ones_are_not(apt: Path) -> None:
    (apt / "sources.list.d/off.sources").write_text(
        "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n"
    )
    (apt / "sources.list.d/on.sources").write_text(
        "Types: deb deb-src\nURIs: http://on.example/debian/\nSuites: trixie trixie-updates\nComponents: main\n"
    )
    mirror = read(apt)
    assert mirror.archive == "http://on.example/debian"
    assert mirror.security == ""


def test_another_vendors_repository_is_not_taken_for_debian(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "deb http://vendor.example/apt bookworm main\n"
        "deb http://mirror.example/debian bookworm main\n"
        "deb http://mirror.example/debian bookworm-updates main\n"
    )
    assert read(apt).archive == "http://mirror.example/debian"


def test_the_first_mirror_of_a_mirror_list_is_used(apt: Path) -> None:
    (apt / "mirrors.list").write_text("# near us\nhttp://near.example/debian/\nhttp://far.example/debian/\n")
    (apt / "sources.list").write_text(f"deb mirror+file:{apt}/mirrors.list trixie main\n")
    assert read(apt).archive == "http://near.example/debian"


def test_the_sources_text_is_for_debian_13_and_names_its_keys(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
    lines = read(apt).sources().splitlines()
    assert [line.split()[-2:] for line in lines] == [["trixie", "main"], ["trixie-updates", "main"]]
    assert all("signed-by=/usr/share/keyrings/" in line for line in lines)


def test_a_controller_without_a_debian_source_is_told_what_to_add(apt: Path) -> None:
    (apt / "sources.list").write_text("deb http://archive.example/ubuntu noble main\n")
    with pytest.raises(ConfigurationError, match="none of this controller's apt sources") as caught:
        read(apt)
    assert "--mirror" in caught.value.hint


def test_sources_apt_cannot_read_are_reported_with_its_words(apt: Path) -> None:
    (apt / "sources.list").write_text("deb nonsense\n")
    with pytest.raises(ConfigurationError, match="apt cannot read its sources"):
        read(apt)


@pytest.mark.parametrize(
    "address", ["mirror.hospital.internal", "http://a b", "http://a\ndeb [trusted=yes] http://b", "[x]", "-o"]
)
def test_a_mirror_that_is_no_address_never_reaches_a_list_of_sources(address: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of a Debian archive"):
        read_debian_mirror(archive=address)
