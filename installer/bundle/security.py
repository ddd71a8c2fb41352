"""What Debian's security suite has when a bundle is built: an audit far from any network compares hosts with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from installer.bundle.repository import SUITE
from installer.errors import BundleError
from installer.manifests.versions import is_older

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SECURITY_FILE: Final = "debian-security.json"
SECURITY_SUITE: Final = f"{SUITE}-security"
_FIELDS: Final = ("Package: ", "Version: ")


def read_index(lists: Path, architecture: str) -> dict[str, str]:
    """The newest version of each package in the security suite, from apt's lists; empty when apt reads no such suite.

    Args:
        lists: Folder of apt's lists.
        architecture: Debian architecture of the hosts.
    """
    versions: dict[str, str] = {}
    for index in sorted(lists.glob(f"*_{SECURITY_SUITE}_main_binary-{architecture}_Packages")):
        with index.open(encoding="utf-8") as lines:
            for package, version in _pairs(lines):
                if package not in versions or is_older(versions[package], version):
                    versions[package] = version
    return versions


def to_bytes(versions: Mapping[str, str]) -> bytes:
    """The file's content, the same bytes for the same versions."""
    return (json.dumps(versions, indent=0, sort_keys=True) + "\n").encode()


def read_security(bundle: Path) -> dict[str, str]:
    """What a bundle says of the security suite.

    Returns:
        Newest version by package; empty when the bundle was built without a security archive, or by an older release.

    Raises:
        BundleError: If the file is there and no such list.
    """
    path = bundle / SECURITY_FILE
    if not path.exists():
        return {}
    try:
        versions = json.loads(path.read_text(encoding="utf-8"))
        return {str(package): str(version) for package, version in versions.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{path} cannot be read: {error}", hint="copy the bundle again from where it was built"
        ) from error


def _pairs(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Name and version of each stanza."""
    package = ""
    for line in lines:
        if line.startswith(_FIELDS[0]):
            package = line.removeprefix(_FIELDS[0]).strip()
        elif line.startswith(_FIELDS[1]):
            yield package, line.removeprefix(_FIELDS[1]).strip()
