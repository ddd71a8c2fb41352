#!/usr/bin/python
"""Move the master of a Redis group away from a node that is about to restart."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_failover
short_description: A node is not the master of its group; fails over when it is
description:
  - Has Sentinel choose another master when O(node) is it, which interrupts writes for a moment, then waits until all
    nodes follow the new one. Where another node is master it only asks.
  - A failover is asked for only when every Sentinel sees every replica following, since one that it takes for down
    would be left out.
options:
  node: {description: Address of the node that must not be master., type: str, required: true}
extends_documentation_fragment:
  - sitewright.platform.redis
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Roll | Ensure another node is master before Redis restarts; fails over when this one is
  sitewright.platform.redis_failover:
    node: 10.20.0.31
    nodes: [10.20.0.31, 10.20.0.32, 10.20.0.33]
    port: "{{ redis_port }}"
    sentinel_port: "{{ redis_sentinel_port }}"
    master_name: main
    ca_file: /etc/sitewright/tls/ca.crt
    certificate_file: /etc/redis/tls.crt
    key_file: /etc/redis/tls.key
    username: admin
    password: "{{ redis_admin_password }}"
  no_log: true
"""

RETURN = r"""
master: {description: Address of the master., returned: always, type: str}
done: {description: What was (or would be) changed., returned: always, type: list, elements: str}
diff: {description: "The master, before and after.", returned: always, type: dict}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told
from ansible_collections.sitewright.platform.plugins.module_utils.redis_group import (
    ARGUMENTS,
    PAUSE_SECONDS,
    UNITS,
    Group,
    GroupError,
)
from ansible_collections.sitewright.platform.plugins.module_utils.resp import RefusedError


def unsettled(group: Group, master: str) -> str:
    """The first replica that some Sentinel does not see following the master (empty when all do).

    A failover ends without a replica its Sentinel takes for down, and mends it only after its timeout.
    """
    for address in group.nodes:
        with group.sentinel(address) as sentinel:
            for flat in sentinel.ask("SENTINEL", "REPLICAS", group.name):
                seen = dict(zip(flat[::2], flat[1::2], strict=True))
                state = (seen["flags"], seen["role-reported"], seen["master-host"], seen["master-link-status"])
                if seen["ip"] in group.nodes and state != ("slave", "slave", master, "ok"):
                    return f"{sentinel.name} sees the replica {seen['ip']} as {' '.join(state)}"
    return ""


def fail_over(group: Group, node: str) -> None:
    """Have Sentinel choose another master than the node.

    Raises:
        GroupError: If it did not in time.
    """
    others = [address for address in group.nodes if address != node]
    said = "nothing"
    while not group.is_late():
        try:
            with group.sentinel(others[0]) as sentinel:
                if sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.name)[0] != node:
                    return
                said = unsettled(group, node)
                if not said:
                    sentinel.ask("SENTINEL", "FAILOVER", group.name)
        except RefusedError as refused:  # no replica is good enough yet, or a failover is under way
            said = str(refused)
        time.sleep(PAUSE_SECONDS)
    raise GroupError(f"Sentinel did not move the master away from {node}: {said}")


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "node": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    group, node = Group(module.params), module.params["node"]
    done: list[str] = []
    before = master = ""
    try:
        before = master = group.await_health(once=bool(module.check_mode))
        if before == node and len(group.nodes) > 1:
            done.append(f"moved the master away from {node}")
            if not module.check_mode:
                fail_over(group, node)
                master = group.await_health()
    except GroupError as error:
        module.fail_json(msg=str(error), done=done)
    interruption = {
        "unit": UNITS[0],
        "act": "switchover",
        "what": "switchover",
        "nodes": [node],
        "why": "it is the master and must restart",
    }
    after = "another node" if done and module.check_mode else master
    module.exit_json(
        changed=bool(done),
        master=master,
        done=done,
        diff={"before": f"master: {before}\n", "after": f"master: {after}\n"} if done else {},
        **told(module, done, interrupts=[interruption] if done else []),
    )


if __name__ == "__main__":
    main()
