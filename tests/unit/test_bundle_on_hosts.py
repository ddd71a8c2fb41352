"""What the hosts do with a bundle's repository before they show it, and with sources they had before."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from plugins.modules import apt_sole_source, repository_copy


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """An unpacked repository of two files and its list."""
    folder = tmp_path / "root/new.partial"
    (folder / "pool").mkdir(parents=True)
    for name in ("pool/one.deb", "pool/two.deb"):
        (folder / name).write_text(name, encoding="utf-8")
    lines = [f"{repository_copy.sha256(folder / name)}  {name}\n" for name in ("pool/one.deb", "pool/two.deb")]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    return folder


def fault(copy: Path) -> str:
    return repository_copy.find_fault(copy, repository_copy.sha256(copy / "SHA256SUMS"))


def test_a_copy_as_it_was_sent_has_no_fault(copy: Path) -> None:
    assert fault(copy) == ""


def test_a_changed_missing_or_added_file_is_named(copy: Path) -> None:
    (copy / "pool/one.deb").write_text("other", encoding="utf-8")
    assert fault(copy).startswith("pool/one.deb is not what")
    (copy / "pool/one.deb").unlink()
    assert fault(copy) == "pool/one.deb is missing"
    (copy / "pool/one.deb").write_text("pool/one.deb", encoding="utf-8")
    (copy / "pool/three.deb").write_text("", encoding="utf-8")
    assert fault(copy) == "pool/three.deb is not in SHA256SUMS"


def test_another_list_of_checksums_is_a_fault_even_when_it_fits_the_files(copy: Path) -> None:
    assert (
        repository_copy.find_fault(copy, hashlib.sha256(b"the bundle's").hexdigest())
        == "SHA256SUMS is not the bundle's"
    )
    (copy / "SHA256SUMS").unlink()
    assert repository_copy.find_fault(copy, "") == "SHA256SUMS is not the bundle's"


def test_what_an_interrupted_run_unpacked_is_not_mixed_in(copy: Path, tmp_path: Path) -> None:
    archive = tmp_path / "new.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(copy, arcname=".")
    (copy / "left-over").write_text("", encoding="utf-8")
    repository_copy.unpack(archive, copy)
    assert fault(copy) == ""


def test_an_archive_cannot_write_outside_its_folder(copy: Path, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(copy / "SHA256SUMS", arcname="../../outside")
    with pytest.raises(tarfile.OutsideDestinationError):
        repository_copy.unpack(archive, copy)
    assert not (tmp_path / "outside").exists()


def test_the_copy_before_is_kept_and_older_ones_go(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    (tmp_path / "third.tar").write_text("", encoding="utf-8")
    assert repository_copy.show(tmp_path, "first") == ""
    assert repository_copy.show(tmp_path, "second") == "first"
    before = repository_copy.show(tmp_path, "third")
    assert repository_copy.remove_others(tmp_path, {"third", before}) == ["first", "third.tar"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "second", "third"]
    assert str((tmp_path / "current").readlink()) == "third"


def test_every_other_source_is_found_and_the_sites_own_is_not(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    for path in (
        tmp_path / "sources.list",
        parts / "a.list",
        parts / "b.sources",
        parts / "site.sources",
        parts / "c.save",
    ):
        path.write_text("", encoding="utf-8")
    found = apt_sole_source.other_sources(tmp_path, {"site.sources"})
    assert [path.name for path in found] == ["sources.list", "a.list", "b.sources"]


def test_a_source_set_aside_twice_keeps_both(tmp_path: Path) -> None:
    assert apt_sole_source.free_name(tmp_path, "a.list").name == "a.list"
    (tmp_path / "a.list").write_text("", encoding="utf-8")
    assert apt_sole_source.free_name(tmp_path, "a.list").name == "a.list.1"
