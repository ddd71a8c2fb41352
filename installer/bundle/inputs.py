"""What a bundle is built from, and one hash of all of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.applications import load_applications
from installer.bundle.auditors import AUDITOR_PACKAGES
from installer.bundle.payloads import Payload, load_payloads
from installer.bundle.wheels import LOCK_FILE, python_tag
from installer.controller.release import read_version
from installer.errors import BundleError
from installer.manifests import load_manifests

if TYPE_CHECKING:
    from installer.bundle.additions import Addition
    from installer.bundle.keys import SigningKeys
    from installer.controller.paths import Paths

_OWN_SOURCE: Final = Path(__file__).parent  # another way to build is another input


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInputs:
    """Everything but Debian's own state that decides what a bundle holds.

    Attributes:
        debian_packages: Packages the roles and payloads ask for, and those an audit runs.
        payloads: What is built here.
        additions: Packages that are taken from further Debian suites.
        release: Release of Sitewright the bundle belongs to.
        digest: One hash of all inputs.
    """

    debian_packages: tuple[str, ...]
    payloads: tuple[Payload, ...]
    additions: tuple[Addition, ...]
    release: str
    digest: str


def read_inputs(
    paths: Paths, *, keys: SigningKeys, architecture: str, additions: tuple[Addition, ...] = ()
) -> BuildInputs:
    """Collect the inputs from the checkout and the controller's state.

    Raises:
        BundleError: If a role asks for a payload nobody builds.
        DocumentError: If a role's manifest is wrong.
    """
    payloads = tuple(load_payloads(paths.root))
    debian = _debian_packages(paths, payloads)
    release = read_version(paths.root)
    content = {
        "release": release,
        "builder": _hash_folder(_OWN_SOURCE),
        "architecture": architecture,
        "packages": debian,
        "additions": [str(addition) for addition in additions],
        "payloads": sorted(payload.file_name for payload in payloads),
        "lock": hashlib.sha256((paths.root / LOCK_FILE).read_bytes()).hexdigest(),
        "python": python_tag(),
        "keys": [keys.archive_fingerprint, keys.bundle_id],
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return BuildInputs(
        debian_packages=tuple(debian), payloads=payloads, additions=additions, release=release, digest=digest
    )


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _debian_packages(paths: Paths, payloads: tuple[Payload, ...]) -> list[str]:
    """What the roles list, the payloads depend on and an audit runs, without the payloads themselves."""
    built = {payload.package for payload in payloads}
    wanted = {package for role in load_manifests(paths.root).values() for package in role.packages}
    wanted |= {package for application in load_applications(paths.root).values() for package in application.payloads}
    wanted |= {package for payload in payloads for package in payload.depended_packages}
    wanted |= set(AUDITOR_PACKAGES)
    ours = {package for package in wanted if package.startswith("sitewright-")}
    unknown = sorted(ours - built)
    if unknown:
        raise BundleError(
            f"a role or an application installs {unknown[0]}, but no payload builds it",
            hint="add payloads/<name>/payload.yml with a build",
        )
    return sorted(wanted - ours)
