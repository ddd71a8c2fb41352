"""A Redis replication group under Sentinel, as its own nodes describe it."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from ansible_collections.sitewright.platform.plugins.module_utils.resp import (
    Connection,
    RefusedError,
    WrongPasswordError,
)
from ansible_collections.sitewright.platform.plugins.module_utils.tls import context

PAUSE_SECONDS = 0.3
UNITS = ("redis-server.service", "redis-sentinel.service")
# What every module that speaks to the group is told.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "nodes": {"type": "list", "elements": "str", "required": True},
    "port": {"type": "int", "required": True},
    "sentinel_port": {"type": "int", "required": True},
    "master_name": {"type": "str", "required": True},
    "ca_file": {"type": "path", "required": True},
    "certificate_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "username": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "previous_password": {"type": "str", "default": "", "no_log": True},
    "timeout_seconds": {"type": "int", "default": 120},
}


class GroupError(Exception):
    """The group did not become what it should be."""


def own_addresses(nodes: list[str]) -> list[str]:
    """Those of the group's addresses this host has: the ones a socket may be bound to."""
    own = []
    for address in nodes:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
            own.append(address)
    return own


class Group:
    """The replication group, asked node by node."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Keep what the task asked for, see `ARGUMENTS`."""
        self.parameters = parameters
        self.nodes: list[str] = parameters["nodes"]
        self.name: str = parameters["master_name"]
        passwords = (parameters["password"], parameters["previous_password"])
        # While passwords are rotated a node may know only the previous one yet.
        self.logins = [(parameters["username"], password) for password in passwords if password]
        self.deadline: float = time.monotonic() + parameters["timeout_seconds"]

    def connect(self, address: str, port: int) -> closing[Connection]:
        """Connect to a port of a node.

        Raises:
            RefusedError: If it does not answer, or there is no certificate to show it yet.
        """
        files = (self.parameters[name] for name in ("ca_file", "certificate_file", "key_file"))
        try:
            tls = context(*files)
        except OSError as error:
            raise RefusedError(f"{address}:{port}: {error}") from error
        for login in self.logins[:-1]:
            with suppress(WrongPasswordError):
                return closing(Connection(address, port, tls=tls, login=login))
        return closing(Connection(address, port, tls=tls, login=self.logins[-1]))

    def server(self, address: str) -> closing[Connection]:
        """Connect to Redis on a node."""
        return self.connect(address, self.parameters["port"])

    def sentinel(self, address: str) -> closing[Connection]:
        """Connect to Sentinel on a node."""
        return self.connect(address, self.parameters["sentinel_port"])

    def is_late(self) -> bool:
        """Whether the time the task gave is over."""
        return time.monotonic() >= self.deadline

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

    def problem(
        self,
        treat_sentinel: Callable[[Connection, dict[str, str]], None] | None = None,
        treat_server: Callable[[Connection], None] | None = None,
    ) -> tuple[str, str]:
        """The master, and the first thing that is not as it should be (empty when all is well).

        Args:
            treat_sentinel: Called with each Sentinel and what it says of the master, before that is judged.
            treat_server: Called with each Redis before it is judged.

        Raises:
            RefusedError: If a node does not answer.
        """
        master = ""
        for address in self.nodes:
            with self.sentinel(address) as sentinel:
                flat = sentinel.ask("SENTINEL", "MASTER", self.name)
                seen = dict(zip(flat[::2], flat[1::2], strict=True))
                if treat_sentinel:
                    treat_sentinel(sentinel, seen)
                master = master or seen["ip"]
                problem = self.problem_of_sentinel(seen, master)
                if problem:
                    return master, f"{sentinel.name} {problem}"
                sentinel.ask("SENTINEL", "CKQUORUM", self.name)
        for address in self.nodes:
            with self.server(address) as server:
                if treat_server:
                    treat_server(server)
                problem = self.problem_of_server(server.ask("ROLE"), address, master)
                if problem:
                    return master, f"{server.name} {problem}"
        return master, ""

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

    def await_health(
        self,
        treat_sentinel: Callable[[Connection, dict[str, str]], None] | None = None,
        treat_server: Callable[[Connection], None] | None = None,
        *,
        once: bool = False,
    ) -> str:
        """Wait until nothing is wrong; return the master, or what is known of it when asked only once.

        Raises:
            GroupError: If that takes too long.
        """
        while True:
            master = ""
            try:
                master, problem = self.problem(treat_sentinel, treat_server)
            except RefusedError as refused:
                problem = str(refused)
            if not problem or once:
                return master
            if self.is_late():
                raise GroupError(
                    f"the Redis group is not healthy after {self.parameters['timeout_seconds']} s: {problem}. "
                    "See `journalctl -u redis-server -u redis-sentinel` on that host."
                )
            time.sleep(PAUSE_SECONDS)
