#!/usr/bin/python
"""Write the files in which Redis and Sentinel keep their topology, where they are missing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_seed
short_description: A node without a past follows the master it is told
description:
  - Writes the two files that Redis and Sentinel rewrite themselves from then on. One that exists is never touched, so
    who is master stays the group's own knowledge.
options:
  nodes: {description: Addresses of all nodes., type: list, elements: str, required: true}
  port: {description: Port of Redis., type: int, required: true}
  master_name: {description: Name of the group., type: str, required: true}
  master: {description: Address of the master that this node follows., type: str, required: true}
  quorum: {description: Sentinels that must agree on a dead master., type: int, required: true}
  server_state_file: {description: File that Redis rewrites., type: path, required: true}
  sentinel_state_file: {description: File that Sentinel rewrites., type: path, required: true}
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Configure | Ensure a node without a past follows the master
  sitewright.platform.redis_seed:
    nodes: [10.20.0.31, 10.20.0.32, 10.20.0.33]
    port: "{{ redis_port }}"
    master_name: main
    master: 10.20.0.31
    quorum: 2
    server_state_file: /var/lib/redis/state.conf
    sentinel_state_file: /var/lib/redis/sentinel.conf
"""

RETURN = r"""
done: {description: Files that were (or would be) written., returned: always, type: list, elements: str}
diff: {description: "Each file, before and after.", returned: always, type: list, elements: dict}
"""

import os
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told
from ansible_collections.sitewright.platform.plugins.module_utils.redis_group import own_addresses


def write(path: Path, text: str) -> None:
    """Make a file whole or not at all, for Redis to rewrite."""
    owner = pwd.getpwnam("redis")
    fresh = path.with_name(f".{path.name}.seed")
    fresh.write_text(text)
    fresh.chmod(0o640)
    os.chown(fresh, owner.pw_uid, owner.pw_gid)
    fresh.replace(path)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "str", "required": True},
            "port": {"type": "int", "required": True},
            "master_name": {"type": "str", "required": True},
            "master": {"type": "str", "required": True},
            "quorum": {"type": "int", "required": True},
            "server_state_file": {"type": "path", "required": True},
            "sentinel_state_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    wished = module.params
    master, port = wished["master"], wished["port"]
    seeds = {
        wished["server_state_file"]: "" if master in own_addresses(wished["nodes"]) else f"replicaof {master} {port}\n",
        wished["sentinel_state_file"]: (
            f"sentinel monitor {wished['master_name']} {master} {port} {wished['quorum']}\n"
        ),
    }
    missing = {name: text for name, text in seeds.items() if not Path(name).exists()}
    if not module.check_mode:
        for name, text in missing.items():
            write(Path(name), text)
    module.exit_json(
        changed=bool(missing),
        done=[f"seeded {name}" for name in missing],
        diff=[
            {"before": "", "after": text, "before_header": name, "after_header": name} for name, text in missing.items()
        ],
        **told(module, changes=[{"kind": "file", "name": name, "note": "new"} for name in missing]),
    )


if __name__ == "__main__":
    main()
