"""Between hosts: every connection the platform will make is made once, against a real listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.checks import hosts
from installer.checks.preflight import thresholds
from installer.checks.preflight.probe import USUAL_MTU_BYTES
from installer.manifests import ALL_HOSTS, CONTROLLER
from installer.manifests.shared import listeners_of
from installer.manifests.traffic import rules_of
from installer.report import CheckResult, listed, passed_if

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """Open listeners everywhere, then let every host try those it will talk to, some hosts at a time."""
    names = list(facts)
    targets = {
        host: [target for target in targets_of(site, manifests, host) if target["host"] in facts] for host in names
    }
    listens = {
        host: {
            "do": "listen",
            "address": site["hosts"][host]["address"],
            "ports": sorted({port.port for port in ports_of(site, manifests, host)}),
            "mtu_port": MTU_PORT,
            "model": rules_of(site, host, manifests)["digest"],
            "site": [each["address"] for each in site["hosts"].values()],
        }
        for host in names
    }
    connects = {
        host: {
            "do": "connect",
            "targets": targets[host],
            # Packets are tried there and back, so it is enough that the one who will call tries them.
            "peers": sorted({target["address"] for target in targets[host]}),
            "mtu_port": MTU_PORT,
            "mtu": int(facts[host]["interface"]["mtu"] or thresholds.MTU_BYTES),
        }
        for host in names
    }
    probes.ask(listens)  # a host that could not listen says so when it is asked to connect
    answers = probes.ask(connects)
    known = {site["hosts"][host]["address"]: host for host in site["hosts"]}
    return [
        result
        for host in names
        for result in (_reach(host, answers[host]), *_mtu(host, answers[host], connects[host], known))
    ]


def _reach(host: str, answer: hosts.Answer) -> CheckResult:
    """Whether every connection a host will make can be made."""
    common: dict[str, str] = {"check": "network.reach", "host": host, "wanted": "every connection it will make"}
    if answer.step:
        return passed_if(False, **common, measured=answer.error, fix=hosts.STEP_FIXES[answer.step])
    reached = answer.data["reached"]
    lost = [f"{each['host']}:{each['port']} ({each['error']})" for each in reached if each["error"]]
    if not lost:
        return passed_if(True, **common, measured=f"{len(reached)} of {len(reached)} connections")
    silent = any("no answer" in each["error"] for each in reached)
    return passed_if(
        False,
        **common,
        **listed(lost, total=len(reached), what="connections failed"),
        fix="open these ports between the hosts; docs/ports.md lists who talks to whom"
        + ("; no answer at all is a firewall that drops, or a host that is gone" if silent else ""),
    )


def _mtu(host: str, answer: hosts.Answer, order: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[CheckResult]:
    """Whether full packets cross: what is too big, and apart from it what nobody answered."""
    wanted = order["mtu"]
    common: dict[str, Any] = {"check": "network.mtu", "host": host, "wanted": f"{wanted} B packets cross unfragmented"}
    if answer.step:
        yield passed_if(False, **common, measured=answer.error, fix=hosts.STEP_FIXES[answer.step])
        return
    sizes = {known[address]: found for address, found in answer.data["mtu"].items()}
    silent = [peer for peer, found in sizes.items() if not found["answered"]]
    small = [
        f"{peer} ({found['size'] or 'fewer than ' + str(min(USUAL_MTU_BYTES))} B{_way(found['got'])})"
        for peer, found in sizes.items()
        if found["answered"] and found["size"] < wanted
    ]
    if small:
        yield passed_if(
            False,
            **common,
            **listed(small, total=len(sizes), what=f"hosts: {wanted} B are too big"),
            fix="set one MTU on all interfaces and switches between the hosts, or let ICMP 'too big' pass",
        )
    if silent:
        yield passed_if(
            False,
            **common,
            **listed(silent, total=len(sizes), what=f"hosts gave no answer in time on UDP port {MTU_PORT}"),
            fix=f"this says nothing about sizes: let UDP port {MTU_PORT} pass between the hosts during preflight,"
            " or run it again when they are less busy",
        )
    if not small and not silent:
        yield passed_if(True, **common, measured=f"{wanted} B packets cross to {len(sizes)} hosts and back")


def _way(got: str) -> str:
    """Where a packet that is too big was lost."""
    return ", lost on the way back" if got == "there" else ""
