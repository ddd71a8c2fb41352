"""A bundle is refused for one byte more, less or other, and for a stranger's signature."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from minisign import KeyPair

from installer.bundle import inspect
from installer.bundle.manifest import MANIFEST_FILE, SIGNATURE_FILE
from installer.bundle.verify import verify
from installer.errors import BundleError
from tests.bundle_workshop import Workshop, make_workshop


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop with a bundle, which the tests only read."""
    made = make_workshop(tmp_path_factory.mktemp("workshop") / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installer.controller.debian_mirror.KEYRING", made.base / "archive-key.asc")
        made.build()
    return made


@pytest.fixture
def bundle(workshop: Workshop, tmp_path: Path) -> Path:
    """A copy of the bundle to spoil."""
    copy = tmp_path / "bundle"
    shutil.copytree(workshop.paths.bundle, copy)
    return copy


def check(bundle: Path, workshop: Workshop) -> None:
    verify(bundle, trusted=workshop.trusted, report=lambda _: None)


def files(bundle: Path) -> list[Path]:
    return sorted(path for path in bundle.rglob("*") if path.is_file())


def test_a_bundle_as_it_was_built_is_accepted(bundle: Path, workshop: Workshop) -> None:
    check(bundle, workshop)


def test_one_flipped_bit_in_any_file_is_refused_and_the_file_is_named(bundle: Path, workshop: Workshop) -> None:
    choice = random.Random(20261121)  # noqa: S311 - which byte to spoil is no secret
    for path in files(bundle):
        original = path.read_bytes()
        for position in {0, len(original) - 1, choice.randrange(len(original))}:
            spoilt = bytearray(original)
            spoilt[position] ^= 1 << choice.randrange(8)
            path.write_bytes(spoilt)
            with pytest.raises(BundleError) as error:
                check(bundle, workshop)
            assert str(path) in error.value.message, (path, position)
            assert error.value.exit_code == 6
        path.write_bytes(original)
    check(bundle, workshop)


def test_every_byte_of_the_signature_counts(bundle: Path, workshop: Workshop) -> None:
    path = bundle / SIGNATURE_FILE
    original = path.read_bytes()
    for position in range(len(original)):
        spoilt = bytearray(original)
        spoilt[position] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(BundleError) as error:
            check(bundle, workshop)
        assert str(path) in error.value.message, position


def test_a_missing_file_is_named(bundle: Path, workshop: Workshop) -> None:
    for path in files(bundle):
        hidden = path.rename(bundle.parent / "hidden")
        with pytest.raises(BundleError, match=str(path.name).replace("+", r"\+")):
            check(bundle, workshop)
        hidden.rename(path)


@pytest.mark.parametrize("name", ["extra", "apt/pool/extra_1_all.deb", "python/.hidden", "new/folder/file"])
def test_an_added_file_is_named(name: str, bundle: Path, workshop: Workshop) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_bytes(b"")
    with pytest.raises(BundleError, match=f"{name} is not in the bundle's manifest"):
        check(bundle, workshop)


def test_an_added_link_or_empty_folder_is_named(bundle: Path, workshop: Workshop) -> None:
    link = bundle / "apt/link"
    link.symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match="apt/link is neither file nor folder"):
        check(bundle, workshop)
    link.unlink()
    (bundle / "apt/empty").mkdir()
    with pytest.raises(BundleError, match="apt/empty is an empty folder"):
        check(bundle, workshop)


def test_a_file_replaced_by_a_link_to_itself_is_refused(bundle: Path, workshop: Workshop) -> None:
    path = bundle / "keys/archive.asc"
    path.rename(bundle.parent / "archive.asc")
    path.symlink_to(bundle.parent / "archive.asc")
    with pytest.raises(BundleError, match=r"archive\.asc"):
        check(bundle, workshop)


def test_the_first_publisher_met_is_accepted_and_said_so(bundle: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    trusted = tmp_path / "trusted"
    verify(bundle, trusted=trusted, report=lines.append)
    assert "from now on" in lines[0]
    assert "compare it" in lines[0]
    verify(bundle, trusted=trusted, report=lines.append)
    assert len(lines) == 1


def test_a_bundle_that_does_not_hold_together_makes_no_publisher_accepted(bundle: Path, tmp_path: Path) -> None:
    (bundle / "keys/archive.asc").write_text("something else", encoding="utf-8")
    with pytest.raises(BundleError):
        verify(bundle, trusted=tmp_path / "trusted", report=lambda _: None)
    assert not (tmp_path / "trusted").exists()


def test_a_stranger_who_signs_everything_anew_is_refused(bundle: Path, workshop: Workshop) -> None:
    stranger = KeyPair.generate()
    manifest = (bundle / MANIFEST_FILE).read_bytes()
    signature = stranger.secret_key.sign(manifest, untrusted_comment="signature of a Sitewright bundle's manifest")
    (bundle / SIGNATURE_FILE).write_bytes(bytes(signature) + b"\n")
    (bundle / "keys/bundle.pub").write_bytes(bytes(stranger.public_key) + b"\n")
    with pytest.raises(BundleError, match="this controller accepts") as error:
        check(bundle, workshop)
    assert "--key" in error.value.hint


def test_a_named_key_is_the_only_one_that_counts(bundle: Path, workshop: Workshop, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pub"
    stranger.write_bytes(bytes(KeyPair.generate().public_key) + b"\n")
    with pytest.raises(BundleError, match="does not fit its signature"):
        verify(bundle, trusted=workshop.trusted, report=lambda _: None, key=stranger)
    right = workshop.paths.bundle / "keys/bundle.pub"
    verify(bundle, trusted=tmp_path / "none", report=lambda _: None, key=right)


def test_a_manifest_of_another_layout_is_refused_with_what_to_do(workshop: Workshop, tmp_path: Path) -> None:
    folder = tmp_path / "future"
    folder.mkdir()
    text = (workshop.paths.bundle / MANIFEST_FILE).read_text(encoding="utf-8")
    (folder / MANIFEST_FILE).write_text(text.replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(BundleError, match="format 2") as error:
        inspect(folder)
    assert "released with" in error.value.hint
