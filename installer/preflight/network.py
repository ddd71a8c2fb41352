"""Between hosts: every connection the platform will make is made once, against a real listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.manifests import ALL_HOSTS, CONTROLLER
from installer.manifests.shared import listeners_of
from installer.preflight import hosts, thresholds
from installer.report import CheckResult, passed_if

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.manifests import RoleManifest
    from installer.manifests.shared import Listener

# Beside the range traceroute uses, so a firewall that lets diagnosis through lets this through.
MTU_PORT: Final = 33499


def ports_of(site: Mapping[str, Any], manifests: Mapping[str, RoleManifest], host: str) -> list[Listener]:
    """TCP listeners of a host."""
    return [listener for listener in listeners_of(site, host, manifests) if listener.protocol == "tcp"]


def targets_of(site: Mapping[str, Any], manifests: Mapping[str, RoleManifest], host: str) -> list[dict[str, Any]]:
    """What a host will connect to on other hosts."""
    groups = {ALL_HOSTS, *site["hosts"][host]["groups"]}
    return [
        {"host": other, "address": site["hosts"][other]["address"], "port": port.port}
        for other in site["hosts"]
        if other != host
        for port in ports_of(site, manifests, other)
        if groups & set(port.sources) - {CONTROLLER}
    ]


def check(
    site: Mapping[str, Any],
    manifests: Mapping[str, RoleManifest],
    probes: hosts.Probes,
    facts: Mapping[str, Mapping[str, Any]],
) -> list[CheckResult]:
    """Open listeners everywhere, then let every host try its peers, both ways."""
    names = list(facts)
    listens = {
        host: {
            "do": "listen",
            "address": site["hosts"][host]["address"],
            "ports": sorted({port.port for port in ports_of(site, manifests, host)}),
            "mtu_port": MTU_PORT,
        }
        for host in names
    }
    connects = {
        host: {
            "do": "connect",
            "targets": [target for target in targets_of(site, manifests, host) if target["host"] in facts],
            "peers": [site["hosts"][other]["address"] for other in names if other != host],
            "mtu_port": MTU_PORT,
            "mtu": int(facts[host]["interface"]["mtu"] or thresholds.MTU_BYTES),
        }
        for host in names
    }
    probes.ask(listens)  # a host that could not listen says so when it is asked to connect
    answers = probes.ask(connects)
    return [result for host in names for result in _verdicts(host, answers[host], connects[host])]


def _verdicts(host: str, answer: hosts.Answer, order: Mapping[str, Any]) -> list[CheckResult]:
    reached = answer.data.get("reached", [])
    lost = [f"{each['host']}:{each['port']} {each['error']}" for each in reached if each["error"]]
    sizes = answer.data.get("mtu", {})
    small = {peer: size for peer, size in sizes.items() if size < order["mtu"]}
    return [
        passed_if(
            not answer.step and not lost,
            check="network.reach",
            host=host,
            measured=answer.error or "; ".join(lost) or f"{len(reached)} of {len(reached)} connections",
            wanted=f"{len(order['targets'])} of {len(order['targets'])} connections",
            fix="open these ports between the hosts; docs/ports.md lists who talks to whom",
        ),
        passed_if(
            not answer.step and not small,
            check="network.mtu",
            host=host,
            measured=answer.error
            or "; ".join(f"{size or 'no'} B reach {peer}" for peer, size in small.items())
            or f"{order['mtu']} B packets reach {len(sizes)} hosts",
            wanted=f"{order['mtu']} B packets reach {len(order['peers'])} hosts unfragmented",
            fix="set one MTU on all interfaces and switches between the hosts, or let ICMP 'too big' pass",
        ),
    ]
