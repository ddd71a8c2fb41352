"""The apt repository of a bundle: a pool, one index, one signature."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from debian.deb822 import Packages

from installer.bundle.keys import sign_release
from installer.bundle.manifest import PackageEntry
from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from installer.bundle.commands import Commands
    from installer.bundle.keys import SigningKeys

ORIGIN: Final = "Sitewright"
SUITE: Final = "trixie"
COMPONENT: Final = "main"
CHECKSUMS: Final = "SHA256SUMS"
_HINT: Final = "see that apt-utils is installed on this controller: apt-ftparchive --version"


def write_repository(
    folder: Path,
    *,
    debs: Mapping[str, Path],
    payloads: Iterable[str],
    architecture: str,
    keys: SigningKeys,
    moment: datetime,
    commands: Commands,
) -> list[PackageEntry]:
    """Lay down a signed apt repository.

    Args:
        folder: Where; it must not exist.
        debs: Package files by the name they get in the pool.
        payloads: Names in the pool that are ours, not Debian's.
        architecture: The hosts' Debian architecture.
        keys: What it is signed with.
        moment: Date of the signature and of the index.
        commands: Runs the programs.

    Returns:
        The packages, sorted by name.
    """
    index = folder / "dists" / SUITE / COMPONENT / f"binary-{architecture}"
    index.mkdir(parents=True)
    (folder / "pool").mkdir()
    for name, source in sorted(debs.items()):
        shutil.copyfile(source, folder / "pool" / name)
    stanzas = _index(folder, commands)
    text = "".join(f"{stanza}\n\n" for stanza in stanzas).encode()
    (index / "Packages").write_bytes(text)
    (index / "Packages.xz").write_bytes(lzma.compress(text, format=lzma.FORMAT_XZ, preset=6))
    _write_release(folder / "dists" / SUITE, architecture, keys, moment, commands)
    ours = set(payloads)
    entries = [_entry(Packages(stanza), ours) for stanza in stanzas]
    if len(entries) != len(debs):
        raise BundleError(f"the repository index has {len(entries)} packages of {len(debs)}", hint=_HINT)
    _write_checksums(folder)
    return sorted(entries, key=lambda entry: (entry.name, entry.architecture))


def _index(folder: Path, commands: Commands) -> list[str]:
    """One stanza per package file, in an order that does not depend on the disk."""
    no_others = [f"-oAPT::FTPArchive::{name}=false" for name in ("MD5", "SHA1", "SHA512")]
    listing = commands.run(
        ["apt-ftparchive", *no_others, "packages", "pool"],
        doing="indexing the apt repository",
        hint=_HINT,
        directory=folder,
    )
    return sorted(stanza for stanza in listing.strip().split("\n\n") if stanza)


def _write_release(dist: Path, architecture: str, keys: SigningKeys, moment: datetime, commands: Commands) -> None:
    fields = {
        "Origin": ORIGIN,
        "Label": ORIGIN,
        "Suite": SUITE,
        "Codename": SUITE,
        "Date": f"{moment:%a, %d %b %Y %H:%M:%S} UTC",
        "Architectures": architecture,
        "Components": COMPONENT,
        "Description": "everything a Sitewright site needs from Debian, and the payloads",
    }
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    no_others = [f"-oAPT::FTPArchive::{name}=false" for name in ("MD5", "SHA1", "SHA512")]
    argv = ["apt-ftparchive", *options, *no_others, "release", "."]
    text = commands.run(argv, doing="writing the repository's Release file", hint=_HINT, directory=dist)
    release = dist / "Release"
    release.write_text(text, encoding="utf-8")
    sign_release(release, dist / "InRelease", keys=keys, moment=moment, commands=commands)
    release.unlink()  # InRelease holds it


def _entry(stanza: Packages, payloads: set[str]) -> PackageEntry:
    file = Path(stanza["Filename"])
    return PackageEntry(
        name=stanza["Package"],
        version=stanza["Version"],
        architecture=stanza["Architecture"],
        file=f"apt/{file}",
        origin="Sitewright" if file.name in payloads else "Debian",
    )


def _write_checksums(folder: Path) -> None:
    """For the repository host, which checks its copy with sha256sum before it shows it."""
    lines = []
    for path in sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names):
        with path.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
