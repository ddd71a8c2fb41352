"""Which certificates a host needs, from its groups and the roles' manifests."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from installer.manifests import SITE_AUTHORITY, roles_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from installer.manifests import RoleManifest

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the certificate of one service on one host must say.

    Attributes:
        dns_names: Names it is valid for; the first, the host's full name, is also its subject.
        ip_addresses: Addresses it is valid for.
        usages: `server`, `client` or both.
    """

    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    usages: tuple[str, ...]

    @classmethod
    def from_variables(cls, variables: Mapping[str, Any]) -> Wanted:
        """Read what `certificates_wanted` gave to Ansible."""
        return cls(
            dns_names=tuple(variables["dns_names"]),
            ip_addresses=tuple(variables["ip_addresses"]),
            usages=tuple(variables["usages"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """Files for a TLS client; they are gone when the block that made them ends.

    Attributes:
        certificate: Its certificate.
        key: Its private key, readable for this user alone.
        ca: Certificates of the authorities whose servers it may trust.
    """

    certificate: Path
    key: Path
    ca: Path


def certificates_wanted(
    site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]
) -> dict[str, dict[str, Any]]:
    """The certificates of a host by service, as plain values for Ansible; `authority` where it is not the site's.

    Args:
        site: The resolved `site` variable.
        host: Name of a host of the site.
        manifests: The roles' manifests.
    """
    own = site["hosts"][host]
    always = [own["fqdn"], host, own["address"], *_LOCAL_NAMES]
    wanted: dict[str, dict[str, Any]] = {}
    for manifest in roles_of(manifests, tuple(own["groups"])):
        for service, spec in manifest.certificates.items():
            names = [*always, *(site[keyword] for keyword in spec.names)]
            wanted[service] = {
                "dns_names": [name for name in names if not _is_address(name)],
                "ip_addresses": [name for name in names if _is_address(name)],
                "usages": list(spec.usages),
            }
            if spec.authority != SITE_AUTHORITY:
                wanted[service]["authority"] = spec.authority
    return dict(sorted(wanted.items()))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
