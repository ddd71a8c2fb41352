"""Which packages of a bundle a role brings along: those it asks for, and all that they need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.bundle.debian import HOST_BASE
from installer.bundle.repository import COMPONENT, SUITE
from installer.errors import BundleError
from installer.manifests import ALL_HOSTS
from installer.manifests.requirements import packages_by_role
from installer.manifests.versions import BASE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from installer.bundle.manifest import Manifest
    from installer.manifests import RoleManifest

_HOST_PRIORITIES: Final = frozenset({"required", "important"})
# Of a relation only the package counts: a bundle has one version of each.
_RELATION: Final = re.compile(r"^\s*([a-z0-9][a-z0-9+.-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    name: str
    version: str
    needs: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]
    is_debians_own: bool


def carried_packages(
    bundle: Path, manifest: Manifest, site: Mapping[str, Any], manifests: Mapping[str, RoleManifest]
) -> dict[str, dict[str, str]]:
    """What a bundle carries for each role of a site; see `carried_by_role`.

    Raises:
        BundleError: If the bundle has no index of its packages.
    """
    everywhere = [name for name, role in manifests.items() if role.group == ALL_HOSTS]
    return carried_by_role(bundle, manifest, packages_by_role(site, manifests), everywhere=everywhere)


def carried_by_role(
    bundle: Path, manifest: Manifest, roles: Mapping[str, Collection[str]], *, everywhere: Collection[str]
) -> dict[str, dict[str, str]]:
    """For each role its packages and what these need, with the bundle's versions.

    What a Debian host has before we come, and what roles of every host bring, belongs to `base`, so no service is
    charged with it unless it asks for it by name; two services may need the same of the rest.

    Args:
        bundle: The bundle's folder.
        manifest: Its manifest.
        roles: For each role the packages it asks for.
        everywhere: Roles that every host has.

    Raises:
        BundleError: If the bundle has no index of its packages.
    """
    index = _read(bundle, manifest.architecture)
    providers = _providers(index)
    debian = {package.name for package in index.values() if package.is_debians_own} | set(HOST_BASE)
    common = {package for role in everywhere for package in roles.get(role, ())}
    base = _closure(debian | common, index, providers)
    found = {BASE: base}
    for role, packages in roles.items():
        if role not in everywhere:
            found[role] = (_closure(packages, index, providers) - base) | (set(packages) & index.keys())
    return {role: {name: index[name].version for name in sorted(names)} for role, names in sorted(found.items())}


def newly_needed(
    bundle: Path, manifest: Manifest, *, installed: Collection[str], changing: Iterable[str]
) -> dict[str, dict[str, str]]:
    """What packages need in the bundle's versions that a host does not have yet; apt brings it along.

    Args:
        bundle: The bundle's folder.
        manifest: Its manifest.
        installed: Names of what the host has.
        changing: Names of what comes in the bundle's version; what two of them need is charged to the first.

    Returns:
        For each of these that needs something new, its names with the bundle's versions.

    Raises:
        BundleError: If the bundle has no index of its packages.
    """
    index = _read(bundle, manifest.architecture)
    providers = _providers(index)
    present = set(installed)
    present |= {name for package in installed if package in index for name in index[package].provides}
    found: dict[str, dict[str, str]] = {}
    for package in changing:
        waiting = [package]
        while waiting:
            for alternatives in index[waiting[0]].needs if waiting[0] in index else ():
                if not alternatives or present.intersection(alternatives):
                    continue
                named = (name for each in alternatives for name in (each, *sorted(providers.get(each, ()))))
                chosen = next((name for name in named if name in index), None)
                if chosen is not None:
                    present |= {chosen, *index[chosen].provides}
                    found.setdefault(package, {})[chosen] = index[chosen].version
                    waiting.append(chosen)
            del waiting[0]
    return found


def _providers(index: Mapping[str, _Package]) -> dict[str, set[str]]:
    """For each name that packages provide, who does."""
    found: dict[str, set[str]] = {}
    for package in index.values():
        for name in package.provides:
            found.setdefault(name, set()).add(package.name)
    return found


def _closure(names: Iterable[str], index: Mapping[str, _Package], providers: Mapping[str, Collection[str]]) -> set[str]:
    """All packages of the bundle that these need, themselves included."""
    waiting, found = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in found or name not in index:
            continue
        found.add(name)
        for alternatives in index[name].needs:
            for each in alternatives:
                waiting += [each, *providers.get(each, ())]
    return found


def _read(bundle: Path, architecture: str) -> dict[str, _Package]:
    path = bundle / "apt" / "dists" / SUITE / COMPONENT / f"binary-{architecture}" / "Packages"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {error.strerror}", hint="copy the bundle again from where it was built"
        ) from error
    packages = (_package(stanza) for stanza in text.split("\n\n") if stanza.strip())
    return {package.name: package for package in packages}


def _package(stanza: str) -> _Package:
    fields = dict(line.split(": ", 1) for line in stanza.splitlines() if line[0] != " " and ": " in line)
    relations = ", ".join(fields[name] for name in ("Depends", "Pre-Depends") if name in fields)
    return _Package(
        name=fields["Package"],
        version=fields["Version"],
        needs=tuple(_names(relation.split("|")) for relation in relations.split(",")),
        provides=_names(fields.get("Provides", "").split(",")),
        is_debians_own=fields.get("Essential") == "yes" or fields.get("Priority") in _HOST_PRIORITIES,
    )


def _names(relations: Iterable[str]) -> tuple[str, ...]:
    return tuple(found[1] for found in map(_RELATION.match, relations) if found)
