"""What an operator sees of the broker: one cluster, quorum queues, mutual TLS 1.3, nothing else listening."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from testinfra.host import Host

AUTHORITY = "--cacert /etc/sitewright/tls/ca.crt"
CERTIFICATE = f"{AUTHORITY} --cert /etc/sitewright/tls/rabbitmq/tls.crt --key /etc/sitewright/tls/rabbitmq/tls.key"


def _api(host: Host, user: str, path: str, tls: str = CERTIFICATE) -> Any:
    """Ask the management API; the password is the site's own and goes by standard input."""
    password = host.ansible.get_variables()[f"vault_rabbitmq_{user}_password"]
    name = host.check_output("hostname --fqdn")
    said = host.run(
        f"echo 'user = \"{user}:{password}\"' | curl --silent --config - {tls} https://{name}:15671/api/{path}"
    )
    return json.loads(said.stdout) if said.rc == 0 and said.stdout else {"code": said.rc}


def test_unit_runs_sandboxed(host: Host) -> None:
    unit = "rabbitmq-server.service"
    assert host.service(unit).is_running, host.run(f"journalctl --unit {unit} --lines 30 --no-pager").stdout
    assert host.service(unit).is_enabled
    scored = host.run(f"systemd-analyze security --threshold=30 --no-pager {unit}")
    assert scored.rc == 0, scored.stdout.splitlines()[-1]


def test_three_nodes_are_one_cluster_without_alarms(host: Host) -> None:
    nodes = _api(host, "monitor", "nodes")
    assert len(nodes) == 3
    assert all(node["running"] and not node["partitions"] and not node["mem_alarm"] for node in nodes)


def test_claims_is_a_quorum_queue_on_every_node(host: Host) -> None:
    queue = _api(host, "admin", "queues/sitewright/claims")
    assert queue["type"] == "quorum"
    assert len(queue["online"]) == len(queue["members"]) == 3


def test_users_are_those_defined_and_guest_is_none_of_them(host: Host) -> None:
    users = {user["name"]: user["tags"] for user in _api(host, "admin", "users")}
    assert users == {"admin": ["administrator"], "worker": [], "monitor": ["monitoring"]}


def test_worker_publishes_to_its_exchange_and_does_nothing_else(host: Host) -> None:
    rights = {right["user"]: right for right in _api(host, "admin", "permissions")}["worker"]
    assert (rights["configure"], rights["read"]) == ("^$", "^$")
    assert re.match(rights["write"], "revenue-cycle")
    assert not re.match(rights["write"], "amq.default")


def test_only_one_mechanism_is_offered(host: Host) -> None:
    with host.sudo():
        said = host.check_output("rabbitmqctl -q environment --formatter json")
    assert json.loads(said)["rabbit"]["auth_mechanisms"] == ["PLAIN"]


@pytest.mark.parametrize("port", [5671, 15671, 25672])
def test_refuses_an_old_protocol_and_who_has_no_certificate(host: Host, port: int) -> None:
    connect = f"-connect $(hostname --fqdn):{port} -CAfile /etc/sitewright/tls/ca.crt"
    proof = "-cert /etc/sitewright/tls/rabbitmq/tls.crt -key /etc/sitewright/tls/rabbitmq/tls.key"
    assert "TLSv1.3" in host.run(f"echo | openssl s_client {connect} {proof}").stdout
    assert "protocol version" in host.run(f"echo | openssl s_client {connect} {proof} -tls1_2").stderr
    anonymous = host.run(f"timeout 20 openssl s_client -ign_eof {connect} < /dev/null")
    assert "certificate required" in anonymous.stderr


def test_nothing_listens_that_the_manifest_does_not_name(host: Host) -> None:
    epmd = [line for line in host.check_output("ss -Hltn").splitlines() if ":4369 " in line]
    assert [line.split()[3] for line in epmd] == ["127.0.0.1:4369"]
    judged = host.run("systemd-analyze security --threshold=16 epmd.service")
    assert judged.rc == 0, judged.stdout[-200:]
    assert not host.socket("tcp://0.0.0.0:5672").is_listening
    assert not host.socket("tcp://0.0.0.0:15672").is_listening


def test_command_line_tools_work_over_tls_and_say_what_they_cannot(host: Host) -> None:
    assert host.run("rabbitmq-diagnostics --quiet check_running").rc == 0
    refused = host.run("rabbitmqctl list_queues --vhost sitewright")
    assert refused.rc == 64
    assert "--local" in refused.stderr


def test_secrets_are_hidden_from_other_users(host: Host) -> None:
    cookie = host.file("/var/lib/rabbitmq/.erlang.cookie")
    assert (cookie.user, cookie.mode) == ("rabbitmq", 0o400)
    definitions = host.file("/etc/rabbitmq/definitions.json")
    assert (definitions.user, definitions.group, definitions.mode) == ("root", "rabbitmq", 0o640)
    for user in ("admin", "worker", "monitor"):
        assert host.ansible.get_variables()[f"vault_rabbitmq_{user}_password"] not in definitions.content_string
