"""What the roles' manifests add up to for one host; used by the filter plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from installer.manifests import roles_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.manifests import RoleManifest


def packages_wanted(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> list[str]:
    """Debian packages of all roles of a host, sorted."""
    roles = roles_of(manifests, tuple(site["hosts"][host]["groups"]))
    return sorted({package for role in roles for package in role.packages})


def early_files_wanted(
    site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]
) -> list[dict[str, str]]:
    """Files that must be there before the packages of a host are installed, sorted by path."""
    roles = roles_of(manifests, tuple(site["hosts"][host]["groups"]))
    files = {path: content for role in roles for path, content in role.early_files.items()}
    return [{"path": path, "content": content} for path, content in sorted(files.items())]


def host_names(site: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Names of every address of a site, full name first, the public name last."""
    hosts = [{"address": host["address"], "names": [host["fqdn"], name]} for name, host in site["hosts"].items()]
    return [*hosts, {"address": site["virtual_ip"], "names": [site["public_name"]]}]
