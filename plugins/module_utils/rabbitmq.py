"""A RabbitMQ cluster, as the management API of one of its nodes describes it."""

from __future__ import annotations

import http
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ansible_collections.sitewright.platform.plugins.module_utils.https import Client, NoAnswerError, UntrustedError
from ansible_collections.sitewright.platform.plugins.module_utils.tls import context

if TYPE_CHECKING:
    from collections.abc import Callable

# What every module that speaks to the cluster is told.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "members": {"type": "list", "elements": "str", "required": True},
    "ca_file": {"type": "path", "required": True},
    "certificate_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "username": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "timeout_seconds": {"type": "int", "default": 120},
}
ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 0.5
ALARMS = ("mem_alarm", "disk_free_alarm")


class NotYetError(Exception):
    """The cluster is not as it should be, or did not answer."""


class PasswordRefusedError(NotYetError):
    """The node does not know the administrator's password."""


class LateError(Exception):
    """The cluster did not become what it should be in time."""


class Cluster:
    """The cluster; a request that fails is worth another try."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Keep what the task asked for, see `ARGUMENTS`."""
        self.parameters = parameters
        self.client: Client | None = None

    def connect(self) -> Client:
        """The connection, prepared when first needed: before that there may be no certificate."""
        if self.client is None:
            given = self.parameters
            tls = context(given["ca_file"], given["certificate_file"], given["key_file"])
            login = (given["username"], given["password"])
            netloc = f"{given['host']}:{given['port']}"
            self.client = Client(netloc, tls, login=login, timeout_seconds=ANSWER_SECONDS)
        return self.client

    def close(self) -> None:
        """Close the connection; with Mitogen this process goes on after the module."""
        if self.client is not None:
            self.client.close()

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request; the status and the parsed answer.

        Raises:
            NotYetError: If nobody answers, or the password is refused.
        """
        try:
            answer = self.connect().send(method, path, body)
        except (OSError, NoAnswerError, UntrustedError) as error:
            raise NotYetError(f"no answer from the management API: {error}") from error
        if answer.status == http.HTTPStatus.UNAUTHORIZED:
            raise PasswordRefusedError(f"{self.parameters['username']} is refused")
        return answer.status, answer.json()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request that has to succeed."""
        status, answer = self.request(method, path, body)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise NotYetError(f"{method} {path} answers {status}: {json.dumps(answer)[:300]}")
        return answer

    def check_restartable(self) -> None:
        """Raise while a queue or the metadata needs this node for its majority."""
        status, answer = self.request("GET", "/api/health/checks/node-is-quorum-critical")
        if status != http.HTTPStatus.OK:
            raise NotYetError(f"without this node a queue would lose its majority: {json.dumps(answer)[:300]}")

    def check_members(self) -> None:
        """Raise unless all members run, see each other and have room."""
        nodes = {node["name"]: node for node in self.ask("GET", "/api/nodes")}
        wanted = set(self.parameters["members"])
        if set(nodes) != wanted:
            raise NotYetError(f"the cluster has {', '.join(sorted(nodes))}, wanted are {', '.join(sorted(wanted))}")
        for name, node in sorted(nodes.items()):
            if not node["running"]:
                raise NotYetError(f"{name} does not run")
            # A node that has just started runs, but tells nothing of itself before its first statistics.
            if silent := [each for each in ("partitions", *ALARMS) if each not in node]:
                raise NotYetError(f"{name} does not tell its {silent[0]} yet")
            if node["partitions"]:
                raise NotYetError(f"{name} is cut off from {', '.join(node['partitions'])}")
            for alarm in ALARMS:
                if node[alarm]:
                    raise NotYetError(f"{name} has raised its {alarm}: publishers are stopped")

    def check_queues(self) -> None:
        """Raise unless every quorum queue has a replica in service on each member."""
        wanted = set(self.parameters["members"])
        for queue in self.ask("GET", "/api/queues?disable_stats=true&enable_queue_totals=true"):
            if queue.get("type") != "quorum":
                continue
            path = f"{quote(queue['vhost'], safe='')}/{quote(queue['name'], safe='')}"
            seen = self.ask("GET", f"/api/queues/{path}")
            away = wanted - set(seen.get("online", []))
            if away:
                raise NotYetError(f"queue {queue['name']} has no replica in service on {', '.join(sorted(away))}")

    def repeat(self, step: Callable[[], None], *, once: bool) -> str:
        """Repeat a step until it passes; what is not as it should be when it was tried once, else nothing.

        Args:
            step: Raises `NotYetError` while the cluster is not as it should be.
            once: Try once, and take it as it is: in check mode there may be no cluster yet.

        Raises:
            LateError: If it did not pass in time.
        """
        seconds = self.parameters["timeout_seconds"]
        begin = time.monotonic()
        while True:
            try:
                step()
            except NotYetError as not_yet:
                problem = str(not_yet)
            else:
                return ""
            if once:
                return problem
            if time.monotonic() - begin >= seconds:
                where = "See `journalctl -u rabbitmq-server` on its hosts."
                raise LateError(f"{self.parameters['host']} says after {seconds} s: {problem}. {where}")
            time.sleep(PAUSE_SECONDS)
