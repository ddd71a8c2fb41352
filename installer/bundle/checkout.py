"""Does a bundle go with this checkout? What its roles will ask for must be in it; told before any host is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.bundle.payloads import load_payloads
from installer.controller.release import read_version
from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from installer.bundle.manifest import Manifest
    from installer.manifests import RoleManifest

_BUILD: Final = "build one with this checkout: ./install bundle build"
_PAYLOADS: Final = "sitewright-"


def require_fit(bundle: Path, manifest: Manifest, root: Path, manifests: Mapping[str, RoleManifest]) -> None:
    """Refuse a bundle that another release, or a checkout with other payloads or packages, was built from.

    Args:
        bundle: The bundle's folder, for the error text.
        manifest: Its manifest.
        root: The checkout.
        manifests: The checkout's roles.

    Raises:
        BundleError: If the checkout would ask for something else than what the bundle has; naming what differs.
    """
    here = read_version(root)
    if manifest.release_name != here:
        raise BundleError(
            f"{bundle} is a bundle of release {manifest.release_name}, and the checkout {root} is release {here}",
            hint=f"{_BUILD}; or use the checkout of release {manifest.release_name}",
        )
    carried = {entry.name: entry.version for entry in manifest.packages}
    other = [
        f"{payload.package} {payload.version} ({_has(carried.get(payload.package))})"
        for payload in load_payloads(root)
        if carried.get(payload.package) != payload.version
    ]
    if other:
        raise BundleError(
            f"{bundle} was not built from the payloads of the checkout {root}, which has {', '.join(other)}",
            hint=f"{_BUILD}; or undo what was changed under {root / 'payloads'}",
        )
    asked = {package for role in manifests.values() for package in role.packages}
    lacking = sorted(package for package in asked - carried.keys() if not package.startswith(_PAYLOADS))
    if lacking:
        raise BundleError(
            f"{bundle} lacks what roles of the checkout {root} install: {', '.join(lacking)}",
            hint=f"{_BUILD}; or use the checkout that it was built with",
        )


def _has(version: str | None) -> str:
    return f"the bundle has {version}" if version else "the bundle has none"
