"""What a site as a whole must satisfy before any host is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from installer.documents import Problem
from installer.manifests.traffic import NTP_PORT, is_address
from installer.services import known_services
from installer.services.formulas.postgresql import CONNECTIONS_FOR_OPERATION
from installer.site.model import GROUPS, Host, Site

Rule: TypeAlias = Callable[[Site], Iterator[Problem]]

_DATABASE: Final = "postgresql"
_DIRECTORY: Final = ("engine_ldap_ca", "engine_ldap_base", "engine_ldap_group_base", "engine_ldap_bind_dn")


def members(site: Site) -> Iterator[Problem]:
    """Each group has the number of hosts it needs."""
    where = str(site.path / "hosts.yml")
    for group, rule in GROUPS.items():
        count = len(site.groups[group])
        if count == 0 and rule.required:
            yield Problem(where, f"the group {group} has no host", "add at least one host to it under children:")
        if rule.voters and count and count % 2 == 0:
            last = str(site.hosts[site.groups[group][-1]].source)
            what = f"the group {group} has {count} hosts, but its members vote: the number must be odd"
            yield Problem(last, what, f"use {count - 1} or {count + 1} hosts: one, three or five")
        if rule.at_most is not None and count > rule.at_most:
            last = str(site.hosts[site.groups[group][-1]].source)
            yield Problem(last, f"the group {group} has {count} hosts", f"allowed: at most {rule.at_most}")


def addresses(site: Site) -> Iterator[Problem]:
    """Each host has one address of its own, in the site's subnet."""
    used: dict[str, Host] = {}
    for host in site.hosts.values():
        first = used.setdefault(str(host.address), host)
        if first is not host:
            what = f"{host.name} has the address {host.address}, which {first.name} has too ({first.source})"
            yield Problem(str(host.source), what, "give each host its own address")
        if host.address not in site.network:
            what = f"{host.name} has the address {host.address} outside of {site.network}"
            fix = f"correct the address or sitewright.network ({site.sources['network']})"
            yield Problem(str(host.source), what, fix)
        elif host.address in (site.network.network_address, site.network.broadcast_address):
            what = f"{host.name} has the address {host.address}, which is the subnet's own"
            yield Problem(str(host.source), what, f"use an address inside {site.network}")


def virtual_ip(site: Site) -> Iterator[Problem]:
    """The virtual IP is a free address of the subnet."""
    where = str(site.sources["virtual_ip"])
    address = site.virtual_ip
    if address not in site.network:
        what = f"sitewright.virtual_ip {address} is outside of {site.network}"
        yield Problem(where, what, "use a free address of the hosts' subnet")
    elif address in (site.network.network_address, site.network.broadcast_address):
        what = f"sitewright.virtual_ip {address} is the subnet's own address"
        yield Problem(where, what, f"use a free address inside {site.network}")
    for host in site.hosts.values():
        if host.address == address:
            what = f"sitewright.virtual_ip {address} is the address of {host.name} ({host.source})"
            yield Problem(where, what, "use an address no host has")


def router_id(site: Site) -> Iterator[Problem]:
    """The virtual IP's last number is VRRP's router id, which RFC 5798 lets begin at 1."""
    if int(site.virtual_ip) % 256 == 0:
        what = f"sitewright.virtual_ip {site.virtual_ip} ends in 0, and its last number is the gateways' VRRP router id"
        yield Problem(str(site.sources["virtual_ip"]), what, "use an address that ends in 1 to 255")


def names(site: Site) -> Iterator[Problem]:
    """The public name is nobody's own name, or certificates and hosts files would contradict."""
    for host in site.hosts.values():
        if host.fqdn == site.public_name:
            what = f"sitewright.public_name {site.public_name} is the name of {host.name}"
            yield Problem(str(site.sources["public_name"]), what, "use another name for the users")


def drained(site: Site) -> Iterator[Problem]:
    """The engines that get no requests are engines, and one is left that does."""
    engines = site.groups["engine"]
    for host in site.hosts.values():
        setting = host.settings.get("gateway_drained_engines")
        if setting is None:
            continue
        where = str(setting.source)
        for name in setting.value:
            if name not in engines:
                what = f"gateway_drained_engines: {name} is no engine"
                yield Problem(where, what, f"engines are: {', '.join(engines)}")
        if engines and not set(engines) - set(setting.value):
            yield Problem(where, "gateway_drained_engines leaves no engine", "take one out of the list")


def time_servers(site: Site) -> Iterator[Problem]:
    """A time server that is a name is let through the hosts' rules by its addresses, which somebody must have named."""
    for host in site.hosts.values():
        setting = host.settings.get("base_time_servers")
        named = [server for server in (setting.value if setting else ()) if not is_address(server)]
        destinations = host.settings.get("firewall_destinations")
        let_out = any(
            each.get("protocol") == "udp" and NTP_PORT in each.get("ports", ())
            for each in (destinations.value if destinations else ())
        )
        if setting is not None and named and not let_out:
            what = f"base_time_servers: {named[0]} is a name, and the hosts' firewall lets only addresses through"
            fix = "write its address, or name its addresses in firewall_destinations (protocol: udp, ports: [123])"
            yield Problem(str(setting.source), what, fix)
            return


def directory(site: Site) -> Iterator[Problem]:
    """A directory is named whole: who is believed, where people are, who looks them up."""
    for name in site.groups["engine"]:
        settings = site.hosts[name].settings
        servers = settings.get("engine_ldap_servers")
        if servers is None or not servers.value:
            continue
        missing = [each for each in _DIRECTORY if each not in settings or not settings[each].value]
        if missing:
            what = f"engine_ldap_servers names a directory, but {', '.join(missing)} is missing"
            yield Problem(str(servers.source), what, "see docs/logins.md, The hospital's directory")
            return


def connections(defaults: Mapping[str, Any]) -> Rule:
    """The pools of all services that use the database fit into its connections.

    A limit the operator did not set is sized by the pools when the database is configured, so only a
    limit that was set can be too small.

    Args:
        defaults: The roles' variables with their defaults, for pools on which the operator is silent.
    """

    def rule(site: Site) -> Iterator[Problem]:
        limit, where = _limit(site)
        claims = [
            (site.hosts[host], claim.variable)
            for service in known_services().values()
            for claim in service.connections
            if claim.to == _DATABASE
            for host in site.groups[service.group]
        ]
        pools = [_pool(host, variable, defaults.get(variable)) for host, variable in claims]
        sizes = [size for size, _source in pools if size is not None]
        if limit is None or not sizes or len(sizes) < len(pools):
            return
        wanted = sum(sizes) + CONNECTIONS_FOR_OPERATION
        if wanted <= limit:
            return
        source = next((source for _size, source in pools if source), where)
        names = " and ".join(dict.fromkeys(variable for _host, variable in claims))
        what = (
            f"{names}: the pools ({' + '.join(map(str, sizes))}) and {CONNECTIONS_FOR_OPERATION}"
            f" reserved connections need {wanted}, but PostgreSQL's max_connections is {limit} ({where})"
        )
        fits = max((limit - CONNECTIONS_FOR_OPERATION) // len(sizes), 1)
        yield Problem(source, what, f"set {names} to at most {fits}, or max_connections to at least {wanted}")

    return rule


def _pool(host: Host, variable: str, otherwise: int | None) -> tuple[int | None, str]:
    """The pool of a host and where it was written, if it was."""
    setting = host.settings.get(variable)
    return (otherwise, "") if setting is None else (int(setting.value), str(setting.source))


def _limit(site: Site) -> tuple[int | None, str]:
    """The smallest limit set for a database host, any of which may be the primary, and its place."""
    found = []
    for name in site.groups[known_services()[_DATABASE].group]:
        free = site.hosts[name].settings.get("postgresql_settings")
        if free is not None and isinstance(free.value.get("max_connections"), int):
            found.append((free.value["max_connections"], str(free.source)))
    return min(found) if found else (None, "")


RULES: Final[tuple[Rule, ...]] = (members, addresses, virtual_ip, router_id, names, drained, time_servers, directory)
