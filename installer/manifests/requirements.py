"""What the roles' manifests add up to for one host; used by the filter plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.manifests import roles_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.manifests import RoleManifest


# Models are laid on every engine host; the first of them deploys them for all.
_MODELS_GROUP: Final = "engine"
_MODELS_ROLE: Final = "models"


def packages_wanted(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> list[str]:
    """Debian packages of all roles of a host and of the site's applications on it, sorted."""
    roles = roles_of(manifests, tuple(site["hosts"][host]["groups"]))
    return sorted({package for role in roles for package in role.packages} | payloads_on(site, host))


def payloads_on(site: Mapping[str, Any], host: str) -> set[str]:
    """Payload packages of the site's applications that belong on a host."""
    groups = site["hosts"][host]["groups"]
    wanted: set[str] = set()
    for application in site.get("applications", {}).values():
        wanted |= {process["payload"] for process in application["processes"].values() if process["group"] in groups}
        if application["models"] is not None and _MODELS_GROUP in groups:
            wanted.add(application["models"]["payload"])
    return wanted


def packages_by_role(site: Mapping[str, Any], manifests: Mapping[str, RoleManifest]) -> dict[str, set[str]]:
    """What each role asks for; an application's payload belongs to the role that is named like its group."""
    wanted = {name: set(role.packages) for name, role in manifests.items()}
    for application in site.get("applications", {}).values():
        for process in application["processes"].values():
            wanted.setdefault(process["group"], set()).add(process["payload"])
        if application["models"] is not None:
            wanted[_MODELS_ROLE].add(application["models"]["payload"])
    return wanted


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
