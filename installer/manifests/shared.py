"""What others read of a role's variables, resolved with what the operator set.

A manifest names the variable; a site resolves it once, on the controller (`installer.site.shared`), and whoever needs
the value takes it from the resolved site. A literal elsewhere would be right until somebody sets the variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from installer.manifests import roles_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from installer.manifests import AuthorityName, ExtraName, PortSpec, Protocol, RoleManifest, StartTls


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A `PortSpec` of a host with its number; `variable` is what sets it, or None when nothing does."""

    port: int
    variable: str | None
    protocol: Protocol
    purpose: str
    sources: tuple[str, ...]
    tls: Literal["1.3", "none"]
    starttls: StartTls | None
    server_name: ExtraName | None
    authority: AuthorityName


def agreed_variables(manifest: RoleManifest) -> Iterator[str]:
    """Variables that must be the same on all hosts of a role: others would else not know which value to use."""
    yield from (spec.port for spec in manifest.ports if isinstance(spec.port, str))
    yield from (name for spec in manifest.destinations for name in (spec.servers, spec.port))
    yield from manifest.entered_secrets.values()
    yield from manifest.shared


def host_variables(manifest: RoleManifest) -> Iterator[str]:
    """Variables others read that each host may have its own value of."""
    directories = dict.fromkeys((*manifest.data_directories, *manifest.fsync_directories))
    yield from (directory for directory in directories if not directory.startswith("/"))
    yield from manifest.shared_by_host


def listeners_of(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> list[Listener]:
    """Everything that listens on a host.

    Args:
        site: The resolved `site` variable.
        host: Name of a host of the site.
        manifests: The roles' manifests.
    """
    return [
        Listener(
            port=port_number(site, spec),
            variable=spec.port if isinstance(spec.port, str) else None,
            protocol=spec.protocol,
            purpose=spec.purpose,
            sources=spec.sources,
            tls=spec.tls,
            starttls=spec.starttls,
            server_name=spec.server_name,
            authority=spec.authority,
        )
        for role in roles_of(manifests, tuple(site["hosts"][host]["groups"]))
        for spec in role.ports
    ]


def port_number(site: Mapping[str, Any], spec: PortSpec) -> int:
    """The number a port has on a site."""
    return int(site["settings"][spec.port]) if isinstance(spec.port, str) else spec.port


def data_directories_of(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> list[str]:
    """Where data lives on a host that must not be lost, sorted."""
    roles = roles_of(manifests, tuple(site["hosts"][host]["groups"]))
    return _paths(site, host, (directory for role in roles for directory in role.data_directories))


def fsync_directories_of(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> list[str]:
    """Directories of a host whose disk must be quick to sync, sorted."""
    roles = roles_of(manifests, tuple(site["hosts"][host]["groups"]))
    return _paths(site, host, (directory for role in roles for directory in role.fsync_directories))


def _paths(site: Mapping[str, Any], host: str, directories: Iterator[str]) -> list[str]:
    """The paths themselves; a variable that is empty names none."""
    own = site["hosts"][host]["settings"]
    found = {directory if directory.startswith("/") else str(own[directory]) for directory in directories}
    return sorted(found - {""})
