#!/usr/bin/python
"""Make the users of the process engine's REST API, and what they may do, through that API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_identity
short_description: Users, groups and grants of the process engine
description:
  - Makes groups, users, memberships and grants what they are said to be, in one go and through one
    connection. Users, groups and memberships that are not named stay as they are; a named group is
    granted exactly what is said, everything else is taken from it.
  - A password is compared by asking the engine whether it is right, so a changed one shows as a change.
  - The administrator's own password is changed, too, when the engine still knows O(admin_previous_password).
  - In check mode the engine is only asked. An engine that does not answer yet counts as one without users.
options:
  url:
    description: Base of the REST API, V(https) only.
    type: str
    required: true
  ca_path:
    description: Certificate authority that signed the engine's certificate.
    type: path
    required: true
  admin_user:
    description: Administrator of the engine.
    type: str
    required: true
  admin_password:
    description: The administrator's password.
    type: str
    required: true
  admin_previous_password:
    description: What the engine may still know as the administrator's password; it is changed then.
    type: str
    default: ""
  keep_passwords:
    description: Logins of users whose passwords stay as they are, if there are such users.
    type: list
    elements: str
    default: []
  groups:
    description: Groups and their grants.
    type: list
    elements: dict
    default: []
    suboptions:
      id: {description: Identifier., type: str, required: true}
      name: {description: What people see., type: str, required: true}
      grants:
        description: Everything the group may do.
        type: list
        elements: dict
        default: []
        suboptions:
          resource:
            description: Kind of resource.
            type: str
            required: true
            choices: [application, authorization, batch, decision-definition, decision-requirements-definition,
                      deployment, filter, operation-log, process-definition, process-instance, system, task]
          id: {description: Which one., type: str, default: "*"}
          permissions: {description: What may be done with it., type: list, elements: str, required: true}
  users:
    description: Users, their passwords and memberships.
    type: list
    elements: dict
    default: []
    suboptions:
      id: {description: Login., type: str, required: true}
      name: {description: What people see., type: str, required: true}
      password: {description: Password., type: str, required: true}
      groups: {description: Groups the user belongs to., type: list, elements: str, default: []}
  timeout_seconds:
    description: How long one answer may take, in seconds.
    type: int
    default: 15
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure the users of the engine
  sitewright.platform.engine_identity:
    url: https://app1.example.internal/engine-rest
    ca_path: /etc/sitewright/tls/ca.crt
    admin_user: admin
    admin_password: "{{ engine_admin_password }}"
    groups:
      - id: workers
        name: Workers
        grants: [{resource: process-definition, id: invoice, permissions: [READ_INSTANCE, UPDATE_INSTANCE]}]
    users:
      - {id: worker, name: Worker, password: "{{ engine_worker_password }}", groups: [workers]}
"""

RETURN = r"""
diff:
  description: The same changes, in the form that Ansible shows.
  returned: always
  type: dict
changes:
  description: What was (or would be) done, one sentence each.
  returned: always
  type: list
  elements: str
"""

from typing import Any
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.https import Client, NoAnswerError, UntrustedError
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told
from ansible_collections.sitewright.platform.plugins.module_utils.tls import context

HTTP_UNAUTHORIZED = 401
MOST_RESULTS = 1000
# Numbers of the resources in the engine's own list.
RESOURCES = {
    "application": 0,
    "authorization": 4,
    "filter": 5,
    "process-definition": 6,
    "task": 7,
    "process-instance": 8,
    "deployment": 9,
    "decision-definition": 10,
    "batch": 13,
    "decision-requirements-definition": 14,
    "operation-log": 17,
    "system": 21,
}
GRANT = 1
# A group may read itself and its members: the engine grants that when the group is made.
GROUP_RESOURCE = 2


class RequestError(Exception):
    """The engine refused, or did not answer."""


class PasswordRefusedError(RequestError):
    """The engine knows the administrator by another password."""


class Engine:
    """The REST API of one engine over one verified connection."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Prepare the connection; it is opened by the first request."""
        self.parameters = parameters
        self.admin_user = parameters["admin_user"]
        self.log_in(parameters["admin_password"])

    def log_in(self, password: str) -> None:
        """Use this password of the administrator from now on."""
        given = self.parameters
        login = (self.admin_user, password)
        try:
            tls = context(given["ca_path"])
            self.client = Client.of(given["url"], tls, login=login, timeout_seconds=given["timeout_seconds"])
        except ValueError as error:
            raise RequestError(str(error)) from error
        self.admin_password = password

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Make one request and return the parsed answer, None for an empty one."""
        try:
            answer = self.client.send(method, path, body)
        except (NoAnswerError, UntrustedError) as error:
            raise RequestError(f"no answer to {method} {path}: {error}") from error
        if answer.status == HTTP_UNAUTHORIZED:
            raise PasswordRefusedError(
                f"the engine does not accept the password of {self.admin_user}. It was changed on one side only: "
                "give the engine the password of the vault (web application Admin, Users), or the vault the engine's"
            )
        if answer.is_error:
            raise RequestError(f"{method} {path}: {answer.status} {answer.words()}")
        return answer.json()

    def get(self, path: str, **query: str) -> Any:
        """Make one GET request; the engine answers no list without a bound."""
        return self.request("GET", f"{path}?{urlencode({**query, 'maxResults': MOST_RESULTS})}")


class Identity:
    """Compares what is with what should be, and changes the difference unless it is only a check."""

    def __init__(self, engine: Engine, *, check_mode: bool) -> None:
        """Start without a change."""
        self.engine = engine
        self.check_mode = check_mode
        self.changes: list[str] = []

    def change(self, what: str, method: str, path: str, body: object = None) -> None:
        """Note a change and make it."""
        self.changes.append(what)
        if not self.check_mode:
            self.engine.request(method, path, body)

    def ensure_administrator(self, previous: str) -> None:
        """Log in, and change the administrator's password when the engine still knows the previous one."""
        wished = self.engine.admin_password
        try:
            self.engine.get("/version")
        except PasswordRefusedError:
            if not previous:
                raise
            self.engine.log_in(previous)
            self.engine.get("/version")
            login = self.engine.admin_user
            body = {"password": wished, "authenticatedUserPassword": previous}
            self.change(f"set the password of user {login}", "PUT", f"/user/{quote(login)}/credentials", body)
            if not self.check_mode:
                self.engine.log_in(wished)

    def ensure_group(self, group: dict[str, Any]) -> None:
        """Make the group and its grants."""
        wished = {"id": group["id"], "name": group["name"], "type": "SYSTEM"}
        found = self.engine.get("/group", id=group["id"])
        if not found:
            self.change(f"create group {group['id']}", "POST", "/group/create", wished)
        elif found[0] != wished:
            self.change(f"rename group {group['id']}", "PUT", f"/group/{quote(group['id'])}", wished)
        self.ensure_grants(group)

    def ensure_grants(self, group: dict[str, Any]) -> None:
        """Grant the group what is said, and nothing else."""
        wished = {
            (RESOURCES[grant["resource"]], grant["id"]): sorted(set(grant["permissions"])) for grant in group["grants"]
        }
        names = {number: name for name, number in RESOURCES.items()}
        left = dict(wished)
        for entry in self.engine.get("/authorization", type=str(GRANT), groupIdIn=group["id"]):
            key = (entry["resourceType"], entry["resourceId"])
            what = f"{names.get(key[0], key[0])} {key[1]}"
            if key[0] == GROUP_RESOURCE and key[1] == group["id"]:
                continue
            permissions = left.pop(key, None)
            path = f"/authorization/{quote(entry['id'])}"
            if permissions is None:
                self.change(f"take {what} from group {group['id']}", "DELETE", path)
            elif sorted(entry["permissions"]) != permissions:
                body = {**self.grant(group["id"], key, permissions), "userId": None}
                self.change(f"correct {what} of group {group['id']}", "PUT", path, body)
        for key, permissions in left.items():
            what = f"{names[key[0]]} {key[1]}"
            body = {"type": GRANT, **self.grant(group["id"], key, permissions)}
            self.change(f"grant {what} to group {group['id']}", "POST", "/authorization/create", body)

    @staticmethod
    def grant(group: str, key: tuple[int, str], permissions: list[str]) -> dict[str, Any]:
        """One grant as the engine writes it."""
        return {"permissions": permissions, "groupId": group, "resourceType": key[0], "resourceId": key[1]}

    def ensure_user(self, user: dict[str, Any], *, keep_password: bool) -> None:
        """Make the user, the password and the memberships."""
        login = user["id"]
        profile = {"id": login, "firstName": user["name"], "lastName": "", "email": ""}
        if not self.engine.get("/user", id=login):
            body = {"profile": profile, "credentials": {"password": user["password"]}}
            self.change(f"create user {login}", "POST", "/user/create", body)
            member_of: set[str] = set()
        else:
            if not keep_password:
                self.ensure_password(login, user["password"])
            member_of = {group["id"] for group in self.engine.get("/group", member=login)}
        for group in sorted(set(user["groups"]) - member_of):
            path = f"/group/{quote(group)}/members/{quote(login)}"
            self.change(f"put user {login} into group {group}", "PUT", path)

    def ensure_password(self, login: str, password: str) -> None:
        """Set the password when it is another one."""
        answer = self.engine.request("POST", "/identity/verify", {"username": login, "password": password})
        if answer["authenticated"]:
            return
        body = {"password": password, "authenticatedUserPassword": self.engine.admin_password}
        self.change(f"set the password of user {login}", "PUT", f"/user/{quote(login)}/credentials", body)


def main() -> None:
    """Entry point of the module."""
    grant_spec = {
        "resource": {"type": "str", "required": True, "choices": sorted(RESOURCES)},
        "id": {"type": "str", "default": "*"},
        "permissions": {"type": "list", "elements": "str", "required": True},
    }
    group_spec = {
        "id": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "grants": {"type": "list", "elements": "dict", "default": [], "options": grant_spec},
    }
    user_spec = {
        "id": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "groups": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_path": {"type": "path", "required": True},
            "admin_user": {"type": "str", "required": True},
            "admin_password": {"type": "str", "required": True, "no_log": True},
            "admin_previous_password": {"type": "str", "default": "", "no_log": True},
            "keep_passwords": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "groups": {"type": "list", "elements": "dict", "default": [], "options": group_spec},
            "users": {"type": "list", "elements": "dict", "default": [], "options": user_spec},
            "timeout_seconds": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    wished = [f"create group {group['id']}" for group in parameters["groups"]]
    wished += [f"create user {user['id']}" for user in parameters["users"]]
    where = "users of the engine"
    try:
        identity = Identity(Engine(parameters), check_mode=module.check_mode)
        identity.ensure_administrator(parameters["admin_previous_password"])
    except (RequestError, OSError) as error:
        if module.check_mode:
            words = f"the engine does not answer yet: {error}"
            module.exit_json(
                changed=bool(wished), changes=wished, msg=words, diff=diff_of(wished, where), **told(module, wished)
            )
        module.fail_json(msg=f"{parameters['url']}: {error}")
        return
    try:
        for group in parameters["groups"]:
            identity.ensure_group(group)
        for user in parameters["users"]:
            identity.ensure_user(user, keep_password=user["id"] in parameters["keep_passwords"])
    except RequestError as error:
        module.fail_json(msg=f"{parameters['url']}: {error}", changes=identity.changes)
    changes = identity.changes
    module.exit_json(changed=bool(changes), changes=changes, diff=diff_of(changes, where), **told(module, changes))


if __name__ == "__main__":
    main()
