"""What an operator finds: three members that talk TLS 1.3 to those with a certificate, and to nobody else."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["etcd"]

TLS = "/etc/sitewright/tls"
ETCDCTL = f"etcdctl --cacert={TLS}/etcd/ca.crt --cert={TLS}/etcd/tls.crt --key={TLS}/etcd/tls.key --endpoints=https://127.0.0.1:2379"


def _address(host: Host) -> str:
    return host.check_output("hostname --all-ip-addresses").split()[0]


def _etcdctl(host: Host, arguments: str) -> Any:
    return json.loads(host.check_output(f"{ETCDCTL} --write-out=json {arguments}"))


def test_all_three_members_are_healthy(host: Host) -> None:
    assert [member["health"] for member in _etcdctl(host, "endpoint health --cluster")] == [True] * 3


def test_the_members_are_the_hosts(host: Host) -> None:
    members = _etcdctl(host, "member list")["members"]
    assert sorted(member["name"] for member in members) == ["svc1", "svc2", "svc3"]


def test_the_data_is_the_members_own_and_hidden(host: Host) -> None:
    directory = host.file("/var/lib/etcd/sitewright")
    assert (directory.user, directory.group, directory.mode) == ("etcd", "etcd", 0o700)
    assert not host.file("/var/lib/etcd/default").exists


def test_tls_1_2_is_refused_on_both_ports(host: Host) -> None:
    for port in (2379, 2380):
        said = host.run("openssl s_client -tls1_2 -connect %s:%s </dev/null", _address(host), str(port))
        assert "alert protocol version" in said.stderr, said.stderr


def test_a_client_without_a_certificate_is_refused(host: Host) -> None:
    said = host.run("curl --silent --show-error --cacert %s https://127.0.0.1:2379/health", f"{TLS}/etcd/ca.crt")
    assert "certificate required" in said.stderr, said.stderr


def test_a_certificate_of_the_sites_authority_opens_nothing(host: Host) -> None:
    """The repository's is one; whoever gets hold of it, or of a worker's, must not decide what PostgreSQL does."""
    [stolen] = Host.get_hosts(["ansible://repository"], ansible_inventory=host.backend.ansible_inventory)
    pair = [stolen.file(f"{TLS}/repository/tls.{kind}").content_string for kind in ("crt", "key")]
    for name, text in zip(("/run/stolen.crt", "/run/stolen.key"), pair, strict=True):
        host.check_output("printf %s %s > %s", "%s", text, name)
    with_it = "--cert /run/stolen.crt --key /run/stolen.key"
    said = host.run(f"curl --silent --show-error --cacert {TLS}/etcd/ca.crt {with_it} https://127.0.0.1:2379/health")
    host.check_output("rm /run/stolen.crt /run/stolen.key")
    assert said.rc != 0
    assert "alert" in said.stderr, said.stderr
    assert host.run(f"curl --silent --cacert {TLS}/ca.crt https://127.0.0.1:2379/health").rc == 60  # nor is it trusted


def test_nothing_listens_without_tls(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --tcp --numeric --processes")
    ports = {line.split()[3].rsplit(":", 1)[1] for line in listening.splitlines() if '"etcd"' in line}
    assert ports == {"2379", "2380"}


def test_the_sandbox_holds(host: Host) -> None:
    judged = host.run("systemd-analyze security --threshold=30 etcd.service")
    assert judged.rc == 0, judged.stdout[-200:]


def test_the_member_starts_at_boot(host: Host) -> None:
    unit = host.service("etcd")
    assert unit.is_running, host.check_output("journalctl --unit=etcd --lines=30 --no-pager")
    assert unit.is_enabled
