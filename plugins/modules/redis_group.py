#!/usr/bin/python
"""Users and quorum of a running Redis group, and its health."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_group
short_description: All nodes follow one master, and know their users and quorum
description:
  - Speaks to all nodes and Sentinels itself, over TLS 1.3 with a client certificate, so one task on one host replaces
    several calls of redis-cli on each, and no password reaches an argv.
  - Has the running processes load their user files where the users differ, which logs out only clients of users that
    changed; where nothing but passwords differs, they are added and taken one by one, which logs out nobody. Sets the
    quorum. None of it restarts anything. Waits until all nodes follow one master and all Sentinels know each other.
  - Who is master belongs to Redis; this asks and never decides.
options:
  quorum: {description: Sentinels that must agree on a dead master., type: int, required: true}
  server_users: {description: Users of Redis as C(ACL LIST) prints them., type: list, elements: str, default: []}
  sentinel_users: {description: Users of Sentinel in the same form., type: list, elements: str, default: []}
extends_documentation_fragment:
  - sitewright.platform.redis
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure users and quorum of the running group; all nodes follow one master
  sitewright.platform.redis_group:
    nodes: [10.20.0.31, 10.20.0.32, 10.20.0.33]
    port: "{{ redis_port }}"
    sentinel_port: "{{ redis_sentinel_port }}"
    master_name: main
    quorum: 2
    ca_file: /etc/sitewright/tls/ca.crt
    certificate_file: /etc/redis/tls.crt
    key_file: /etc/redis/tls.key
    username: admin
    password: "{{ redis_admin_password }}"
  run_once: true
  no_log: true
"""

RETURN = r"""
master: {description: Address of the master; empty in check mode when nobody answers., returned: always, type: str}
done: {description: What was (or would be) changed., returned: always, type: list, elements: str}
diff: {description: "Names of the users and the quorum, before and after.", returned: always, type: dict}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told
from ansible_collections.sitewright.platform.plugins.module_utils.redis_group import ARGUMENTS, UNITS, Group, GroupError
from ansible_collections.sitewright.platform.plugins.module_utils.resp import Connection


class Running:
    """What the running processes hold, brought to what is wanted."""

    def __init__(self, module: AnsibleModule) -> None:
        """Keep what the task asked for."""
        self.module = module
        self.done: list[str] = []
        self.before: list[str] = []
        self.after: list[str] = []

    def treat_sentinel(self, sentinel: Connection, seen: dict[str, str]) -> None:
        """Load its users, and set the one value that Sentinel's own file decides, when the group grew or shrank."""
        self.load_users(sentinel, self.module.params["sentinel_users"])
        quorum = self.module.params["quorum"]
        if int(seen["quorum"]) == quorum:
            return
        self.done.append(f"quorum of {sentinel.name}")
        self.before.append(f"quorum of {sentinel.name}: {seen['quorum']}")
        self.after.append(f"quorum of {sentinel.name}: {quorum}")
        if not self.module.check_mode:
            sentinel.ask("SENTINEL", "SET", self.module.params["master_name"], "quorum", str(quorum))

    def treat_server(self, server: Connection) -> None:
        """Load its users."""
        self.load_users(server, self.module.params["server_users"])

    def load_users(self, connection: Connection, wanted: list[str]) -> None:
        """Make the running users those of the user file."""
        held = connection.ask("ACL", "LIST") if wanted else []
        differing = names_that_differ(held, wanted)
        if not differing:
            return
        self.done.append(f"users of {connection.name}: {', '.join(differing)}")
        self.before += [f"user {name} of {connection.name}: as before" for name in names(held) if name in differing]
        self.after += [f"user {name} of {connection.name}: as written" for name in names(wanted) if name in differing]
        if self.module.check_mode:
            return
        if not self.change_passwords(connection, held, wanted):
            connection.ask("ACL", "LOAD")
        if names_that_differ(connection.ask("ACL", "LIST"), wanted):
            self.module.fail_json(
                msg=f"{connection.name}: its users differ from the wanted ones even after ACL LOAD. Its user file is "
                "not what the role wrote, or a rule is not in the words of `ACL LIST`.",
                done=self.done,
            )

    @staticmethod
    def change_passwords(connection: Connection, held: list[str], wanted: list[str]) -> bool:
        """Add and take passwords of running users, which logs out nobody; False when that is not all that differs."""
        before, after = ({user.split()[1]: user for user in users} for users in (held, wanted))
        if {name: without_passwords(user) for name, user in before.items()} != {
            name: without_passwords(user) for name, user in after.items()
        }:
            return False
        for name in names_that_differ(held, wanted):
            old, new = passwords(before[name]), passwords(after[name])
            rules = [*(each for each in new if each not in old), *(f"!{each[1:]}" for each in old if each not in new)]
            connection.ask("ACL", "SETUSER", name, *rules)
        return True


def passwords(user: str) -> list[str]:
    """The hashes of a user's passwords, as C(ACL LIST) prints them."""
    return [word for word in user.split() if word.startswith("#")]


def without_passwords(user: str) -> list[str]:
    """What a user is besides its passwords."""
    return [word for word in user.split() if not word.startswith("#")]


def normal(user: str) -> tuple[str, ...]:
    """A user in a form that compares equal whatever the order of its passwords."""
    return (*without_passwords(user), *sorted(passwords(user)))


def names(users: list[str]) -> list[str]:
    """The names of users in the form of C(ACL LIST): `user NAME rules...`."""
    return [user.split()[1] for user in users]


def names_that_differ(held: list[str], wanted: list[str]) -> list[str]:
    """Names of the users that are not the same in both, whatever the order."""
    return sorted({user[1] for user in {normal(each) for each in held} ^ {normal(each) for each in wanted}})


def main() -> None:
    """Entry point of the module."""
    users = {"type": "list", "elements": "str", "default": [], "no_log": True}
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "quorum": {"type": "int", "required": True},
            "server_users": users,
            "sentinel_users": users,
        },
        supports_check_mode=True,
    )
    running = Running(module)
    try:
        master = Group(module.params).await_health(
            running.treat_sentinel, running.treat_server, once=bool(module.check_mode)
        )
    except GroupError as error:
        module.fail_json(msg=str(error), done=running.done)
    last = dict.fromkeys(UNITS, master) if master else {}
    module.exit_json(
        changed=bool(running.done),
        master=master,
        done=running.done,
        diff={
            "before": "".join(f"{line}\n" for line in running.before),
            "after": "".join(f"{line}\n" for line in running.after),
            "before_header": "running Redis group",
            "after_header": "running Redis group",
        },
        **told(module, running.done, last=last),
    )


if __name__ == "__main__":
    main()
