"""What a rehearsal is made of, and where it keeps its things."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOGIN_USER: Final = "sitewright"
# A client's first choice in Debian 12 resists quantum computers and takes 0.2 s of a processor for a login. Rehearsal
# hosts are on this machine, where nobody can listen to begin with.
KEY_EXCHANGE: Final = "curve25519-sha256"
_SITE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_HOST_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Machine(StrEnum):
    """What a rehearsal host is."""

    CONTAINER = "container"
    VIRTUAL_MACHINE = "vm"


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalSpec:
    """The part of a site that matters to throwaway hosts.

    Attributes:
        site: The site's name; namespace, control group and folder are named after it.
        network: The network all hosts are in, as `10.20.0.0/24`.
        hosts: Address of each host by its short name.
        virtual_ip: The address that moves between hosts; empty when there is none.
        machine: What each host is.
        memory_mb: Memory of a virtual machine in MB; a container shares the controller's.
        cores: Processors of a virtual machine.
    """

    site: str
    network: str
    hosts: Mapping[str, str]
    virtual_ip: str = ""
    machine: Machine = Machine.CONTAINER
    memory_mb: int = 2048
    cores: int = 2

    def __post_init__(self) -> None:
        """Refuse what could not be booted."""
        if not _SITE_NAME.fullmatch(self.site):
            raise ConfigurationError(
                f"{self.site!r} cannot be the name of a rehearsal",
                hint="use at most 40 lower-case letters, digits and hyphens",
            )
        network = ipaddress.ip_network(self.network)
        taken = [*self.hosts.values(), *([self.virtual_ip] if self.virtual_ip else [])]
        for name in self.hosts:
            if not _HOST_NAME.fullmatch(name):
                raise ConfigurationError(
                    f"{name!r} cannot be the name of a host",
                    hint="use at most 63 lower-case letters, digits and hyphens",
                )
        for address in taken:
            if ipaddress.ip_address(address) not in network:
                raise ConfigurationError(
                    f"{address} is not in the network {self.network} of {self.site}",
                    hint="correct the address or the network in the inventory",
                )
        if len(set(taken)) != len(taken):
            raise ConfigurationError(
                f"two hosts of {self.site} have the same address",
                hint="give each host, and the virtual address, one of its own",
            )

    @property
    def prefix_length(self) -> int:
        """Length of the network's prefix, 24 for a /24."""
        return ipaddress.ip_network(self.network).prefixlen

    @property
    def controller_address(self) -> str:
        """The highest address nobody else has: this machine's own on the bridge."""
        network = ipaddress.ip_network(self.network)
        taken = {ipaddress.ip_address(a) for a in (*self.hosts.values(), self.virtual_ip) if a}
        for number in range(network.num_addresses - 2, 0, -1):
            if network[number] not in taken:
                return str(network[number])
        raise ConfigurationError(
            f"{self.network} has no address left for the controller",
            hint="use a larger network",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A site's throwaway hosts.

    Attributes:
        spec: What was asked for.
        folder: Everything the rehearsal keeps on disk; `down` removes all of it.
    """

    spec: RehearsalSpec
    folder: Path

    @property
    def namespace(self) -> str:
        """Name of the network namespace the hosts live in."""
        return namespace_of(self.spec.site)

    @property
    def user(self) -> str:
        """The admin user to log in as; it may use sudo, as on a real site."""
        return LOGIN_USER

    @property
    def private_key(self) -> Path:
        """Key of the login user, made for this rehearsal alone."""
        return self.folder / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' own keys, so that host key checking stays on."""
        return self.folder / "ssh" / "known_hosts"

    def host_folder(self, name: str) -> Path:
        """What one host keeps on disk."""
        if name not in self.spec.hosts:
            known = ", ".join(self.spec.hosts)
            raise ConfigurationError(
                f"the rehearsal of {self.spec.site} has no host {name!r}",
                hint=f"its hosts are {known}",
            )
        return self.folder / "hosts" / name

    def enter_argv(self) -> list[str]:
        """Put this before a command to run it on this machine, inside the rehearsal's network."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--"]

    def to_json(self) -> str:
        """What is written down about the rehearsal."""
        spec = self.spec
        raw = {
            "site": spec.site,
            "network": spec.network,
            "hosts": dict(spec.hosts),
            "virtual_ip": spec.virtual_ip,
            "machine": spec.machine,
            "memory_mb": spec.memory_mb,
            "cores": spec.cores,
        }
        return json.dumps(raw, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, folder: Path) -> Self:
        """Read back what `to_json` wrote."""
        raw: dict[str, Any] = json.loads(text)
        machine = Machine(raw.pop("machine", Machine.CONTAINER))  # once there was no other
        return cls(spec=RehearsalSpec(**raw, machine=machine), folder=folder)


def namespace_of(site: str) -> str:
    """Name of a site's network namespace."""
    return f"sw-{site}"
