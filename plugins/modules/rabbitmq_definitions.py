#!/usr/bin/python
"""Bring a running RabbitMQ cluster to its definitions and feature flags, and wait until it is whole."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rabbitmq_definitions
short_description: Definitions and feature flags of a RabbitMQ cluster
description:
  - Compares the definitions file with what the cluster holds, object by object, and imports it when something is
    missing or differs. What the cluster holds besides is left alone, apart from the default user C(guest).
  - Enables every stable feature flag, which the next release of RabbitMQ asks for. Ask for it when all nodes run the
    same release.
  - Nothing restarts and no client is cut off. Waits before until all members run, and afterwards until every quorum
    queue has a replica on each of them, through the same connection.
  - One HTTPS conversation over TLS 1.3 with a client certificate replaces several starts of rabbitmqctl, each of which
    costs a second of processor time. Only an administrator's password that the cluster does not know yet is brought by
    C(rabbitmqctl import_definitions).
options:
  definitions_file: {description: Definitions on the host., type: path, required: true}
extends_documentation_fragment:
  - sitewright.platform.rabbitmq
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure the running cluster holds what is defined, and is whole
  sitewright.platform.rabbitmq_definitions:
    definitions_file: /etc/rabbitmq/definitions.json
    host: svc1.example.internal
    port: "{{ rabbitmq_management_port }}"
    members: [rabbit@svc1.example.internal, rabbit@svc2.example.internal, rabbit@svc3.example.internal]
    ca_file: /etc/sitewright/tls/ca.crt
    certificate_file: /etc/sitewright/tls/rabbitmq/tls.crt
    key_file: /etc/sitewright/tls/rabbitmq/tls.key
    username: admin
    password: "{{ rabbitmq_admin_password }}"
  run_once: true
  no_log: true
"""

RETURN = r"""
diff: {description: "The same, in the form that Ansible shows.", returned: always, type: dict}
done: {description: What was (or would be) changed., returned: always, type: list, elements: str}
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told
from ansible_collections.sitewright.platform.plugins.module_utils.rabbitmq import (
    ARGUMENTS,
    Cluster,
    LateError,
    PasswordRefusedError,
)

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


class Definitions:
    """What a cluster holds, brought to what is wanted."""

    def __init__(self, module: AnsibleModule, cluster: Cluster) -> None:
        """Start without a change."""
        self.module = module
        self.cluster = cluster
        self.file = Path(module.params["definitions_file"])
        self.done: list[str] = []
        self.refused_since: float | None = None

    def ensure(self) -> None:
        """Do all of it, or raise `NotYetError`; done again, it goes on where it was."""
        try:
            self.cluster.check_members()
            self.define()
            self.enable_feature_flags()
            self.cluster.check_queues()
        except PasswordRefusedError:
            self.refused_since = self.refused_since or time.monotonic()
            if time.monotonic() - self.refused_since > REFUSAL_SECONDS and not self.module.check_mode:
                self.import_on_the_host()
                self.refused_since = None
            raise

    def define(self) -> None:
        """Bring the running cluster to the definitions file, without a restart."""
        if not self.file.exists():  # check mode on a host where nothing is installed yet
            return
        wanted = json.loads(self.file.read_text())
        held = self.cluster.ask("GET", "/api/definitions")
        missing = differences(wanted, held)
        if missing:
            self.done.extend(missing)
            if not self.module.check_mode:
                self.cluster.ask("POST", "/api/definitions", wanted)
                left = differences(wanted, self.cluster.ask("GET", "/api/definitions"))
                if left:
                    self.module.fail_json(
                        msg=f"RabbitMQ keeps its own version of {', '.join(left)}: such an object cannot be changed "
                        "while it exists. Empty and delete it, then run the same command again.",
                        done=self.done,
                    )
        if any(user["name"] == UNWANTED_USER for user in held["users"]):
            self.done.append(f"removed user {UNWANTED_USER}")
            if not self.module.check_mode:
                self.cluster.ask("DELETE", f"/api/users/{UNWANTED_USER}")

    def enable_feature_flags(self) -> None:
        """Enable what an upgrade brought; an upgrade to the next release demands it."""
        for flag in self.cluster.ask("GET", "/api/feature-flags"):
            if flag["stability"] == "stable" and flag["state"] == "disabled":
                self.done.append(f"feature flag {flag['name']}")
                if not self.module.check_mode:
                    self.cluster.ask("PUT", f"/api/feature-flags/{flag['name']}/enable", {"name": flag["name"]})

    def import_on_the_host(self) -> None:
        """Import the definitions as the host's root, for when the administrator's own password changed."""
        self.done.append("imported the definitions because the administrator's password was refused")
        argv = ["rabbitmqctl", "--quiet", "import_definitions", str(self.file)]
        code, out, err = self.module.run_command(argv)
        if code != 0:
            self.module.fail_json(msg=f"rabbitmqctl import_definitions failed: {err.strip() or out.strip()}")


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "definitions_file": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    cluster = Cluster(module.params)
    definitions = Definitions(module, cluster)
    done = definitions.done
    try:
        cluster.repeat(definitions.ensure, once=bool(module.check_mode))
    except LateError as late:
        module.fail_json(msg=str(late), done=done)
    finally:
        cluster.close()
    diff = diff_of(done, "RabbitMQ's definitions")
    module.exit_json(changed=bool(done), done=done, diff=diff, **told(module, done))


if __name__ == "__main__":
    main()
