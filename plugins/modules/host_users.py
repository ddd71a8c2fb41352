#!/usr/bin/python
"""Users of a host and their groups, all in one round trip, and told in check mode on a bare host too."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_users
short_description: Users exist and are in their groups
description:
  - Makes the users that are missing and adds the groups that a user lacks; it takes nobody out of a group and
    removes no user.
  - In check mode it also works where a group or the package that brings the user is not there yet, which
    M(ansible.builtin.user) refuses.
options:
  users:
    description: The users.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Login name., type: str, required: true}
      groups: {description: Groups besides the user's own; they must exist., type: list, elements: str, default: []}
      comment: {description: Full name of a new user., type: str, default: ""}
      system: {description: Whether a new user is a system's and not a person's., type: bool, default: false}
      home: {description: Home directory of a new user; by default below /home., type: path}
      create_home: {description: Make the home directory of a new user., type: bool, default: true}
      skeleton: {description: Directory whose files a new home gets; by default the host's., type: path}
      shell: {description: "Login shell; an existing user's is changed. By default nobody can log in.", type: path,
              default: /usr/sbin/nologin}
      lock_password: {description: "Nobody logs in with a password, not even with one set before.", type: bool,
                      default: false}
      made_by_package: {description: "A package makes the user; only its groups are looked after.", type: bool,
                        default: false}
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Install | Ensure the user the engine runs as
  sitewright.platform.host_users:
    users: [{name: engine, system: true, create_home: false, groups: [sw-engine]}]
"""

RETURN = r"""
diff: {description: "The same, in the form that Ansible shows.", returned: always, type: dict}
done: {description: What was or would be done, returned: always, type: list, elements: str}
plan:
  description: In check mode, for the installer's plan, the logins that would be made or changed.
  returned: in check mode
  type: dict
"""

import grp
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

SHADOW = Path("/etc/shadow")


def account_of(name: str) -> pwd.struct_passwd | None:
    """The user's entry, None when there is none."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def groups_lacked(name: str, gid: int, wanted: list[str]) -> list[str]:
    """Those of the groups the user is in neither as a member nor as by its own group."""
    lacked = []
    for group in wanted:
        try:
            entry = grp.getgrnam(group)
        except KeyError:
            lacked.append(group)
            continue
        if name not in entry.gr_mem and entry.gr_gid != gid:
            lacked.append(group)
    return lacked


def is_locked(name: str) -> bool:
    """Whether no password opens the account."""
    for line in SHADOW.read_text(encoding="utf-8").splitlines():
        found, password = line.split(":")[:2]
        if found == name:
            return password.startswith(("!", "*"))
    return False


def creation(user: dict[str, Any]) -> list[str]:
    """The command that makes a user; without a password nobody logs in with one."""
    argv = ["useradd", "--shell", user["shell"]]
    argv += ["--comment", user["comment"]] if user["comment"] else []
    argv += ["--system"] if user["system"] else []
    argv += ["--home-dir", user["home"]] if user["home"] else []
    argv += ["--create-home"] if user["create_home"] else ["--no-create-home"]
    argv += ["--skel", user["skeleton"]] if user["skeleton"] and user["create_home"] else []
    argv += ["--groups", ",".join(user["groups"])] if user["groups"] else []
    return [*argv, "--", user["name"]]


def treat(module: AnsibleModule, user: dict[str, Any]) -> dict[str, str] | None:
    """Bring one user to the wished state and say what was (or in check mode would be) done."""
    name, account = user["name"], account_of(user["name"])
    change = {"kind": "login", "name": name}
    if account is None:
        if user["made_by_package"]:
            if not module.check_mode:
                module.fail_json(msg=f"there is no user {name}; the package that makes it is not installed")
            return {**change, "note": f"to be in {', '.join(user['groups'])}"}
        if not module.check_mode:
            run(module, creation(user))
        return {**change, "note": f"new, in {', '.join(user['groups'])}" if user["groups"] else "new"}
    lacked = groups_lacked(name, account.pw_gid, user["groups"])
    argv, words = [], []
    if lacked:
        argv += ["--append", "--groups", ",".join(lacked)]
        words.append(f"added to {', '.join(lacked)}")
    if account.pw_shell != user["shell"] and not user["made_by_package"]:
        argv += ["--shell", user["shell"]]
        words.append(f"shell {account.pw_shell} -> {user['shell']}")
    if user["lock_password"] and not is_locked(name):
        argv.append("--lock")
        words.append("password locked")
    if not argv:
        return None
    if not module.check_mode:
        run(module, ["usermod", *argv, "--", name])
    return {**change, "note": "; ".join(words)}


def run(module: AnsibleModule, argv: list[str]) -> None:
    """Run a program of the system; its own words are the reason of a failure."""
    code, out, err = module.run_command(argv)
    if code != 0:
        module.fail_json(msg=f"{' '.join(argv)}: {err.strip() or out.strip()}")


def main() -> None:
    """Entry point of the module."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "groups": {"type": "list", "elements": "str", "default": []},
                    "comment": text,
                    "system": {"type": "bool", "default": False},
                    "home": {"type": "path"},
                    "create_home": {"type": "bool", "default": True},
                    "skeleton": {"type": "path"},
                    "shell": {"type": "path", "default": "/usr/sbin/nologin"},
                    "lock_password": {"type": "bool", "default": False},
                    "made_by_package": {"type": "bool", "default": False},
                },
            }
        },
        supports_check_mode=True,
    )
    changes = [change for user in module.params["users"] if (change := treat(module, user)) is not None]
    done = [" ".join(value for key, value in change.items() if key != "kind") for change in changes]
    plan = {"plan": {"changes": changes}} if module.check_mode else {}
    diff = {"before": "", "after": "".join(f"{line}\n" for line in done)}
    module.exit_json(changed=bool(changes), done=done, diff=diff, **plan)


if __name__ == "__main__":
    main()
