#!/usr/bin/python
"""Wait for a Patroni cluster to be whole; change nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_health
short_description: One primary, and every standby streams from it
description:
  - Runs on one member and reads credentials and certificates from Patroni's own configuration there, so no secret
    passes through Ansible.
  - Waits until there is exactly one primary and every other member streams from it, one of them synchronously where
    the cluster is told so. It only reads, in check mode as for real.
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
  timeout_seconds:
    description: How long the cluster may take to be whole, in seconds.
    type: int
    default: 180
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Health_check | Check through Patroni that there is one primary and every standby streams
  sitewright.platform.patroni_health:
    members: [db1, db2]
  run_once: true
"""

RETURN = r"""
leader: {description: Name of the primary; empty in check mode when there is none yet., returned: always, type: str}
problems: {description: What the cluster lacks; only in check mode., returned: always, type: list, elements: str}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.patroni import (
    UNIT,
    Cluster,
    ClusterError,
    NotSetUpError,
    Patroni,
    leader_of,
    read_config,
)
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "config_file": {"type": "path", "default": "/etc/patroni/config.yml"},
            "members": {"type": "list", "elements": "str", "required": True},
            "timeout_seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        patroni = Patroni(read_config(parameters["config_file"]))
        cluster = Cluster(patroni, parameters["members"], parameters["timeout_seconds"])
        members, problems = cluster.lacking() if module.check_mode else (cluster.wait_until_whole(), [])
    except NotSetUpError as error:
        if module.check_mode:
            module.exit_json(changed=False, leader="", problems=[str(error)])
        module.fail_json(msg=str(error))
    except ClusterError as error:
        module.fail_json(msg=f"the database cluster is not as it should be: {error}")
    found = leader_of(members)
    leader = found.name if found else ""
    last = {UNIT: leader} if leader else {}
    module.exit_json(changed=False, leader=leader, problems=problems, **told(module, last=last))


if __name__ == "__main__":
    main()
