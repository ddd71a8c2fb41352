#!/usr/bin/python
"""Give a standby the current password of replication, before it needs one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_passfile
short_description: The file from which a standby takes the password of replication
description:
  - Patroni writes this file when it sets a standby up, and looks at it no more while the standby streams. After the
    password was changed, a standby that lost its connection would be refused until Patroni notices. This puts the new
    password in place of the old one, for every line of O(user); the lines are Patroni's.
  - Restarts nothing and cuts no connection. A host without the file is left without.
options:
  path: {description: The file that Patroni is told of as C(pgpass)., type: path, required: true}
  user: {description: Role that replicates., type: str, required: true}
  password: {description: Its password., type: str, required: true}
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure a standby that reconnects knows the password
  sitewright.platform.patroni_passfile:
    path: /var/lib/postgresql/.pgpass-patroni
    user: replicator
    password: "{{ postgresql_replication_password }}"
  no_log: true
"""

RETURN = r"""
diff: {description: "What was (or would be) changed, in the form that Ansible shows.", returned: always, type: dict}
"""

import os
import re
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told

# host, port, database, user, password; a colon or backslash within one of them has a backslash before it.
LINE = re.compile(r"((?:(?:[^:\\]|\\.)*:){3}((?:[^:\\]|\\.)*):)(.*)")


def escaped(value: str) -> str:
    """A value as it stands in such a file."""
    return re.sub(r"([:\\])", r"\\\1", value)


def with_password(text: str, user: str, password: str) -> str:
    """The file's text with another password for one user."""
    lines = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        ours = match is not None and match[2] == escaped(user)
        lines.append(f"{match[1]}{escaped(password)}" if match is not None and ours else line)
    return "".join(f"{line}\n" for line in lines)


def replace(path: Path, text: str) -> None:
    """Replace the file's content at once; owner and mode stay."""
    before = path.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, before.st_mode & 0o777)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    path, changes = Path(module.params["path"]), list[str]()
    if path.is_file():
        before = path.read_text(encoding="utf-8")
        after = with_password(before, module.params["user"], module.params["password"])
        if after != before:
            changes.append(f"password of {module.params['user']} in {path}")
            if not module.check_mode:
                replace(path, after)
    diff = diff_of(changes, str(path))
    module.exit_json(changed=bool(changes), diff=diff, **told(module, changes))


if __name__ == "__main__":
    main()
