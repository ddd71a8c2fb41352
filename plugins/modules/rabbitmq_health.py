#!/usr/bin/python
"""Wait until a RabbitMQ cluster is whole, or can spare one of its nodes; change nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rabbitmq_health
short_description: A RabbitMQ cluster is whole, or can spare a node
description:
  - Only asks, over TLS 1.3 with a client certificate; it restarts nothing and defines nothing.
  - In check mode it asks once and takes the cluster as it is, which may not exist yet.
options:
  state:
    description:
      - V(whole) waits until all members run without an alarm and every quorum queue has a replica on each of them.
      - V(restartable) waits until all members run and no queue would lose its majority if the asked node stopped.
    type: str
    choices: [whole, restartable]
    default: whole
extends_documentation_fragment:
  - sitewright.platform.rabbitmq
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Roll | Check that no queue loses its majority without this node
  sitewright.platform.rabbitmq_health:
    state: restartable
    host: svc1.example.internal
    port: "{{ rabbitmq_management_port }}"
    members: [rabbit@svc1.example.internal, rabbit@svc2.example.internal, rabbit@svc3.example.internal]
    ca_file: /etc/sitewright/tls/ca.crt
    certificate_file: /etc/sitewright/tls/rabbitmq/tls.crt
    key_file: /etc/sitewright/tls/rabbitmq/tls.key
    username: admin
    password: "{{ rabbitmq_admin_password }}"
  no_log: true
"""

RETURN = r"""
problem: {description: "What the cluster lacks, only in check mode; else empty.", returned: always, type: str}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.rabbitmq import ARGUMENTS, Cluster, LateError


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "state": {"type": "str", "choices": ["whole", "restartable"], "default": "whole"},
        },
        supports_check_mode=True,
    )
    cluster = Cluster(module.params)

    def look() -> None:
        cluster.check_members()
        if module.params["state"] == "restartable":
            cluster.check_restartable()
        else:
            cluster.check_queues()

    try:
        problem = cluster.repeat(look, once=bool(module.check_mode))
    except LateError as late:
        module.fail_json(msg=str(late))
    finally:
        cluster.close()
    module.exit_json(changed=False, problem=problem)


if __name__ == "__main__":
    main()
