"""Who talks to whom, as one host's packet filter must see it: the roles' `ports: ... from:` read from both ends."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final

from installer.manifests import ALL_HOSTS, CONTROLLER, USERS, roles_of
from installer.manifests.shared import listeners_of, port_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from installer.manifests import PortSpec, RoleManifest

# Sets of addresses that every rule set has; the module on the host fills that of the controller.
SITE_SET: Final = "site"
USERS_SET: Final = "users"
CONTROLLERS_SET: Final = "controllers"
NTP_PORT: Final = 123
_VIRTUAL_ADDRESS: Final = "virtual_ip"
# Where a router of VRRP speaks to all others (RFC 5798, 5.1.1.2).
_VRRP_GROUP: Final = "224.0.0.18"


class _Rules:
    """What is gathered for one host: named sets, and the two lists in their order."""

    def __init__(self) -> None:
        self.sets: dict[str, list[str]] = {}
        self.lists: dict[str, list[dict[str, str]]] = {"input": [], "output": []}

    def allow(self, direction: str, match: str, purpose: str) -> None:
        """Add a rule, once."""
        rule = {"match": match, "purpose": _comment(purpose)}
        if rule not in self.lists[direction]:
            self.lists[direction].append(rule)

    def named(self, name: str, addresses: list[str]) -> str:
        """A set by its name; the same name always holds the same."""
        self.sets[name] = sorted(addresses, key=ipaddress.ip_network)
        return f"@{name}"


def rules_of(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> dict[str, Any]:
    """What a host lets in and out beside what every host needs (its own, answers, SSH from the controller).

    Args:
        site: The resolved site.
        host: Short name of the host.
        manifests: The roles' manifests.

    Returns:
        `sets`, a list of names with addresses; `input` and `output`, lists of rules with `match` and `purpose`;
        `controllers`, further networks of controllers; and the `digest` of it all.
    """
    own = site["hosts"][host]["settings"]
    rules = _Rules()
    rules.named(SITE_SET, [site["network"]])
    _listening(rules, site, host, manifests)
    _calling(rules, site, host, manifests)
    for server in own["base_time_servers"]:
        if is_address(server):
            rules.allow("output", f"ip daddr {server} udp dport {NTP_PORT}", "Clock: time server of the hospital")
    for role in roles_of(manifests, tuple(site["hosts"][host]["groups"])):
        for spec in role.destinations:
            port = site["settings"][spec.port]
            for server in site["settings"][spec.servers]:
                rules.allow("output", f"ip daddr {server['address']} tcp dport {port}", f"Outside: {spec.purpose}")
    for destination in own["firewall_destinations"]:
        ports = ", ".join(map(str, sorted(destination["ports"])))
        networks = ", ".join(sorted(destination["networks"], key=ipaddress.ip_network))
        match = f"ip daddr {{ {networks} }} {destination.get('protocol', 'tcp')} dport {{ {ports} }}"
        rules.allow("output", match, f"Outside the site: {destination['name']}")
    made: dict[str, Any] = {
        "sets": [{"name": name, "addresses": addresses} for name, addresses in sorted(rules.sets.items())],
        **rules.lists,
        "controllers": sorted(own["firewall_controller_networks"], key=ipaddress.ip_network),
    }
    return {**made, "digest": hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]}


def is_address(text: str) -> bool:
    """Whether it is an IPv4 address; names are not for a packet filter, which would ask for them once and for all."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def unneeded(site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> list[tuple[str, int, str]]:
    """TCP ports of other hosts that a host has no business with: address, port, and what listens there."""
    groups = {ALL_HOSTS, *site["hosts"][host]["groups"]}
    found = [
        (other["address"], listener)
        for name, other in site["hosts"].items()
        if name != host
        for listener in listeners_of(site, name, manifests)
        if listener.protocol == "tcp"
    ]
    wanted = {(address, each.port) for address, each in found if groups & set(each.sources)}
    return [
        (address, each.port, each.purpose)
        for address, each in found
        if (address, each.port) not in wanted and USERS not in each.sources
    ]


def _listening(rules: _Rules, site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> None:
    networks = site["hosts"][host]["settings"]["firewall_user_networks"]
    for listener in listeners_of(site, host, manifests):
        for source in listener.sources:
            where = _port(listener.protocol, listener.port)
            if source == USERS:
                match = (
                    f"ip saddr {rules.named(USERS_SET, networks)} {where}" if networks else f"meta nfproto ipv4 {where}"
                )
            elif source == CONTROLLER:
                match = f"ip saddr @{CONTROLLERS_SET} {where}"
            elif source == ALL_HOSTS:
                match = f"ip saddr @{SITE_SET} {where}"
            elif addresses := _addresses(site, source, but=host):
                match = f"ip saddr {rules.named(source, addresses)} {where}"
            else:
                continue
            rules.allow("input", match, f"{listener.purpose}, from {source}")


def _calling(rules: _Rules, site: Mapping[str, Any], host: str, manifests: Mapping[str, RoleManifest]) -> None:
    groups = {ALL_HOSTS, *site["hosts"][host]["groups"]}
    for manifest, spec in _ports_for(groups, manifests):
        targets = _addresses(site, manifest.group, but=host)
        if not targets:
            if spec.protocol == "vrrp":  # a gateway without another tells the network, so that a stranger's is noticed
                where = _port(spec.protocol, port_number(site, spec))
                rules.allow("output", f"ip daddr {_VRRP_GROUP} {where}", f"{spec.purpose}, to whom it may concern")
            continue
        if manifest.group == ALL_HOSTS:
            to = f"@{SITE_SET}"
        elif spec.protocol == "tcp" and _moves(manifest):
            to = rules.named(f"{manifest.group}_and_virtual_address", [*targets, site["virtual_ip"]])
        else:
            to = rules.named(manifest.group, targets)
        where = _port(spec.protocol, port_number(site, spec))
        rules.allow("output", f"ip daddr {to} {where}", f"{spec.purpose}, to {manifest.group}")


def _ports_for(groups: set[str], manifests: Mapping[str, RoleManifest]) -> Iterator[tuple[RoleManifest, PortSpec]]:
    for name in sorted(manifests):
        for spec in manifests[name].ports:
            if groups & set(spec.sources):
                yield manifests[name], spec


def _moves(manifest: RoleManifest) -> bool:
    """Whether the virtual address leads to this role's hosts: their certificate carries it."""
    return any(_VIRTUAL_ADDRESS in spec.names for spec in manifest.certificates.values())


def _addresses(site: Mapping[str, Any], group: str, *, but: str) -> list[str]:
    """Addresses of the other hosts of a group; what a host says to itself crosses no card."""
    members = site["hosts"] if group == ALL_HOSTS else site["groups"].get(group, [])
    return [str(site["hosts"][name]["address"]) for name in members if name != but]


def _port(protocol: str, port: int) -> str:
    return f"{protocol} dport {port}" if protocol in ("tcp", "udp") else f"ip protocol {port}"


def _comment(text: str) -> str:
    """Text as nft takes it in a comment: no quotes, at most 128 characters."""
    return text.replace('"', "'")[:128]
