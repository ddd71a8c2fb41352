"""What changes for a site when it moves from one bundle to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.bundle.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One part that is not the same in both bundles.

    Attributes:
        kind: `release`, `package` or `wheel`.
        name: The part's name.
        before: Its version in the old bundle; empty when it is new.
        after: Its version in the new bundle; empty when it is gone.
    """

    kind: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Everything that is not the same in two bundles.

    Attributes:
        changes: Parts with another version, new or gone.
        files: Files with other contents, new or gone, whatever their version says.
    """

    changes: tuple[Change, ...]
    files: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the two bundles are the same."""
        return not self.changes and not self.files


def diff(before: Manifest, after: Manifest) -> Difference:
    """Compare two bundles by their manifests."""
    changes = [
        *_compare("release", {"sitewright": before.release}, {"sitewright": after.release}),
        *_compare("package", _packages(before), _packages(after)),
        *_compare("wheel", _wheels(before), _wheels(after)),
    ]
    names = sorted(before.files.keys() | after.files.keys())
    files = tuple(name for name in names if before.files.get(name) != after.files.get(name))
    return Difference(changes=tuple(changes), files=files)


def _packages(manifest: Manifest) -> dict[str, str]:
    return {entry.name: entry.version for entry in manifest.packages}


def _wheels(manifest: Manifest) -> dict[str, str]:
    return {entry.name: entry.version for entry in manifest.wheels}


def _compare(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [Change(kind=kind, name=name, before=before.get(name, ""), after=after.get(name, "")) for name in names]
