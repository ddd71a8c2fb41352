"""The programs of others that an audit runs on the hosts: carried by the bundle, installed nowhere."""

from __future__ import annotations

import tarfile
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final

from installer.bundle.commands import Commands
from installer.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from installer.bundle.manifest import Manifest

# Debian's packages; bsdextrautils has the one program that testssl.sh needs and a Debian 13 host may lack.
AUDITOR_PACKAGES: Final = ("bsdextrautils", "lynis", "testssl.sh")
# Distributions of the lock file. Debian's own ssh-audit is two years older and does not know what OpenSSH 10 offers.
AUDITOR_WHEELS: Final = ("ssh-audit",)
# Below this folder of the archive a wheel's modules are.
PYTHON_FOLDER: Final = "python"
_AGAIN: Final = "build a bundle with this checkout: ./install bundle build"
_MODES: Final = 0o022


def unpack_auditors(bundle: Path, manifest: Manifest, folder: Path) -> dict[str, str]:
    """Lay the programs down below a folder, as their packages have them; none of a package's scripts runs.

    Args:
        bundle: The bundle, whose files have been compared with the manifest.
        manifest: Its manifest.
        folder: Where; each package and wheel adds to it.

    Returns:
        Version by name of what was unpacked.

    Raises:
        BundleError: If the bundle does not carry one of them.
    """
    commands = Commands()
    packages = {entry.name: entry for entry in manifest.packages}
    wheels = {entry.name: entry for entry in manifest.wheels}
    lacking = [name for name in AUDITOR_PACKAGES if name not in packages]
    lacking += [name for name in AUDITOR_WHEELS if name not in wheels]
    if lacking:
        raise BundleError(f"{bundle} carries no {', '.join(lacking)}, which an audit runs", hint=_AGAIN)
    for name in AUDITOR_PACKAGES:
        argv = ["dpkg-deb", "--extract", str(bundle / packages[name].file), str(folder)]
        commands.run(argv, doing=f"unpacking {name}", hint="dpkg-deb is of the package dpkg")
    for name in AUDITOR_WHEELS:
        with zipfile.ZipFile(bundle / wheels[name].file) as wheel:
            wheel.extractall(folder / PYTHON_FOLDER)  # noqa: S202 - compared with the lock and the signed manifest
    return {
        **{name: packages[name].version for name in AUDITOR_PACKAGES},
        **{name: wheels[name].version for name in AUDITOR_WHEELS},
    }


def pack(folder: Path) -> bytes:
    """The folder as a compressed archive whose files belong to root and can be changed by nobody else."""
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as archive:
        archive.add(folder, arcname=".", filter=_owned_by_root)
    return stream.getvalue()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without the pages of documentation, which nobody reads there."""
    if entry.name.startswith(("./usr/share/doc", "./usr/share/man")):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode &= ~_MODES
    return entry
