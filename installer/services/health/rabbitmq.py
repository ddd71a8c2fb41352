"""RabbitMQ asked about its cluster and its quorum queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pika
import urllib3
from pika.exceptions import AMQPError

from installer.report import CheckResult, passed_if
from installer.services.health.answers import in_words, of_each
from installer.services.health.subject import HTTP_OK, TIMEOUT_SECONDS

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject

_ALARMS: Final = ("mem_alarm", "disk_free_alarm", "partitions")


def ask(subject: Subject, host: Host, path: str) -> Any:
    """GET from the management API of one node.

    Raises:
        OSError: If the answer is not 200.
    """
    headers = urllib3.make_headers(basic_auth=f"monitor:{subject.secrets['rabbitmq_monitor_password']}")
    port = subject.setting("rabbitmq_management_port")
    answer = subject.https(host.address, port, name=host.fqdn).request("GET", path, headers=headers)
    if answer.status != HTTP_OK:
        raise OSError(f"GET {path} on {host.name}: {answer.status} {answer.data[:200].decode(errors='replace')}")
    return answer.json()


def waiting(subject: Subject, queue: str) -> int:
    """Messages in a queue that wait for a consumer, asked over AMQP.

    The management API would say the same up to five seconds later; the queue itself knows at once. Any node knows it.

    Raises:
        LookupError: If no node answers, with each of them.
    """
    silent = []
    for host in subject.group("rabbitmq"):
        try:
            return _waiting(subject, host, queue)
        except (OSError, AMQPError) as error:
            silent.append(f"{host.name} ({in_words(error)})")
    raise LookupError(f"no answer from {', '.join(silent)}")


def _waiting(subject: Subject, host: Host, queue: str) -> int:
    parameters = pika.ConnectionParameters(
        host=host.address,
        port=subject.setting("rabbitmq_amqps_port"),
        virtual_host=subject.setting("rabbitmq_vhost"),
        credentials=pika.PlainCredentials("monitor", subject.secrets["rabbitmq_monitor_password"]),
        ssl_options=pika.SSLOptions(subject.tls(), server_hostname=host.fqdn),
        socket_timeout=TIMEOUT_SECONDS,
        blocked_connection_timeout=TIMEOUT_SECONDS,
    )
    with pika.BlockingConnection(parameters) as connection:
        declared = connection.channel().queue_declare(queue, passive=True)
        return int(declared.method.message_count)


def check(subject: Subject) -> list[CheckResult]:
    """Every node running and seen by every other; every queue a quorum queue with all members online."""
    hosts = subject.group("rabbitmq")

    def node_of(host: Host) -> list[CheckResult]:
        nodes = ask(subject, host, "/api/nodes")
        running = sorted(node["name"] for node in nodes if node["running"])
        # What a running node does not tell is no good news.
        alarms = [
            f"{node['name']} {kind}{'' if kind in node else ' unknown'}"
            for node in nodes
            for kind in _ALARMS
            if node["running"] and node.get(kind, True)
        ]
        return [
            passed_if(
                len(running) == len(hosts) and not alarms,
                check="broker.cluster",
                host=host.name,
                measured=f"{len(running)} nodes running ({', '.join(running)}), alarms: {', '.join(alarms) or 'none'}",
                wanted=f"{len(hosts)} nodes running, no alarm, no partition",
                fix="rabbitmq-diagnostics cluster_status on this host",
            )
        ]

    port = subject.setting("rabbitmq_management_port")
    results = of_each(hosts, node_of, name="broker", port=port, unit="rabbitmq-server")
    silent = {result.host for result in results if result.check == "broker.answers"}
    # Any node knows all queues; without one that answers there is nothing to add.
    asked = [host for host in hosts if host.name not in silent][:1]
    for queue in ask(subject, asked[0], "/api/queues") if asked else []:
        online = len(queue.get("online", []))
        results.append(
            passed_if(
                queue.get("type") == "quorum" and online == len(hosts),
                check="broker.queue",
                host=subject.name,
                measured=f"{queue['vhost']}/{queue['name']}: {queue.get('type')}, {online} members online,"
                f" {queue.get('messages', 0)} messages",
                wanted=f"quorum, {len(hosts)} members online",
                fix="rabbitmq-queues grow adds a missing member",
            )
        )
    return results
