"""Filters that read the roles' manifests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer import wanted
from installer.manifests import load_manifests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from installer.manifests import RoleManifest


@cache
def _manifests() -> dict[str, RoleManifest]:
    return load_manifests(Path(__file__).resolve().parents[2], checked=True)


def packages_wanted(site: Mapping[str, Any], host: str) -> list[str]:
    """See `installer.wanted.packages_wanted`."""
    return wanted.packages_wanted(site, host, _manifests())


def early_files_wanted(site: Mapping[str, Any], host: str) -> list[dict[str, str]]:
    """See `installer.wanted.early_files_wanted`."""
    return wanted.early_files_wanted(site, host, _manifests())


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "packages_wanted": packages_wanted,
            "early_files_wanted": early_files_wanted,
            "base_host_names": wanted.host_names,
        }
