"""What is installed on a host against what a bundle carries: missing, older, newer, service by service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from installer.manifests import roles_of
from installer.manifests.requirements import packages_wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from installer.manifests import RoleManifest

# Role whose part of a bundle is also what Debian itself brings along; a host may be ahead of the bundle with these.
BASE: Final = "base"
_PAYLOADS: Final = "sitewright-"
_PARTS: Final = re.compile(r"(\D*)(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A package that is not what the bundle carries.

    Attributes:
        package: Its name.
        installed: Version on the host.
        carried: Version in the bundle.
        roles: Roles that ask for it or need it, sorted.
    """

    package: str
    installed: str
    carried: str
    roles: tuple[str, ...]

    def __str__(self) -> str:
        """The change to the bundle's version, in a line."""
        return f"{self.package} {self.installed} -> {self.carried}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One host against a bundle.

    Attributes:
        compared: How many packages are installed here and carried there, or asked for and not here.
        missing: Packages that are asked for and not installed.
        lacking: Packages that are asked for and not in the bundle.
        older: Packages that an upgrade to the bundle would change.
        newer: Packages of the services that are ahead of the bundle.
        ahead: Packages of Debian's own base that are ahead of the bundle, as on a host installed after the bundle
            was built; no service waits for these.
    """

    compared: int
    missing: tuple[str, ...]
    lacking: tuple[str, ...]
    older: tuple[Change, ...]
    newer: tuple[Change, ...]
    ahead: tuple[Change, ...]

    @property
    def is_other(self) -> bool:
        """Whether another bundle than this one has been at work."""
        return bool(self.older or self.newer)


def compare_host(
    site: Mapping[str, Any],
    host: str,
    installed: Mapping[str, str],
    *,
    manifests: Mapping[str, RoleManifest],
    carried: Mapping[str, Mapping[str, str]],
) -> Comparison:
    """Compare one host of a site with what its roles are carried.

    Args:
        site: The resolved site.
        host: Short name.
        installed: Version of every package on the host.
        manifests: The roles' manifests.
        carried: For each role the packages it asks for and needs, with the bundle's versions.
    """
    roles = [role.role for role in roles_of(manifests, tuple(site["hosts"][host]["groups"]))]
    own = {role: carried[role] for role in roles if role in carried}
    return compare(installed, asked=packages_wanted(site, host, manifests), carried=own)


def compare(
    installed: Mapping[str, str], *, asked: Collection[str], carried: Mapping[str, Mapping[str, str]]
) -> Comparison:
    """Compare one host.

    Args:
        installed: Version of every package on the host.
        asked: Packages that must be there.
        carried: For each role of the host the packages it asks for and needs, with the bundle's versions.
    """
    roles: dict[str, list[str]] = {}
    versions: dict[str, str] = {}
    for role, packages in carried.items():
        for package, version in packages.items():
            roles.setdefault(package, []).append(role)
            versions[package] = version
    here = sorted(versions.keys() & installed.keys())
    changes = [
        Change(package=each, installed=installed[each], carried=versions[each], roles=tuple(sorted(roles[each])))
        for each in here
        if installed[each] != versions[each]
    ]
    older = tuple(change for change in changes if _is_rebuilt(change) or is_older(change.installed, change.carried))
    rest = [change for change in changes if change not in older and is_older(change.carried, change.installed)]
    own = {change.package for change in rest if BASE in change.roles}
    return Comparison(
        compared=len(here) + len(set(asked) - set(here)),
        missing=tuple(sorted(set(asked) - installed.keys())),
        lacking=tuple(sorted(set(asked) - versions.keys())),
        older=older,
        newer=tuple(change for change in rest if change.package not in own),
        ahead=tuple(change for change in rest if change.package in own),
    )


def _is_rebuilt(change: Change) -> bool:
    """Whether a payload of ours differs only in the digest of its content, which has no order: the bundle's counts."""
    plain = {version.partition("+")[0] for version in (change.installed, change.carried)}
    return change.package.startswith(_PAYLOADS) and len(plain) == 1


def installed_packages(lines: Iterable[str]) -> dict[str, str]:
    """Name and version of what is fully installed, from `status name version` lines of dpkg-query."""
    fields = [line.split(" ") for line in lines]
    return {name: version for status, name, version in fields if status == "installed"}


def is_older(version: str, than: str) -> bool:
    """Whether Debian sorts a version before another (deb-version(7); a test holds it against dpkg itself)."""
    return _key(version) < _key(than)


def _key(version: str) -> tuple[int, list[tuple[list[int], int]], list[tuple[list[int], int]]]:
    """A version as something that Python sorts like dpkg: epoch, upstream version, Debian revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return int(epoch), _parts(upstream), _parts(revision)


def _parts(text: str) -> list[tuple[list[int], int]]:
    """Text and number by turns; an empty pair ends it, which `~` sorts before and all else behind."""
    return [([*map(_rank, letters), 0], int(digits or 0)) for letters, digits in _PARTS.findall(text)]


def _rank(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
