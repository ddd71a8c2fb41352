#!/usr/bin/python
"""Give a RabbitMQ node its Erlang cookie; one that runs takes a new one without a restart."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rabbitmq_cookie
short_description: The secret that the nodes and tools of a RabbitMQ cluster share
description:
  - Writes the cookie's file. A node that runs is first told the new cookie, which it takes for every connection from
    then on; those it has stay open. Run it on all nodes at the same time, because two nodes that lose each other in
    between would not find each other again until both have it.
  - The cookie reaches the node through a file that only its user may read, never a command line.
  - After an interruption between the two steps the next run does the second one. In the end the tools are asked whether
    the node answers to the cookie in the file.
options:
  path: {description: The cookie's file., type: path, required: true}
  cookie: {description: "The cookie: letters and digits.", type: str, required: true}
  user: {description: User the node runs as., type: str, default: rabbitmq}
  unit: {description: The node's unit., type: str, default: rabbitmq-server.service}
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Configure | Ensure the cookie; a node that runs takes it without a restart
  sitewright.platform.rabbitmq_cookie:
    path: /var/lib/rabbitmq/.erlang.cookie
    cookie: "{{ rabbitmq_erlang_cookie }}"
  no_log: true
"""

RETURN = r"""
diff: {description: "What was (or would be) done, in the form that Ansible shows.", returned: always, type: dict}
"""

import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told

MODE = 0o400


class Cookie:
    """The cookie of one node."""

    def __init__(self, module: AnsibleModule) -> None:
        """Keep what the task asked for."""
        self.module = module
        self.path = Path(module.params["path"])
        # The same after an interruption; what is in it then is replaced.
        self.next = self.path.with_name(f"{self.path.name}.next")
        self.wanted: str = module.params["cookie"]

    def held(self) -> str | None:
        """The cookie in the file, None without one."""
        return self.path.read_text(encoding="ascii", errors="replace") if self.path.is_file() else None

    def runs(self) -> bool:
        """Whether the node runs."""
        code, _, _ = self.module.run_command(["systemctl", "--quiet", "is-active", self.module.params["unit"]])
        return bool(code == 0)

    def write_next(self) -> None:
        """Write the new cookie where the node may read it."""
        owner = pwd.getpwnam(self.module.params["user"])
        self.next.unlink(missing_ok=True)
        descriptor = os.open(self.next, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            os.fchown(descriptor, owner.pw_uid, owner.pw_gid)
            stream.write(self.wanted)
            stream.flush()
            os.fsync(descriptor)

    def tell_the_node(self) -> str:
        """Have the running node take the new cookie; what it answered when it did not."""
        expression = (
            f'{{ok, Text}} = file:read_file("{self.next}"),'
            " erlang:set_cookie(binary_to_atom(string:trim(Text), latin1))."
        )
        return self.ctl("eval", expression)

    def ctl(self, *words: str) -> str:
        """Ask the node with its own tool, which shows the cookie in the file; empty when it answered."""
        code, out, err = self.module.run_command(["rabbitmqctl", "--quiet", *words])
        said = " ".join((err or out).split())[:300].replace(self.wanted, "[hidden]")
        return "" if code == 0 else said or f"exit code {code}"

    def change(self, *, told_running: bool) -> None:
        """Bring the node and its file to the cookie."""
        self.write_next()
        refused = self.tell_the_node() if told_running else ""
        self.next.replace(self.path)
        if not told_running:
            return
        if silent := self.ctl("eval", "ok."):
            self.module.fail_json(
                msg="the node does not answer to its new Erlang cookie: "
                f"{silent}{f' (before: {refused})' if refused else ''}. "
                f"Restart it when the others can spare it: systemctl restart {self.module.params['unit']}"
            )


def main() -> None:
    """Entry point of the module."""
    arguments: dict[str, Any] = {
        "path": {"type": "path", "required": True},
        "cookie": {"type": "str", "required": True, "no_log": True},
        "user": {"type": "str", "default": "rabbitmq"},
        "unit": {"type": "str", "default": "rabbitmq-server.service"},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    if not module.params["cookie"].isalnum():
        module.fail_json(msg="the Erlang cookie must consist of letters and digits")
    cookie = Cookie(module)
    changes = []
    if cookie.held() != cookie.wanted:
        changes.append(f"Erlang cookie in {cookie.path}")
        if not module.check_mode:
            cookie.change(told_running=cookie.held() is not None and cookie.runs())
    elif not module.check_mode:
        cookie.next.unlink(missing_ok=True)
    diff = diff_of(changes, "Erlang cookie")
    module.exit_json(changed=bool(changes), diff=diff, **told(module, changes))


if __name__ == "__main__":
    main()
