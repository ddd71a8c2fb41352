"""The manifest: what a bundle holds, to the byte. It is the one file the signature covers."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from installer.errors import BundleError

FORMAT: Final = 1
_FIRST_RELEASE: Final = "0.1.0"
MANIFEST_FILE: Final = "manifest.json"
SIGNATURE_FILE: Final = "manifest.json.minisig"
BUNDLE_KEY_FILE: Final = "keys/bundle.pub"
ARCHIVE_KEY_FILE: Final = "keys/archive.asc"
SBOM_FILE: Final = "sbom.cdx.json"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FileEntry(_Strict):
    """One file of the bundle."""

    sha256: Sha256
    size: int = Field(ge=0)


class PackageEntry(_Strict):
    """One Debian package of the bundle's repository; a payload's has no other origin than us."""

    name: str
    version: str
    architecture: str
    file: str
    origin: Literal["Debian", "Sitewright"]


class WheelEntry(_Strict):
    """One Python distribution the controller's private environment is made of."""

    name: str
    version: str
    file: str


class Manifest(_Strict):
    """Everything a bundle says about itself.

    Attributes:
        format: Layout of the bundle; a reader refuses one it does not know.
        release: Release of Sitewright it belongs to; empty in bundles that release 0.1 built.
        inputs: Hash of what the bundle was built from.
        snapshot: Newest date of the Debian suites used: the state of Debian this bundle holds.
        suites: Date of each Debian suite used.
        additions: Packages that came from a further suite because they were named, by suite.
        architecture: Debian architecture of the hosts.
        python: Tag of the Python the wheels are for.
        archive_key: Fingerprint of the key that signs the apt repository.
        bundle_key: Identity of the key that signs this manifest.
        packages: Debian packages with their exact versions.
        wheels: Python distributions with their exact versions.
        files: Every file of the bundle but this one and its signature.
    """

    format: Literal[1]
    release: str = ""
    inputs: Sha256
    snapshot: AwareDatetime
    suites: dict[str, AwareDatetime]
    additions: dict[str, list[str]] = {}
    architecture: str
    python: str
    archive_key: str
    bundle_key: str
    packages: list[PackageEntry]
    wheels: list[WheelEntry]
    files: dict[str, FileEntry]

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name:
                raise ValueError(f"{name!r} is not a path inside the bundle")
        return files

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    @property
    def release_name(self) -> str:
        """Release of Sitewright it belongs to, also when it was built before releases were written down."""
        return self.release or _FIRST_RELEASE

    @property
    def identity(self) -> str:
        """What tells this bundle from every other: a hash of the manifest, and so of all it lists."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The one way a manifest is written: sorted, indented, ending with a newline."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        return (json.dumps(plain, indent=1, sort_keys=True) + "\n").encode()

    def describe(self) -> dict[str, str]:
        """What the journal, the hosts and the evidence say of it."""
        said = {"id": self.identity, "release": self.release, "debian": self.snapshot.date().isoformat()}
        if self.additions:
            said["additions"] = self.described_additions
        return said

    @property
    def described_additions(self) -> str:
        """What came from further suites, in one line."""
        return "; ".join(f"{suite}: {', '.join(packages)}" for suite, packages in self.additions.items())


def parse_manifest(data: bytes, source: Path) -> Manifest:
    """Read a manifest; `source` is for the error text.

    Raises:
        BundleError: If it is not one, or of a layout this installer does not know.
    """
    try:
        raw = json.loads(data)
        found = raw.get("format")
        if found != FORMAT:
            raise BundleError(
                f"{source} has the format {found!r}, this installer reads {FORMAT}",
                hint="use the bundle with the installer it was released with",
            )
        return Manifest.model_validate_json(data)
    except (ValueError, AttributeError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise BundleError(
            f"{source} is not a bundle's manifest: {reason}", hint="copy the bundle again from where it was built"
        ) from error


def format_date(moment: datetime) -> str:
    """A date as people read it in talk and tables."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")
