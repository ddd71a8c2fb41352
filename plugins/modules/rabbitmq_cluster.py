#!/usr/bin/python
"""Look after a RabbitMQ cluster through the management API of one of its nodes."""

from __future__ import annotations

import http
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.https import Client, NoAnswerError, UntrustedError
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told
from ansible_collections.sitewright.platform.plugins.module_utils.tls import context

DOCUMENTATION = r"""
module: rabbitmq_cluster
short_description: Health and definitions of a RabbitMQ cluster
description:
  - One HTTPS conversation over TLS 1.3 with a client certificate replaces several starts of
    rabbitmqctl, each of which costs a second of processor time.
  - The definitions file is compared with what the cluster holds, object by object, and imported when
    something is missing or differs. What the cluster holds besides is left alone, apart from the
    default user C(guest).
options:
  state:
    description:
      - V(healthy) waits until all members run without an alarm and every quorum queue has a replica on
        each of them, and makes definitions and feature flags what they should be.
      - V(restartable) waits until no queue would lose its majority if this node stopped; only reads.
    type: str
    choices: [healthy, restartable]
    required: true
  host: {description: Full host name of the node to ask., type: str, required: true}
  port: {description: Port of the management API., type: int, required: true}
  members: {description: Node names the cluster must have., type: list, elements: str, required: true}
  definitions_file: {description: Definitions on the host., type: path, required: true}
  ca_file: {description: Authority of the nodes' certificates., type: path, required: true}
  certificate_file: {description: Client certificate., type: path, required: true}
  key_file: {description: Key of the client certificate., type: path, required: true}
  username: {description: Administrator., type: str, required: true}
  password: {description: Password of the administrator., type: str, required: true}
  timeout_seconds: {description: How long the cluster may take., type: int, default: 120}
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Check the cluster
  sitewright.platform.rabbitmq_cluster:
    state: healthy
"""

RETURN = r"""
diff: {description: "The same, in the form that Ansible shows.", returned: always, type: dict}
done: {description: What was (or would be) changed., returned: always, type: list, elements: str}
"""

ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 0.5
# A booting node may refuse the password for a moment; one that still does has older definitions.
REFUSAL_SECONDS = 5.0
UNWANTED_USER = "guest"
# What makes an object the same object; the other keys are what it is like.
IDENTITY = {
    "vhosts": ("name",),
    "users": ("name",),
    "permissions": ("user", "vhost"),
    "exchanges": ("vhost", "name"),
    "queues": ("vhost", "name"),
    "bindings": ("vhost", "source", "destination", "routing_key"),
    "policies": ("vhost", "name"),
}
ALARMS = ("mem_alarm", "disk_free_alarm")


class NotYetError(Exception):
    """The cluster is not as it should be, or did not answer."""


class PasswordRefusedError(NotYetError):
    """The node does not know the administrator's password."""


def differences(wanted: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """Names of the wanted objects that the cluster lacks or holds otherwise."""
    return [
        f"{kind} {'/'.join(thing[key] for key in keys)}"
        for kind, keys in IDENTITY.items()
        for thing in wanted.get(kind, [])
        if not any(covers(other, thing) for other in held.get(kind, []))
    ]


def covers(held: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a held object has everything the wanted one says."""
    return all(held.get(key) == value for key, value in wanted.items())


class Cluster:
    """The cluster, as one node's management API describes it."""

    def __init__(self, module: AnsibleModule) -> None:
        """Keep what the task asked for."""
        self.module = module
        self.parameters: dict[str, Any] = module.params
        self.done: list[str] = []
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
        """One request; the status and the decoded answer."""
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

    def define(self) -> None:
        """Bring the running cluster to the definitions file, without a restart."""
        file = Path(self.parameters["definitions_file"])
        if not file.exists():  # check mode on a host where nothing is installed yet
            return
        wanted = json.loads(file.read_text())
        held = self.ask("GET", "/api/definitions")
        missing = differences(wanted, held)
        if missing:
            self.done.extend(missing)
            if not self.module.check_mode:
                self.ask("POST", "/api/definitions", wanted)
                left = differences(wanted, self.ask("GET", "/api/definitions"))
                if left:
                    self.module.fail_json(
                        msg=f"RabbitMQ keeps its own version of {', '.join(left)}: such an object cannot be changed "
                        "while it exists. Empty and delete it, then run the same command again.",
                        done=self.done,
                    )
        if any(user["name"] == UNWANTED_USER for user in held["users"]):
            self.done.append(f"removed user {UNWANTED_USER}")
            if not self.module.check_mode:
                self.ask("DELETE", f"/api/users/{UNWANTED_USER}")

    def enable_feature_flags(self) -> None:
        """Enable what an upgrade brought; an upgrade to the next release demands it."""
        for flag in self.ask("GET", "/api/feature-flags"):
            if flag["stability"] == "stable" and flag["state"] == "disabled":
                self.done.append(f"feature flag {flag['name']}")
                if not self.module.check_mode:
                    self.ask("PUT", f"/api/feature-flags/{flag['name']}/enable", {"name": flag["name"]})

    def import_on_the_host(self) -> None:
        """Import the definitions as the host's root, for when the administrator's own password changed."""
        self.done.append("imported the definitions because the administrator's password was refused")
        code, out, err = self.module.run_command(
            ["rabbitmqctl", "--quiet", "import_definitions", self.parameters["definitions_file"]]
        )
        if code != 0:
            self.module.fail_json(msg=f"rabbitmqctl import_definitions failed: {err.strip() or out.strip()}")

    def step(self) -> None:
        """Do all that the wanted state asks for, or raise."""
        self.check_members()
        if self.parameters["state"] == "restartable":
            self.check_restartable()
            return
        self.define()
        self.enable_feature_flags()
        self.check_queues()

    def converge(self) -> None:
        """Repeat the step until it passes."""
        begin = time.monotonic()
        refused_since: float | None = None
        while True:
            try:
                self.step()
            except PasswordRefusedError as refused:
                problem = str(refused)
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > REFUSAL_SECONDS and not self.module.check_mode:
                    self.import_on_the_host()
                    refused_since = None
            except NotYetError as not_yet:
                problem = str(not_yet)
            else:
                return
            if self.module.check_mode:
                return
            if time.monotonic() - begin >= self.parameters["timeout_seconds"]:
                self.module.fail_json(
                    msg=f"{self.parameters['host']} says after {self.parameters['timeout_seconds']} s: {problem}. "
                    "See `journalctl -u rabbitmq-server` on its hosts.",
                    done=self.done,
                )
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    """Entry point of the module."""
    text = {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {**text, "choices": ["healthy", "restartable"]},
            "host": text,
            "port": {"type": "int", "required": True},
            "members": {"type": "list", "elements": "str", "required": True},
            "definitions_file": path,
            "ca_file": path,
            "certificate_file": path,
            "key_file": {**path, "no_log": False},
            "username": text,
            "password": {**text, "no_log": True},
            "timeout_seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    cluster = Cluster(module)
    try:
        cluster.converge()
    finally:
        cluster.close()
    diff = diff_of(cluster.done, "RabbitMQ's definitions")
    module.exit_json(changed=bool(cluster.done), done=cluster.done, diff=diff, **told(module, cluster.done))


if __name__ == "__main__":
    main()
