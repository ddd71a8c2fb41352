#!/usr/bin/python
"""Look after a Redis replication group under Sentinel without ever choosing its master for it."""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told

DOCUMENTATION = r"""
module: redis_replication
short_description: Health, users and planned failover of a Redis group under Sentinel
description:
  - Speaks to all nodes and Sentinels itself, over TLS 1.3 with a client certificate, so one task on one
    host replaces several calls of redis-cli on each, and no password reaches an argv.
  - Who is master belongs to Redis. The module asks, and moves the master only when told to.
options:
  state:
    description:
      - V(described) tells what the group answers and what this host's own files remember; only reads.
      - V(seeded) writes the two files that Redis and Sentinel keep their topology in, if they are missing.
      - V(healthy) waits until all nodes follow one master and all Sentinels know each other, and makes
        the running users and the quorum what they should be.
      - V(failed_over) makes sure O(node) is not the master, then waits like V(healthy).
    type: str
    choices: [described, seeded, healthy, failed_over]
    required: true
  nodes: {description: Addresses of all nodes., type: list, elements: str, required: true}
  node: {description: Address of the node that must not be master., type: str}
  master: {description: Address of the master that a new node follows., type: str}
  port: {description: Port of Redis., type: int, required: true}
  sentinel_port: {description: Port of Sentinel., type: int, required: true}
  master_name: {description: Name of the group., type: str, required: true}
  quorum: {description: Sentinels that must agree on a dead master., type: int, required: true}
  ca_file: {description: Authority of the nodes' certificates., type: path, required: true}
  certificate_file: {description: Client certificate., type: path, required: true}
  key_file: {description: Key of the client certificate., type: path, required: true}
  username: {description: Administrator., type: str, required: true}
  password: {description: Password of the administrator., type: str, required: true}
  server_users: {description: Users of Redis as C(ACL LIST) prints them., type: list, elements: str, default: []}
  sentinel_users: {description: Users of Sentinel in the same form., type: list, elements: str, default: []}
  server_state_file: {description: File that Redis rewrites., type: path, required: true}
  sentinel_state_file: {description: File that Sentinel rewrites., type: path, required: true}
  timeout_seconds: {description: How long the group may take., type: int, default: 120}
author:
  - Sitewright
"""

EXAMPLES = r"""
- sitewright.platform.redis_replication: {state: healthy}
"""

RETURN = r"""
master: {description: Address of the master., returned: "healthy, failed_over", type: str}
answered: {description: "Master by the word of the running group, or empty.", returned: described, type: str}
remembered: {description: "Master by the files of this host, or empty.", returned: described, type: str}
has_past: {description: Whether both state files are there., returned: described, type: bool}
done: {description: What was changed., returned: always, type: list, elements: str}
"""

ANSWER_SECONDS = 3.0
PAUSE_SECONDS = 0.3


class RefusedError(Exception):
    """A node answered with an error, or not at all."""


class Connection:
    """One authenticated connection that speaks the Redis protocol."""

    def __init__(self, module: AnsibleModule, address: str, port: int) -> None:
        """Connect and log in."""
        parameters = module.params
        self.name = f"{address}:{port}"
        try:
            context = ssl.create_default_context(cafile=parameters["ca_file"])
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(parameters["certificate_file"], parameters["key_file"])
            plain = socket.create_connection((address, port), timeout=ANSWER_SECONDS)
            self.socket = context.wrap_socket(plain, server_hostname=address)
        except OSError as error:
            raise RefusedError(f"{self.name}: {error}") from error
        self.stream = self.socket.makefile("rb")
        self.ask("AUTH", parameters["username"], parameters["password"])

    def close(self) -> None:
        """Close it."""
        self.stream.close()
        self.socket.close()

    def ask(self, *words: str) -> Any:
        """Send one command and return its answer, text decoded."""
        parts = [word.encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self.socket.sendall(request)
            return self.answer()
        except OSError as error:
            raise RefusedError(f"{self.name}: {error}") from error

    def answer(self) -> Any:
        """Read one answer."""
        line = self.stream.readline().decode().rstrip("\r\n")
        if not line:
            raise RefusedError(f"{self.name}: the connection was closed")
        kind, rest = line[0], line[1:]
        if kind == "-":
            raise RefusedError(f"{self.name}: {rest}")
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return None if rest == "-1" else [self.answer() for _ in range(int(rest))]
        return rest


class Group:
    """The replication group, as its nodes describe it."""

    def __init__(self, module: AnsibleModule) -> None:
        """Keep what the task asked for."""
        self.module = module
        self.parameters: dict[str, Any] = module.params
        self.nodes: list[str] = module.params["nodes"]
        self.name: str = module.params["master_name"]
        self.done: list[str] = []

    def server(self, address: str) -> closing[Connection]:
        """Connect to Redis on a node."""
        return closing(Connection(self.module, address, self.parameters["port"]))

    def sentinel(self, address: str) -> closing[Connection]:
        """Connect to Sentinel on a node."""
        return closing(Connection(self.module, address, self.parameters["sentinel_port"]))

    def answered_master(self) -> str:
        """The master most Sentinels name, else the node with the most replicas, else nothing."""
        votes: Counter[str] = Counter()
        for address in self.nodes:
            with suppress(RefusedError), self.sentinel(address) as sentinel:
                if found := sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name):
                    votes[found[0]] += 1
        if votes:
            return votes.most_common(1)[0][0]
        followers: dict[str, int] = {}
        for address in self.nodes:
            with suppress(RefusedError), self.server(address) as server:
                role = server.ask("ROLE")
                if role[0] == "master":
                    followers[address] = len(role[2])
        return max(followers, key=lambda address: followers[address]) if followers else ""

    def master_for_newcomer(self, deadline: float) -> str:
        """The answered master; never this node, whose data is gone, while others have theirs."""
        while True:
            master = self.answered_master()
            if master not in self.own_addresses() or len(self.nodes) == 1 or self.module.check_mode:
                return master
            if time.monotonic() >= deadline:
                self.module.fail_json(
                    msg=f"the Sentinels still call this node ({master}) the master, but it has lost its files; started "
                    f"empty, it would empty the replicas. Promote one: SENTINEL FAILOVER {self.name} on another node."
                )
            time.sleep(PAUSE_SECONDS)

    def remembered_master(self) -> str:
        """The master by this host's own files: Sentinel's is the one that follows failovers."""
        for line in lines(self.parameters["sentinel_state_file"]):
            words = line.split()
            if words[:3] == ["sentinel", "monitor", self.name]:
                return words[3]
        for line in lines(self.parameters["server_state_file"]):
            words = line.split()
            if words[:1] == ["replicaof"]:
                return words[1]
        return ""

    def seed(self) -> None:
        """Write the state files a node without a past starts from."""
        master = self.parameters["master"]
        own, port = self.own_addresses(), self.parameters["port"]
        seeds = {
            self.parameters["server_state_file"]: "" if master in own else f"replicaof {master} {port}\n",
            self.parameters["sentinel_state_file"]: (
                f"sentinel monitor {self.name} {master} {port} {self.parameters['quorum']}\n"
            ),
        }
        for name, text in seeds.items():
            path = Path(name)
            if path.exists():
                continue
            self.done.append(f"seeded {name}")
            if self.module.check_mode:
                continue
            owner = pwd.getpwnam("redis")
            fresh = path.with_name(f".{path.name}.seed")
            fresh.write_text(text)
            fresh.chmod(0o640)
            os.chown(fresh, owner.pw_uid, owner.pw_gid)
            fresh.replace(path)

    def own_addresses(self) -> list[str]:
        """Those of the group's addresses this host has: the ones a socket may be bound to."""
        own = []
        for address in self.nodes:
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((address, 0))
                own.append(address)
        return own

    def load_users(self, connection: Connection, wanted: list[str]) -> None:
        """Make the running users those of the user file."""
        if not wanted or same_users(connection, wanted):
            return
        self.done.append(f"users of {connection.name}")
        if self.module.check_mode:
            return
        connection.ask("ACL", "LOAD")
        if not same_users(connection, wanted):
            self.module.fail_json(
                msg=f"{connection.name}: its users differ from the wanted ones even after ACL LOAD. Its user file is "
                "not what the role wrote, or a rule is not in the words of `ACL LIST`.",
                done=self.done,
            )

    def problem(self) -> tuple[str, str]:
        """The master, and the first thing that is not as it should be (empty when all is well)."""
        master = ""
        for address in self.nodes:
            with self.sentinel(address) as sentinel:
                self.load_users(sentinel, self.parameters["sentinel_users"])
                flat = sentinel.ask("SENTINEL", "MASTER", self.name)
                seen = dict(zip(flat[::2], flat[1::2], strict=True))
                self.correct_quorum(sentinel, seen)
                master = master or seen["ip"]
                problem = self.problem_of_sentinel(seen, master)
                if problem:
                    return master, f"{sentinel.name} {problem}"
                sentinel.ask("SENTINEL", "CKQUORUM", self.name)
        for address in self.nodes:
            with self.server(address) as server:
                self.load_users(server, self.parameters["server_users"])
                problem = self.problem_of_server(server.ask("ROLE"), address, master)
                if problem:
                    return master, f"{server.name} {problem}"
        return master, ""

    def correct_quorum(self, sentinel: Connection, seen: dict[str, str]) -> None:
        """Set the one value of Sentinel that its own file decides, when the group grew or shrank."""
        if int(seen["quorum"]) == self.parameters["quorum"]:
            return
        self.done.append(f"quorum of {sentinel.name}")
        if not self.module.check_mode:
            sentinel.ask("SENTINEL", "SET", self.name, "quorum", str(self.parameters["quorum"]))

    def problem_of_sentinel(self, seen: dict[str, str], master: str) -> str:
        """What a Sentinel sees that should not be so."""
        others = len(self.nodes) - 1
        if seen["ip"] != master:
            return f"names {seen['ip']} as master, others name {master}"
        if seen["flags"] != "master":
            return f"sees the master {master} as {seen['flags']}"
        if int(seen["num-other-sentinels"]) < others:
            return f"knows {seen['num-other-sentinels']} of {others} other Sentinels"
        if int(seen["num-slaves"]) < others:
            return f"knows {seen['num-slaves']} of {others} replicas"
        return ""

    def problem_of_server(self, role: list[Any], address: str, master: str) -> str:
        """What a node says of itself that should not be so."""
        others = len(self.nodes) - 1
        if (role[0] == "master") != (address == master):
            return f"is {role[0]}, but the Sentinels name {master} as master"
        if role[0] == "master" and len(role[2]) < others:
            return f"has {len(role[2])} of {others} replicas"
        if role[0] == "slave" and (role[1], role[3]) != (master, "connected"):
            return f"follows {role[1]} and its link is '{role[3]}'"
        return ""

    def await_health(self, deadline: float) -> str:
        """Wait until nothing is wrong; return the master."""
        while True:
            master = ""
            try:
                master, problem = self.problem()
            except RefusedError as refused:
                problem = str(refused)
            if not problem or self.module.check_mode:
                return master
            if time.monotonic() >= deadline:
                self.module.fail_json(
                    msg=f"the Redis group is not healthy after {self.parameters['timeout_seconds']} s: {problem}. "
                    "See `journalctl -u redis-server -u redis-sentinel` on that host.",
                    done=self.done,
                )
            time.sleep(PAUSE_SECONDS)

    def unsettled(self, master: str) -> str:
        """The first replica that some Sentinel does not see following the master (empty when all do).

        A failover ends without a replica its Sentinel takes for down, and mends it only after its timeout.
        """
        for address in self.nodes:
            with self.sentinel(address) as sentinel:
                for flat in sentinel.ask("SENTINEL", "REPLICAS", self.name):
                    seen = dict(zip(flat[::2], flat[1::2], strict=True))
                    state = (seen["flags"], seen["role-reported"], seen["master-host"], seen["master-link-status"])
                    if seen["ip"] in self.nodes and state != ("slave", "slave", master, "ok"):
                        return f"{sentinel.name} sees the replica {seen['ip']} as {' '.join(state)}"
        return ""

    def move_master(self, deadline: float) -> None:
        """Have Sentinel choose another master if the node is it."""
        node = self.parameters["node"]
        others = [address for address in self.nodes if address != node]
        if not others or self.await_health(deadline) != node:
            return
        self.done.append(f"moved the master away from {node}")
        if self.module.check_mode:
            return
        said = "nothing"
        while time.monotonic() < deadline:
            try:
                with self.sentinel(others[0]) as sentinel:
                    if sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[0] != node:
                        return
                    said = self.unsettled(node)
                    if not said:
                        sentinel.ask("SENTINEL", "FAILOVER", self.name)
            except RefusedError as refused:  # no replica is good enough yet, or a failover is under way
                said = str(refused)
            time.sleep(PAUSE_SECONDS)
        self.module.fail_json(msg=f"Sentinel did not move the master away from {node}: {said}", done=self.done)


def same_users(connection: Connection, wanted: list[str]) -> bool:
    """Whether the running users are the wanted ones."""
    return sorted(connection.ask("ACL", "LIST")) == sorted(wanted)


def lines(name: str) -> list[str]:
    """The lines of a file that need not exist."""
    path = Path(name)
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    """Entry point of the module."""
    text, path, number = ({"type": kind, "required": True} for kind in ("str", "path", "int"))
    users = {"type": "list", "elements": "str", "default": [], "no_log": True}
    module = AnsibleModule(
        argument_spec={
            "state": {**text, "choices": ["described", "seeded", "healthy", "failed_over"]},
            "nodes": {"type": "list", "elements": "str", "required": True},
            **{name: {"type": "str"} for name in ("node", "master")},
            **dict.fromkeys(("port", "sentinel_port", "quorum"), number),
            **dict.fromkeys(("master_name", "username"), text),
            **dict.fromkeys(("ca_file", "certificate_file", "server_state_file", "sentinel_state_file"), path),
            "key_file": {**path, "no_log": False},
            "password": {**text, "no_log": True},
            **dict.fromkeys(("server_users", "sentinel_users"), users),
            "timeout_seconds": {"type": "int", "default": 120},
        },
        required_if=[("state", "seeded", ["master"]), ("state", "failed_over", ["node"])],
        supports_check_mode=True,
    )
    group, state = Group(module), module.params["state"]
    deadline = time.monotonic() + module.params["timeout_seconds"]
    result: dict[str, Any] = {}
    if state == "described":
        has_past = all(Path(module.params[f"{kind}_state_file"]).exists() for kind in ("server", "sentinel"))
        result = {
            "has_past": has_past,
            "remembered": group.remembered_master(),
            "answered": "" if has_past else group.master_for_newcomer(deadline),
        }
    elif state == "seeded":
        group.seed()
    else:
        if state == "failed_over":
            group.move_master(deadline)
        result = {"master": group.await_health(deadline)}
    last = dict.fromkeys(("redis-server.service", "redis-sentinel.service"), result.get("master", ""))
    module.exit_json(changed=bool(group.done), done=group.done, **result, **told(module, group.done, last=last))


if __name__ == "__main__":
    main()
