"""Filters that read the roles' manifests.

The installer is imported by the filters themselves: Ansible loads every file of filters of a collection to find one,
and the roles' own must be found where the installer is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def packages_wanted(site: Mapping[str, Any], host: str) -> list[str]:
    """See `installer.manifests.requirements.packages_wanted`."""
    from installer.manifests import known_manifests
    from installer.manifests import requirements as wanted

    return wanted.packages_wanted(site, host, known_manifests())


def early_files_wanted(site: Mapping[str, Any], host: str) -> list[dict[str, str]]:
    """See `installer.manifests.requirements.early_files_wanted`."""
    from installer.manifests import known_manifests
    from installer.manifests import requirements as wanted

    return wanted.early_files_wanted(site, host, known_manifests())


def base_host_names(site: Mapping[str, Any]) -> list[dict[str, Any]]:
    """See `installer.manifests.requirements.host_names`."""
    from installer.manifests import requirements as wanted

    return wanted.host_names(site)


def host_certificates_wanted(site: Mapping[str, Any], host: str) -> dict[str, dict[str, Any]]:
    """See `installer.manifests.certificates.certificates_wanted`."""
    from installer.manifests import certificates, known_manifests

    return certificates.certificates_wanted(site, host, known_manifests())


def controls_excepted(site: Mapping[str, Any], host: str) -> list[str]:
    """See `installer.manifests.controls.exceptions`; the ids alone."""
    from installer.manifests import controls

    return sorted(controls.exceptions(site, host))


def firewall_model(site: Mapping[str, Any], host: str) -> dict[str, Any]:
    """See `installer.manifests.traffic.rules_of`."""
    from installer.manifests import known_manifests, traffic

    return traffic.rules_of(site, host, known_manifests())


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "packages_wanted": packages_wanted,
            "early_files_wanted": early_files_wanted,
            "base_host_names": base_host_names,
            "host_certificates_wanted": host_certificates_wanted,
            "controls_excepted": controls_excepted,
            "firewall_model": firewall_model,
        }
