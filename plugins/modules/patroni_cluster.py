#!/usr/bin/python
"""Wait for a Patroni cluster to be whole and bring its shared settings to the wished state."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils import patroni_plan

DOCUMENTATION = r"""
module: patroni_cluster
short_description: One primary, streaming standbys, and the settings they share
description:
  - Runs on one member and reads credentials and certificates from Patroni's own configuration there, so
    no secret passes through Ansible.
  - Waits until there is exactly one primary and every other member streams from it.
  - Patches the settings kept in etcd where they differ from O(dynamic), then restarts the PostgreSQL of
    each member that says it needs it, standbys first and the primary last, one at a time, each only
    when the cluster is whole again. Restarts an interrupted run owed are found the same way.
options:
  config_file:
    description: Patroni's configuration on this member.
    type: path
    default: /etc/patroni/config.yml
  members:
    description: Names of all members there must be.
    type: list
    elements: str
    required: true
  dynamic:
    description:
      - The settings all members share. Keys not named are left as they are, except server parameters,
        where this is the whole truth. Without it nothing is changed.
    type: dict
  timeout_seconds:
    description: How long the cluster may take to be whole, in seconds.
    type: int
    default: 180
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure one primary, streaming standbys and the agreed settings
  sitewright.platform.patroni_cluster:
    members: [db1, db2]
    dynamic: {loop_wait: 5, postgresql: {parameters: {work_mem: 8MB}}}
  run_once: true
"""

RETURN = r"""
leader: {description: Name of the primary; empty in check mode when there is none yet., returned: always, type: str}
changes: {description: Each shared setting that differed., returned: always, type: list, elements: str}
restarted: {description: Members whose PostgreSQL was restarted., returned: always, type: list, elements: str}
"""

STANDBY_ROLES = ("replica", "sync_standby", "quorum_standby")
SYNCHRONOUS_ROLES = ("sync_standby", "quorum_standby")
PAUSE_SECONDS = 0.3
REQUEST_SECONDS = 10
RESTART_SECONDS = 300
ROUNDS = 2
# A standby refuses to start with less of these than its primary has.
STANDBY_FLOORS = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)


class ClusterError(Exception):
    """The cluster is not, or did not become, what it should be."""


def difference(wished: dict[str, Any], found: dict[str, Any], path: str = "") -> tuple[dict[str, Any], list[str]]:
    """The merge patch that turns what was found into what is wished, and the same in words."""
    patch: dict[str, Any] = {}
    words: list[str] = []
    for key, value in wished.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            inner, inner_words = difference(value, found.get(key) or {}, name)
            if inner:
                patch[key] = inner
                words += inner_words
        elif found.get(key) != value:
            patch[key] = value
            words.append(f"{name}: {found.get(key)!r} -> {value!r}")
    if path == "postgresql.parameters":
        for key in sorted(found.keys() - wished.keys()):
            patch[key] = None
            words.append(f"{path}.{key}: {found[key]!r} -> default")
    return patch, words


@dataclass
class Member:
    """One member as the cluster describes it."""

    name: str
    role: str
    state: str
    url: str


class Patroni:
    """Patroni's REST API, spoken as the member whose configuration was read."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Prepare TLS and authentication."""
        rest, ctl = config["restapi"], config["ctl"]
        self.url = f"https://{rest['connect_address']}"
        self.tls = ssl.create_default_context(cafile=ctl["cacert"])
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.load_cert_chain(ctl["certfile"], ctl["keyfile"])
        login = rest["authentication"]
        token = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
        self.headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def ask(
        self, url: str, method: str = "GET", body: dict[str, Any] | None = None, timeout: float = REQUEST_SECONDS
    ) -> tuple[int, str]:
        """Send one request.

        Raises:
            ClusterError: If nobody answers.
        """
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=self.tls)
        try:
            connection.request(method, parts.path, None if body is None else json.dumps(body), self.headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(f"Patroni at {url} does not answer: {error}") from error
        finally:
            connection.close()

    def read(self, path: str) -> dict[str, Any]:
        """What this member answers to a question about the cluster."""
        status, text = self.ask(f"{self.url}{path}")
        if status != http.client.OK:
            raise ClusterError(f"{self.url}{path}: {status} {text.strip()[:200]}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def members(self) -> list[Member]:
        """All members there are."""
        return [
            Member(
                name=raw["name"],
                role=raw["role"],
                state=raw["state"],
                url=raw["api_url"].rsplit("/", 1)[0],
            )
            for raw in self.read("/cluster")["members"]
        ]

    def shared_settings(self) -> dict[str, Any]:
        """The settings kept in etcd."""
        return self.read("/config")

    def own_word(self, member: Member) -> dict[str, Any]:
        """What a member says about itself, newer than what the cluster knows of it."""
        _, text = self.ask(f"{member.url}/patroni")
        word: dict[str, Any] = json.loads(text)
        return word

    def last_round(self, member: Member) -> int:
        """When the member last looked at the cluster, in seconds since the epoch."""
        return int(self.own_word(member).get("dcs_last_seen", 0))

    def pending(self, members: list[Member]) -> dict[str, dict[str, Any]]:
        """Members whose PostgreSQL must restart, with the parameters that ask for it."""
        words = {member.name: self.own_word(member) for member in members}
        return {
            name: word.get("pending_restart_reason") or {}
            for name, word in words.items()
            if word.get("pending_restart")
        }


def only_lowers(reasons: dict[str, Any]) -> bool:
    """Whether a restart does nothing but lower what a standby must allow as much of as its primary."""
    return bool(reasons) and all(
        name in STANDBY_FLOORS and int(reason["new_value"]) < int(reason["old_value"])
        for name, reason in reasons.items()
    )


def leader_of(members: list[Member]) -> Member | None:
    """The primary, None unless there is exactly one that runs."""
    leaders = [member for member in members if member.role == "leader" and member.state == "running"]
    return leaders[0] if len(leaders) == 1 else None


def shortcomings(members: list[Member], expected: list[str], *, synchronous: bool) -> list[str]:
    """Why the cluster is not whole, in words; nothing when it is."""
    known = {member.name: member for member in members}
    words = [f"{name} has not joined" for name in expected if name not in known]
    if leader_of(members) is None:
        words.append("there is no primary")
    standbys = [known[name] for name in expected if name in known and known[name].role in STANDBY_ROLES]
    words += [f"{member.name} is {member.state}" for member in standbys if member.state != "streaming"]
    if synchronous and standbys and not any(member.role in SYNCHRONOUS_ROLES for member in standbys):
        words.append("no standby is synchronous")
    return words


class Cluster:
    """The cluster, and what this module does to it."""

    def __init__(self, patroni: Patroni, expected: list[str], timeout_seconds: int) -> None:
        """Remember whom to ask and how long."""
        self.patroni = patroni
        self.expected = expected
        self.timeout_seconds = timeout_seconds
        self.restarted: list[str] = []

    def lacking(self) -> tuple[list[Member], list[str]]:
        """The members, and what the cluster lacks now."""
        try:
            members = self.patroni.members()
            synchronous = bool(self.patroni.shared_settings().get("synchronous_mode"))
        except ClusterError as error:
            return [], [str(error)]
        return members, shortcomings(members, self.expected, synchronous=synchronous)

    def wait_until_whole(self) -> list[Member]:
        """Wait for one primary and all standbys streaming.

        Raises:
            ClusterError: If that takes too long; it says what is missing and where to look.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while True:
            members, words = self.lacking()
            if not words:
                return members
            if time.monotonic() >= deadline:
                raise ClusterError(
                    f"after {self.timeout_seconds} s: {'; '.join(words)}. "
                    "Look at `patronictl -c /etc/patroni/config.yml list` and `journalctl -u patroni` on the members."
                )
            time.sleep(PAUSE_SECONDS)

    def patch(self, patch: dict[str, Any]) -> None:
        """Change shared settings and wait until every member has acted on them.

        Each member reads them at the start of a round and acts at its end, so two rounds must begin
        after the change.
        """
        members = self.patroni.members()
        status, text = self.patroni.ask(f"{self.patroni.url}/config", "PATCH", patch)
        if status != http.client.OK:
            raise ClusterError(f"Patroni refuses the settings: {status} {text.strip()[:400]}")
        deadline = time.monotonic() + self.timeout_seconds
        for member in members:
            seen = self.patroni.last_round(member)
            for _ in range(2):
                while (now := self.patroni.last_round(member)) == seen:
                    if time.monotonic() >= deadline:
                        raise ClusterError(f"{member.name} has not read its settings in {self.timeout_seconds} s")
                    time.sleep(PAUSE_SECONDS)
                seen = now

    def restart(self, member: Member) -> None:
        """Restart one member's PostgreSQL if it still says so, and wait until the cluster is whole."""
        status, text = self.patroni.ask(
            f"{member.url}/restart", "POST", {"restart_pending": True}, timeout=RESTART_SECONDS
        )
        if status != http.client.OK:
            raise ClusterError(f"{member.name} did not restart: {status} {text.strip()[:400]}")
        self.restarted.append(member.name)
        self.wait_until_caught_up()

    def wait_until_caught_up(self) -> None:
        """Wait until every standby has replayed what the primary had written by now.

        What the cluster says may be a round old; so each member is asked itself. A standby learns of
        its primary's new limits by replaying them, before that a restart would not help it.
        """
        members = self.wait_until_whole()
        leader = next(member for member in members if member.role == "leader")
        written = self.patroni.own_word(leader)["xlog"]["location"]
        deadline = time.monotonic() + self.timeout_seconds
        for member in members:
            while member is not leader:
                word = self.patroni.own_word(member)
                if word.get("replication_state") == "streaming" and word["xlog"]["replayed_location"] >= written:
                    break
                if time.monotonic() >= deadline:
                    raise ClusterError(
                        f"{member.name} has not caught up with {leader.name} in {self.timeout_seconds} s"
                    )
                time.sleep(PAUSE_SECONDS)

    def restart_pending(self) -> None:
        """Restart whoever needs it, one at a time: standbys first, unless that would not help them.

        A standby must allow at least as many connections as its primary, so it can lower that only
        after the primary has; what does both has standbys restarted before and after.

        Raises:
            ClusterError: If a member wants a restart that did not help.
        """
        fresh: set[str] = set()
        while True:
            members = self.wait_until_whole()
            pending = self.patroni.pending(members)
            if not pending:
                return
            leader = next(member for member in members if member.role == "leader")
            standbys = [one for one in members if one.name in pending.keys() - fresh and one is not leader]
            if leader.name in pending and (not standbys or only_lowers(pending[leader.name])):
                chosen = leader
            elif standbys:
                chosen = standbys[0]
            else:
                raise ClusterError(f"a restart did not apply {sorted(pending)}'s settings: {pending}")
            if self.restarted.count(chosen.name) == ROUNDS:
                raise ClusterError(f"{chosen.name} was restarted {ROUNDS} times and still asks for it: {pending}")
            self.restart(chosen)
            fresh = set() if chosen is leader else {*fresh, chosen.name}


def read_config(module: AnsibleModule, path: str) -> dict[str, Any]:
    """Patroni's configuration on this host."""
    try:
        import yaml  # noqa: PLC0415 - Debian's Patroni brings it; before that there is none

        config: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (ImportError, OSError) as error:
        if module.check_mode:
            module.exit_json(
                changed=module.params["dynamic"] is not None,
                leader="",
                changes=["the cluster would be made"],
                restarted=[],
            )
        module.fail_json(msg=f"Patroni is not set up here: {error}")
    return config


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "config_file": {"type": "path", "default": "/etc/patroni/config.yml"},
            "members": {"type": "list", "elements": "str", "required": True},
            "dynamic": {"type": "dict"},
            "timeout_seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    patroni = Patroni(read_config(module, parameters["config_file"]))
    cluster = Cluster(patroni, parameters["members"], parameters["timeout_seconds"])
    changes: list[str] = []
    plan: dict[str, Any] = {}
    try:
        if module.check_mode and (words := cluster.lacking()[1]):
            module.exit_json(changed=parameters["dynamic"] is not None, leader="", changes=words, restarted=[])
        members = cluster.wait_until_whole()
        if parameters["dynamic"] is not None:
            wished = json.loads(json.dumps(parameters["dynamic"]))
            patch, changes = difference(wished, held := patroni.shared_settings())
            if module.check_mode:
                cluster.restarted = sorted(patroni.pending(members))
                plan = patroni_plan.of(module, patch, held, [(one.name, one.role) for one in members], STANDBY_FLOORS)
            else:
                if patch:
                    cluster.patch(patch)
                cluster.restart_pending()
                members = cluster.wait_until_whole() if patch or cluster.restarted else members
    except ClusterError as error:
        reason = f"the database cluster is not as it should be: {error}"
        module.fail_json(msg=reason, changes=changes, restarted=cluster.restarted)
    leader = next(member.name for member in members if member.role == "leader")
    if leader in cluster.restarted and not module.check_mode:
        module.warn(f"PostgreSQL on the primary {leader} was restarted; writes paused meanwhile")
    changed = bool(changes or cluster.restarted)
    module.exit_json(changed=changed, leader=leader, changes=changes, restarted=cluster.restarted, **plan)


if __name__ == "__main__":
    main()
