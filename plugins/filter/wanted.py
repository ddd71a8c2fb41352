"""Filters that read the roles' manifests.

Ansible loads every filter file again in each of its workers, so what only some tasks need is
imported by the filter itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from installer.manifests import RoleManifest


@cache
def _manifests() -> dict[str, RoleManifest]:
    from installer.manifests import load_manifests

    return load_manifests(Path(__file__).resolve().parents[2], checked=True)


def packages_wanted(site: Mapping[str, Any], host: str) -> list[str]:
    """See `installer.wanted.packages_wanted`."""
    from installer import wanted

    return wanted.packages_wanted(site, host, _manifests())


def early_files_wanted(site: Mapping[str, Any], host: str) -> list[dict[str, str]]:
    """See `installer.wanted.early_files_wanted`."""
    from installer import wanted

    return wanted.early_files_wanted(site, host, _manifests())


def base_host_names(site: Mapping[str, Any]) -> list[dict[str, Any]]:
    """See `installer.wanted.host_names`."""
    from installer import wanted

    return wanted.host_names(site)


def host_certificates_wanted(site: Mapping[str, Any], host: str) -> dict[str, dict[str, list[str]]]:
    """See `installer.manifests.certificates.certificates_wanted`."""
    from installer.manifests.certificates import certificates_wanted

    return certificates_wanted(site, host, _manifests())


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "packages_wanted": packages_wanted,
            "early_files_wanted": early_files_wanted,
            "base_host_names": base_host_names,
            "host_certificates_wanted": host_certificates_wanted,
        }
