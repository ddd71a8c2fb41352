"""A hospital's site: its hosts, what each of them does, and where each setting was written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from installer.services import GroupRule, groups

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from ipaddress import IPv4Address, IPv4Network
    from pathlib import Path

    from installer.documents import Source

SiteClass = Literal["production", "staging", "development"]

REHEARSAL_CORES: Final = 2
REHEARSAL_MEMORY_MB: Final = 2048
# One rehearsal host that carries every tier at once.
REHEARSAL_SINGLE_HOST_MEMORY_MB: Final = 6144


# The roles a host can play.
GROUPS: Final[Mapping[str, GroupRule]] = groups()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value of the operator's and the place it was written."""

    value: Any
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A check that may fail, where, why, and until when.

    Attributes:
        check: Id of the check.
        host: The host it may fail on, or None for all.
        about: The one thing on the host it may fail about (a port, a unit, a path), or None for all.
        reason: Why.
        expires: The last day on which it may.
        source: Where the waiver is written.
    """

    check: str
    host: str | None
    about: str | None
    reason: str
    expires: date
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine of the site.

    Attributes:
        name: Short name, as in the inventory.
        address: Address in the site's network, which all services use.
        fqdn: Full name.
        groups: Groups it is in, in the model's order.
        memory_mb: Most memory that may be planned with, or None for all it has.
        cores: Most cores that may be planned with, or None for all it has.
        connection: How the controller reaches it: Ansible's connection variables.
        settings: Role variables that hold for it, from all, its groups and itself.
        shared: Those of its roles' variables that others read, defaults included.
        source: Where the host is written.
    """

    name: str
    address: IPv4Address
    fqdn: str
    groups: tuple[str, ...]
    memory_mb: int | None
    cores: int | None
    connection: Mapping[str, Any]
    settings: Mapping[str, Setting]
    shared: Mapping[str, Any] = field(default_factory=dict)
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything the operator said about a site, checked.

    Attributes:
        path: The inventory folder.
        name: Name of the site; also of its clusters.
        site_class: How strict preflight is.
        domain: Domain of the hosts.
        public_name: Name the users open.
        network: The hosts' subnet.
        virtual_ip: Address of the public name, held by one gateway at a time.
        timezone: Time zone of all hosts.
        rehearsal: Whether the hosts are throwaway containers on the controller.
        hosts: Hosts by name.
        groups: Names of the hosts in each group of the model.
        waivers: Checks that may fail.
        applications: What the site's applications say, plain, by name.
        shared: Role variables that others read and all hosts of a role agree on, defaults included.
        certificates_directory: Custom certificates, or None for the private CA.
        sources: Where each key of `sitewright:` was written.
    """

    path: Path
    name: str
    site_class: SiteClass
    domain: str
    public_name: str
    network: IPv4Network
    virtual_ip: IPv4Address
    timezone: str
    rehearsal: bool
    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    waivers: tuple[Waiver, ...]
    applications: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, Any] = field(default_factory=dict)
    certificates_directory: Path | None
    sources: Mapping[str, Source]

    def resolved(self) -> dict[str, Any]:
        """The `site` variable of the playbooks: complete, plain, without a secret."""
        return {
            "name": self.name,
            "site_class": self.site_class,
            "domain": self.domain,
            "public_name": self.public_name,
            # What the gateways ask every engine for; nobody outside the site does.
            "engine_name": f"process-engine.{self.domain}",
            "network": str(self.network),
            "virtual_ip": str(self.virtual_ip),
            "timezone": self.timezone,
            "rehearsal": self.rehearsal,
            "hosts": {name: self._resolved_host(host) for name, host in self.hosts.items()},
            "groups": {name: list(members) for name, members in self.groups.items()},
            "applications": {name: dict(said) for name, said in self.applications.items()},
            "settings": dict(self.shared),
            "waivers": [
                {"check": each.check, "host": each.host, "reason": each.reason, "expires": str(each.expires)}
                for each in self.waivers
            ],
        }

    def settings_of(self, host: str) -> dict[str, Any]:
        """The operator's role variables for a host, without their sources."""
        return {name: setting.value for name, setting in self.hosts[host].settings.items()}

    def digest(self) -> str:
        """A hash of all that decides what the hosts will be like; not of how they are reached."""
        inputs = {
            "site": self.resolved(),
            "settings": {name: self.settings_of(name) for name in self.hosts},
            "own_certificates": self.certificates_directory is not None,
        }
        text = json.dumps(inputs, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _resolved_host(self, host: Host) -> dict[str, Any]:
        memory_mb, cores = host.memory_mb, host.cores
        if self.rehearsal:
            share = REHEARSAL_SINGLE_HOST_MEMORY_MB if len(self.hosts) == 1 else REHEARSAL_MEMORY_MB
            memory_mb = min(memory_mb or share, share)
            cores = min(cores or REHEARSAL_CORES, REHEARSAL_CORES)
        return {
            "address": str(host.address),
            "fqdn": host.fqdn,
            "groups": list(host.groups),
            "memory_mb": memory_mb,
            "cores": cores,
            "settings": dict(host.shared),
        }
