"""What each host lets in and out, as it follows from the manifests, and both ends of it agree."""

from __future__ import annotations

import ipaddress
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.documents import DocumentError
from installer.manifests import load_manifests
from installer.manifests.shared import listeners_of
from installer.manifests.traffic import rules_of, unneeded
from installer.site import load_site
from tests.hospital_authority import hospital_certificate

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = load_manifests(ROOT)
FREE = "meta nfproto ipv4 "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inventories" / "hospital-a"
    shutil.copytree(ROOT / "inventories" / "hospital-a", folder)
    return folder


def resolved(folder: Path, text: str = "") -> dict[str, Any]:
    if text:
        (folder / "group_vars" / "all" / "firewall.yml").write_text(f"---\n{text}\n")
    return load_site(folder, manifests=MANIFESTS).resolved()


def lets(rules: dict[str, Any], direction: str, other: str, port: int, protocol: str = "tcp") -> bool:
    """Whether a host's rules let a connection with an address through; `other` is `controller` for that."""
    sets = {each["name"]: each["addresses"] for each in rules["sets"]}
    side = "saddr" if direction == "input" else "daddr"
    for rule in rules[direction]:
        wanted = f"{protocol} dport {port}" if protocol != "vrrp" else f"ip protocol {port}"
        if not rule["match"].endswith(wanted):
            continue
        found = re.search(rf"ip {side} @(\w+) ", rule["match"])
        if found is None:
            if rule["match"].startswith(FREE):
                return True
        elif found[1] == "controllers":
            if other == "controller":
                return True
        elif other != "controller" and any(
            ipaddress.ip_address(other) in ipaddress.ip_network(network) for network in sets[found[1]]
        ):
            return True
    return False


def test_both_ends_let_the_same_connections_through(folder: Path) -> None:
    site = resolved(folder)
    rules = {host: rules_of(site, host, MANIFESTS) for host in site["hosts"]}
    pairs = 0
    for caller, calling in site["hosts"].items():
        for called, target in site["hosts"].items():
            if caller == called:
                continue
            for listener in listeners_of(site, called, MANIFESTS):
                sources = set(listener.sources)
                needed = bool({"all", *calling["groups"]} & sources)
                where = (listener.port, listener.protocol)
                assert lets(rules[caller], "output", target["address"], *where) == needed, (caller, called, where)
                assert lets(rules[called], "input", calling["address"], *where) == (needed or "users" in sources)
                pairs += needed
    assert pairs > 100


def test_the_controller_is_let_in_where_the_table_says_and_called_by_nobody(folder: Path) -> None:
    site = resolved(folder)
    for host in site["hosts"]:
        rules = rules_of(site, host, MANIFESTS)
        for listener in listeners_of(site, host, MANIFESTS):
            where = (listener.port, listener.protocol)
            wanted = bool({"controller", "users"} & set(listener.sources))
            assert lets(rules, "input", "controller", *where) == wanted, (host, where)
        assert "@controllers" not in "".join(rule["match"] for rule in rules["output"])


def test_the_virtual_address_is_called_like_the_gateways_behind_it(folder: Path) -> None:
    site = resolved(folder)
    port = site["settings"]["gateway_machine_port"]
    assert lets(rules_of(site, "app1", MANIFESTS), "output", site["virtual_ip"], port)
    assert not lets(rules_of(site, "db1", MANIFESTS), "output", site["virtual_ip"], port)


@pytest.mark.parametrize("role", ["models", "worker"])
def test_a_role_whose_wiring_calls_the_public_name_is_let_out_to_it(folder: Path, role: str) -> None:
    """What a role calls stands in its wiring, who may call in the gateway's manifest: one without the other is shut."""
    wiring = (ROOT / "playbooks" / "group_vars" / "all" / f"{role}.yml").read_text()
    [url] = re.findall(r"https://{{ site\.public_name }}(?::{{ site\.settings\.(\w+) }})?/engine-rest", wiring)
    site = resolved(folder)
    port = site["settings"][url] if url else 443
    hosts = site["groups"][MANIFESTS[role].group]
    assert hosts
    for host in hosts:
        assert lets(rules_of(site, host, MANIFESTS), "output", site["virtual_ip"], port), host


def test_a_gateway_asks_for_the_virtual_address_wherever_it_is(folder: Path) -> None:
    check = (ROOT / "roles" / "gateway" / "vars" / "main.yml").read_text()
    assert ":443:{{ gateway_virtual_address" in check
    site = resolved(folder)
    for host in site["groups"]["gateway"]:
        assert lets(rules_of(site, host, MANIFESTS), "output", site["virtual_ip"], 443)


def test_users_come_from_anywhere_unless_the_site_names_their_networks(folder: Path) -> None:
    assert lets(rules_of(resolved(folder), "gw1", MANIFESTS), "input", "172.16.0.9", 443)
    rules = rules_of(resolved(folder, "firewall_user_networks: [10.30.0.0/16]"), "gw1", MANIFESTS)
    assert lets(rules, "input", "10.30.4.5", 443)
    assert not lets(rules, "input", "172.16.0.9", 443)
    assert lets(rules, "input", "controller", 443)


def test_a_destination_outside_is_only_what_the_inventory_names(folder: Path) -> None:
    before = rules_of(resolved(folder), "db1", MANIFESTS)
    text = """
base_time_servers: [10.1.0.123]
firewall_destinations:
  - {name: dns, networks: [10.1.0.54/32, 10.1.0.53/32], protocol: udp, ports: [53]}
  - {name: log-collector, networks: [10.1.7.20/32], ports: [6514]}
"""
    after = rules_of(resolved(folder, text), "db1", MANIFESTS)
    known = [rule for rule in after["output"] if rule not in before["output"]]
    assert [rule["match"] for rule in known] == [
        "ip daddr 10.1.0.123 udp dport 123",
        "ip daddr { 10.1.0.53/32, 10.1.0.54/32 } udp dport { 53 }",
        "ip daddr { 10.1.7.20/32 } tcp dport { 6514 }",
    ]
    assert after["input"] == before["input"]
    assert after["digest"] != before["digest"]


def test_a_time_server_with_a_name_needs_its_addresses(folder: Path) -> None:
    with pytest.raises(DocumentError, match=r"firewall\.yml:2: base_time_servers: ntp1\.hospital is a name"):
        resolved(folder, "base_time_servers: [ntp1.hospital]")
    text = "base_time_servers: [ntp1.hospital]\nfirewall_destinations:\n"
    text += "  - {name: clock, networks: [10.1.0.123/32], protocol: udp, ports: [123]}"
    assert lets_out(rules_of(resolved(folder, text), "db1", MANIFESTS), "udp dport { 123 }")


DIRECTORY = """
engine_ldap_servers:
  - {name: ldap1.hospital.example, address: 10.1.0.61}
  - {name: ldap2.hospital.example, address: 10.1.0.62}
engine_ldap_port: 3269
engine_ldap_base: ou=people,dc=hospital,dc=example
engine_ldap_group_base: ou=groups,dc=hospital,dc=example
engine_ldap_bind_dn: cn=sitewright,dc=hospital,dc=example
"""


def with_directory(folder: Path, text: str = DIRECTORY, *, trusted: bool = True) -> dict[str, Any]:
    said = {**yaml.safe_load(text), **({"engine_ldap_ca": hospital_certificate()} if trusted else {})}
    (folder / "group_vars" / "engine.yml").write_text(yaml.safe_dump(said))
    return resolved(folder)


def test_the_directory_is_called_by_the_engines_alone_and_needs_no_other_entry(folder: Path) -> None:
    before = resolved(folder)
    site = with_directory(folder)
    for host in site["hosts"]:
        plain = rules_of(before, host, MANIFESTS)["output"]
        known = [rule["match"] for rule in rules_of(site, host, MANIFESTS)["output"] if rule not in plain]
        wanted = ["ip daddr 10.1.0.61 tcp dport 3269", "ip daddr 10.1.0.62 tcp dport 3269"]
        assert known == (wanted if host in site["groups"]["engine"] else []), host


def test_a_directory_that_is_not_named_whole_is_refused(folder: Path) -> None:
    with pytest.raises(DocumentError, match=r"engine_ldap_servers names a directory, but engine_ldap_ca is missing"):
        with_directory(folder, trusted=False)
    with pytest.raises(DocumentError, match=r"engine_ldap_ca is 'no certificate'"):
        with_directory(folder, f"{DIRECTORY}engine_ldap_ca: no certificate", trusted=False)


def lets_out(rules: dict[str, Any], ending: str) -> bool:
    return any(rule["match"].endswith(ending) for rule in rules["output"])


def test_a_moved_port_moves_at_both_ends(folder: Path) -> None:
    (folder / "group_vars" / "redis.yml").write_text("---\nredis_port: 16379\n")
    site = resolved(folder)
    svc1 = site["hosts"]["svc1"]["address"]
    assert lets(rules_of(site, "app1", MANIFESTS), "output", svc1, 16379)
    assert lets(rules_of(site, "svc1", MANIFESTS), "input", site["hosts"]["app1"]["address"], 16379)
    assert not lets(rules_of(site, "app1", MANIFESTS), "output", svc1, 6379)


def test_a_host_alone_has_no_rule_for_others() -> None:
    site = load_site(ROOT / "inventories" / "clinic", manifests=MANIFESTS).resolved()
    rules = rules_of(site, "clinic1", MANIFESTS)
    assert [rule["match"] for rule in rules["output"]] == ["ip daddr 224.0.0.18 ip protocol 112"]
    assert {each["name"] for each in rules["sets"]} == {"site"}


def test_what_is_unneeded_is_what_no_rule_lets_out(folder: Path) -> None:
    site = resolved(folder)
    for host in site["hosts"]:
        rules = rules_of(site, host, MANIFESTS)
        found = unneeded(site, host, MANIFESTS)
        assert not [each for each in found if lets(rules, "output", each[0], each[1])]
    ports = {(address, port) for address, port, _ in unneeded(site, "gw1", MANIFESTS)}
    assert (site["hosts"]["db1"]["address"], 5432) in ports
    assert (site["hosts"]["app1"]["address"], 8443) not in ports


def test_purposes_are_comments_that_nft_takes(folder: Path) -> None:
    site = resolved(folder)
    for host in site["hosts"]:
        rules = rules_of(site, host, MANIFESTS)
        for rule in (*rules["input"], *rules["output"]):
            assert re.fullmatch(r'[^"\n]{3,128}', rule["purpose"])
