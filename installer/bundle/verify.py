"""Prove, without network, that a bundle is what its publisher signed: no byte more, less or other."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minisign import Error, PublicKey, Signature

from installer.bundle.keys import UNTRUSTED_COMMENT, key_id
from installer.bundle.manifest import (
    BUNDLE_KEY_FILE,
    MANIFEST_FILE,
    SIGNATURE_FILE,
    FileEntry,
    Manifest,
    parse_manifest,
)
from installer.bundle.trust import choose_key, remember_key
from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN: Final = "copy the bundle again from where it was built, or build it again with: ./install bundle build"
_UNSIGNED: Final = (MANIFEST_FILE, SIGNATURE_FILE)


def verify(bundle: Path, *, trusted: Path, report: Callable[[str], None], key: Path | None = None) -> Manifest:
    """Check the signature, then every file, then that nothing else is there.

    Args:
        bundle: The bundle's folder.
        trusted: Folder of the publishers' keys this controller accepts. While it has none, the first
            bundle that holds together makes its key the accepted one, and `report` says so.
        report: Takes lines for the operator.
        key: The publisher's public key, when the operator has it; accepted from then on.

    Raises:
        BundleError: Naming the file that is wrong.
    """
    manifest, public = _read_signed(bundle, trusted=trusted, key=key)
    _check_files(bundle, manifest)
    if remember_key(public, trusted):
        how = f"named with {key}" if key else "the first one met; compare it with what its publisher says"
        report(f"accepting bundles signed with key {key_id(public)} from now on ({how})")
    return manifest


def inspect(bundle: Path) -> Manifest:
    """What a bundle says it holds; nothing is checked.

    Raises:
        BundleError: If there is no readable manifest.
    """
    path = bundle / MANIFEST_FILE
    return parse_manifest(_read(path), path)


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """Hash and size of every file under `folder`, sorted by name."""
    names = sorted(_walk(folder)[0])
    with ThreadPoolExecutor() as pool:  # hashing leaves Python's lock alone
        return dict(zip(names, pool.map(lambda name: _describe(folder / name), names), strict=True))


def _read_signed(bundle: Path, *, trusted: Path, key: Path | None) -> tuple[Manifest, PublicKey]:
    manifest_path, signature_path = (bundle / name for name in _UNSIGNED)
    data, signed = _read(manifest_path), _read(signature_path)
    try:
        signature = Signature.from_bytes(signed)
    except Error as error:
        raise BundleError(f"{signature_path} is not a minisign signature: {error}", hint=_AGAIN) from error
    # What minisign itself does not look at (comment, line ends, spare bits) must not differ either.
    if bytes(signature) + b"\n" != signed or signature.untrusted_comment != UNTRUSTED_COMMENT:
        raise BundleError(f"{signature_path} was changed", hint=_AGAIN)
    public = choose_key(signature, signature_path, enclosed=bundle / BUNDLE_KEY_FILE, trusted=trusted, given=key)
    try:
        public.verify(data, signature)
    except Error as error:
        raise BundleError(
            f"{manifest_path} does not fit its signature {signature_path} by key {key_id(public)}: {error}", hint=_AGAIN
        ) from error
    return parse_manifest(data, manifest_path), public


def _check_files(bundle: Path, manifest: Manifest) -> None:
    wanted = {bundle / name: entry for name, entry in manifest.files.items()}
    names, strangers = _walk(bundle)
    found = {bundle / name for name in names}
    missing = sorted(wanted.keys() - found)
    if missing:
        raise BundleError(f"{_names(missing)} missing from the bundle", hint=_AGAIN)
    if strangers:
        raise BundleError(f"{bundle / strangers[0]}, which no bundle holds", hint=f"remove it, or {_AGAIN}")
    added = sorted(found - wanted.keys() - {bundle / name for name in _UNSIGNED})
    if added:
        raise BundleError(f"{_names(added)} not in the bundle's manifest", hint=f"remove what was added, or {_AGAIN}")
    for path, entry in wanted.items():  # the cheap look first
        size = path.stat().st_size
        if size != entry.size:
            raise BundleError(f"{path} has {size} bytes, the manifest says {entry.size}", hint=_AGAIN)
    with ThreadPoolExecutor() as pool:
        found_entries = pool.map(_describe, wanted)
        wrong = [path for (path, entry), real in zip(wanted.items(), found_entries, strict=True) if real != entry]
    if wrong:
        raise BundleError(f"{_names(wrong)} not what the manifest says (sha256)", hint=_AGAIN)


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """Every file below, as paths inside the folder; and what a bundle never holds, with what it is."""
    names, strangers = [], []
    for parent, folders, files in os.walk(folder):
        if not folders and not files and Path(parent) != folder:
            strangers.append(f"{Path(parent).relative_to(folder)} is an empty folder")
        for name in [*folders, *files]:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                names.append(str(path.relative_to(folder)))
            elif not stat.S_ISDIR(mode):
                strangers.append(f"{path.relative_to(folder)} is neither file nor folder")
    return names, sorted(strangers)


def _describe(path: Path) -> FileEntry:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileEntry(sha256=digest, size=path.stat().st_size)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}", hint=_AGAIN) from error


def _names(paths: list[Path]) -> str:
    """The first path, and how many more there are, with the verb that fits."""
    if len(paths) == 1:
        return f"{paths[0]} is"
    return f"{paths[0]} and {len(paths) - 1} more are"
