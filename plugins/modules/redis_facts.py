#!/usr/bin/python
"""What is known about the master of a Redis group; only reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_facts
short_description: The master by the word of the running group and by this host's own files
description:
  - Asks all nodes and Sentinels, over TLS 1.3 with a client certificate, when this host has no past of its own. Changes
    nothing.
options:
  server_state_file: {description: File that Redis rewrites., type: path, required: true}
  sentinel_state_file: {description: File that Sentinel rewrites., type: path, required: true}
extends_documentation_fragment:
  - sitewright.platform.redis
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Configure | Find out what is known about the master
  sitewright.platform.redis_facts:
    nodes: [10.20.0.31, 10.20.0.32, 10.20.0.33]
    port: "{{ redis_port }}"
    sentinel_port: "{{ redis_sentinel_port }}"
    master_name: main
    ca_file: /etc/sitewright/tls/ca.crt
    certificate_file: /etc/redis/tls.crt
    key_file: /etc/redis/tls.key
    username: admin
    password: "{{ redis_admin_password }}"
    server_state_file: /var/lib/redis/state.conf
    sentinel_state_file: /var/lib/redis/sentinel.conf
  no_log: true
"""

RETURN = r"""
answered: {description: "Master by the word of the running group, or empty.", returned: always, type: str}
remembered: {description: "Master by the files of this host, or empty.", returned: always, type: str}
has_past: {description: Whether both state files are there., returned: always, type: bool}
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.redis_group import (
    ARGUMENTS,
    PAUSE_SECONDS,
    Group,
    own_addresses,
)


def lines(name: str) -> list[str]:
    """The lines of a file that need not exist."""
    path = Path(name)
    return path.read_text().splitlines() if path.exists() else []


def remembered_master(group: str, server_state_file: str, sentinel_state_file: str) -> str:
    """The master by this host's own files: Sentinel's is the one that follows failovers."""
    for line in lines(sentinel_state_file):
        words = line.split()
        if words[:3] == ["sentinel", "monitor", group]:
            return words[3]
    for line in lines(server_state_file):
        words = line.split()
        if words[:1] == ["replicaof"]:
            return words[1]
    return ""


def master_for_newcomer(module: AnsibleModule) -> str:
    """The answered master; never this node, whose data is gone, while others have theirs."""
    group = Group(module.params)
    while True:
        master = group.answered_master()
        if master not in own_addresses(group.nodes) or len(group.nodes) == 1 or module.check_mode:
            return master
        if group.is_late():
            module.fail_json(
                msg=f"the Sentinels still call this node ({master}) the master, but it has lost its files; started "
                f"empty, it would empty the replicas. Promote one: SENTINEL FAILOVER {group.name} on another node."
            )
        time.sleep(PAUSE_SECONDS)


def main() -> None:
    """Entry point of the module."""
    file = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "server_state_file": file, "sentinel_state_file": file},
        supports_check_mode=True,
    )
    files = (module.params["server_state_file"], module.params["sentinel_state_file"])
    has_past = all(Path(file).exists() for file in files)
    module.exit_json(
        changed=False,
        has_past=has_past,
        remembered=remembered_master(module.params["master_name"], *files),
        answered="" if has_past else master_for_newcomer(module),
    )


if __name__ == "__main__":
    main()
