#!/usr/bin/python
"""Bring the settings that a Patroni cluster shares to the wished state, and restart PostgreSQL where one needs it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_settings
short_description: The settings all members share, applied; restarts PostgreSQL when one needs it
description:
  - Runs on one member and reads credentials and certificates from Patroni's own configuration there, so no secret
    passes through Ansible.
  - Waits until there is one primary and every standby streams. Patches the settings kept in etcd where they differ from
    O(dynamic), then restarts the PostgreSQL of each member that says it needs it, standbys first and the primary last,
    one at a time, each only when the cluster is whole again. Restarts that an interrupted run owed are found the same
    way.
  - In check mode it tells which settings would change, old to new, and whose PostgreSQL would restart for them, in
    which order, by what PostgreSQL itself says of each setting.
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
        where this is the whole truth.
    type: dict
    required: true
  timeout_seconds:
    description: How long the cluster may take to be whole, in seconds.
    type: int
    default: 180
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure the agreed settings; restarts PostgreSQL, standbys first, when a setting needs it
  sitewright.platform.patroni_settings:
    members: [db1, db2]
    dynamic: {loop_wait: 5, postgresql: {parameters: {work_mem: 8MB}}}
  run_once: true
"""

RETURN = r"""
leader: {description: Name of the primary; empty in check mode when there is none yet., returned: always, type: str}
changes: {description: Each shared setting that differed., returned: always, type: list, elements: str}
restarted:
  description: Members whose PostgreSQL was (or would be) restarted, in that order.
  returned: always
  type: list
  elements: str
diff: {description: "The settings that differed, before and after.", returned: always, type: dict}
"""

import http
import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils import patroni_plan
from ansible_collections.sitewright.platform.plugins.module_utils.patroni import (
    Cluster,
    ClusterError,
    Member,
    NotSetUpError,
    Patroni,
    read_config,
)

PARAMETERS = "postgresql.parameters."
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

Differences = dict[str, tuple[Any, Any]]


def difference(wished: dict[str, Any], found: dict[str, Any], path: str = "") -> tuple[dict[str, Any], Differences]:
    """The merge patch that turns what was found into what is wished, and each setting's value before and after."""
    patch: dict[str, Any] = {}
    values: Differences = {}
    for key, value in wished.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict):
            inner, inner_values = difference(value, found.get(key) or {}, name)
            if inner:
                patch[key] = inner
                values |= inner_values
        elif found.get(key) != value:
            patch[key] = value
            values[name] = (found.get(key), value)
    if f"{path}." == PARAMETERS:
        for key in sorted(found.keys() - wished.keys()):
            patch[key] = None
            values[f"{path}.{key}"] = (found[key], None)
    return patch, values


def in_words(values: Differences) -> list[str]:
    """Each difference in words."""
    return [
        f"{name}: {old!r} -> {new!r}" if new is not None else f"{name}: {old!r} -> default"
        for name, (old, new) in values.items()
    ]


def only_lowers(reasons: dict[str, Any]) -> bool:
    """Whether a restart does nothing but lower what a standby must allow as much of as its primary."""
    return bool(reasons) and all(
        name in STANDBY_FLOORS and int(reason["new_value"]) < int(reason["old_value"])
        for name, reason in reasons.items()
    )


class Restarts:
    """Settings patched, and PostgreSQL restarted where that needs it."""

    def __init__(self, cluster: Cluster) -> None:
        """Remember the cluster."""
        self.cluster = cluster
        self.patroni = cluster.patroni
        self.done: list[str] = []

    def patch(self, patch: dict[str, Any]) -> None:
        """Change shared settings and wait until every member has acted on them.

        Each member reads them at the start of a round and acts at its end, so two rounds must begin
        after the change.
        """
        members = self.patroni.members()
        answer = self.patroni.ask(f"{self.patroni.url}/config", "PATCH", patch)
        if answer.status != http.HTTPStatus.OK:
            raise ClusterError(f"Patroni refuses the settings: {answer.status} {answer.words()}")
        for member in members:
            seen = self.last_round(member)
            for _ in range(2):
                now = [seen]

                def has_gone_on(member: Member = member, seen: int = seen, now: list[int] = now) -> bool:
                    now[0] = self.last_round(member)
                    return now[0] != seen

                self.cluster.wait_for(has_gone_on, f"{member.name} has not read its settings")
                seen = now[0]

    def last_round(self, member: Member) -> int:
        """When the member last looked at the cluster, in seconds since the epoch."""
        return int(self.patroni.own_word(member).get("dcs_last_seen", 0))

    def restart(self, member: Member) -> None:
        """Restart one member's PostgreSQL if it still says so, and wait until the cluster is whole."""
        url = f"{member.url}/restart"
        answer = self.patroni.ask(url, "POST", {"restart_pending": True}, timeout=RESTART_SECONDS)
        if answer.status != http.HTTPStatus.OK:
            raise ClusterError(f"{member.name} did not restart: {answer.status} {answer.words()}")
        self.done.append(member.name)
        self.wait_until_caught_up()

    def wait_until_caught_up(self) -> None:
        """Wait until every standby has replayed what the primary had written by now.

        What the cluster says may be a round old; so each member is asked itself. A standby learns of
        its primary's new limits by replaying them, before that a restart would not help it.
        """
        members = self.cluster.wait_until_whole()
        leader = next(member for member in members if member.role == "leader")
        written = self.patroni.own_word(leader)["xlog"]["location"]
        for member in members:
            if member is leader:
                continue

            def has_caught_up(member: Member = member) -> bool:
                word = self.patroni.own_word(member)
                return word.get("replication_state") == "streaming" and word["xlog"]["replayed_location"] >= written

            self.cluster.wait_for(has_caught_up, f"{member.name} has not caught up with {leader.name}")

    def all_pending(self) -> None:
        """Restart whoever needs it, one at a time: standbys first, unless that would not help them.

        A standby must allow at least as many connections as its primary, so it can lower that only
        after the primary has; what does both has standbys restarted before and after.

        Raises:
            ClusterError: If a member wants a restart that did not help.
        """
        fresh: set[str] = set()
        while True:
            members = self.cluster.wait_until_whole()
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
            if self.done.count(chosen.name) == ROUNDS:
                raise ClusterError(f"{chosen.name} was restarted {ROUNDS} times and still asks for it: {pending}")
            self.restart(chosen)
            fresh = set() if chosen is leader else {*fresh, chosen.name}


def result_of(values: Differences, restarted: list[str], leader: str) -> dict[str, Any]:
    """What the module returns, in check mode as for real."""
    before, after = ("".join(f"{name}: {pair[side]}\n" for name, pair in values.items()) for side in (0, 1))
    header = "settings of the database cluster"
    return {
        "changed": bool(values or restarted),
        "leader": leader,
        "changes": in_words(values),
        "restarted": restarted,
        "diff": {"before": before, "after": after, "before_header": header, "after_header": header},
    }


def check(module: AnsibleModule, cluster: Cluster, wished: dict[str, Any]) -> dict[str, Any]:
    """Tell what would change and whom that would restart."""
    members, problems = cluster.lacking()
    if problems:
        return {"changed": True, "leader": "", "changes": problems, "restarted": [], "diff": {}}
    held = cluster.patroni.shared_settings()
    patch, values = difference(wished, held)
    owed = cluster.patroni.pending(members)
    roles = [(member.name, member.role) for member in members]
    told = patroni_plan.of(module, patch, held, roles, STANDBY_FLOORS, owed)
    restarted = [node for one in told["plan"].get("interrupts", ()) for node in one["nodes"]]
    leader = next(member.name for member in members if member.role == "leader")
    return {**result_of(values, restarted, leader), **told}


def apply(module: AnsibleModule, cluster: Cluster, wished: dict[str, Any]) -> dict[str, Any]:
    """Change what differs and restart whom that needs."""
    restarts = Restarts(cluster)
    values: Differences = {}
    try:
        members = cluster.wait_until_whole()
        patch, values = difference(wished, cluster.patroni.shared_settings())
        if patch:
            restarts.patch(patch)
        restarts.all_pending()
        if patch or restarts.done:
            members = cluster.wait_until_whole()
    except ClusterError as error:
        reason = f"the database cluster is not as it should be: {error}"
        module.fail_json(msg=reason, changes=in_words(values), restarted=restarts.done)
    leader = next(member.name for member in members if member.role == "leader")
    if leader in restarts.done:
        module.warn(f"PostgreSQL on the primary {leader} was restarted; writes paused meanwhile")
    return result_of(values, restarts.done, leader)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "config_file": {"type": "path", "default": "/etc/patroni/config.yml"},
            "members": {"type": "list", "elements": "str", "required": True},
            "dynamic": {"type": "dict", "required": True},
            "timeout_seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        patroni = Patroni(read_config(parameters["config_file"]))
        cluster = Cluster(patroni, parameters["members"], parameters["timeout_seconds"])
        wished = json.loads(json.dumps(parameters["dynamic"]))
        done = check(module, cluster, wished) if module.check_mode else apply(module, cluster, wished)
    except NotSetUpError as error:
        if module.check_mode:
            module.exit_json(changed=True, leader="", changes=["the cluster would be made"], restarted=[], diff={})
        module.fail_json(msg=str(error))
    except ClusterError as error:
        module.fail_json(msg=f"the database cluster cannot be asked: {error}")
    module.exit_json(**done)


if __name__ == "__main__":
    main()
