"""Filter that says which certificates a host needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.manifests import load_manifests
from installer.manifests.certificates import certificates_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from installer.manifests import RoleManifest


@cache
def _manifests() -> dict[str, RoleManifest]:
    return load_manifests(Path(__file__).resolve().parents[2], checked=True)


def host_certificates_wanted(site: Mapping[str, Any], host: str) -> dict[str, dict[str, list[str]]]:
    """See `installer.manifests.certificates.certificates_wanted`."""
    return certificates_wanted(site, host, _manifests())


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"host_certificates_wanted": host_certificates_wanted}
