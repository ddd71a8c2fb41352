"""The module that makes the engine's users, on a running engine: what it says beforehand, does, and finds done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from testinfra.host import Host

# The engines share their users.
testinfra_hosts = ["ansible://app1"]

MODULE = "sitewright.platform.engine_identity"
GRANT = {"resource": "process-definition", "id": "checked", "permissions": ["READ"]}


@dataclass(kw_only=True)
class Engine:
    """The engine of a host, and a group with one user that only these tests know."""

    host: Host
    group: dict[str, Any] = field(default_factory=lambda: {"id": "checkers", "name": "Checkers", "grants": [GRANT]})
    user: dict[str, Any] = field(
        default_factory=lambda: {"id": "checker", "name": "Checker", "password": "the-first", "groups": ["checkers"]}
    )

    @property
    def url(self) -> str:
        """Base of the REST API."""
        return f"https://{self.host.check_output('hostname --short')}.molecule.internal:8443/engine-rest"

    @property
    def admin(self) -> str:
        """The administrator's password, which the engine keeps where only root reads it."""
        said = yaml.safe_load(self.host.file("/etc/sitewright/engine/secrets.yml").content_string)
        return str(said["operaton"]["bpm"]["admin-user"]["password"])

    def arguments(self, **more: Any) -> dict[str, Any]:
        """The options of the module."""
        return {
            "url": self.url,
            "ca_path": "/etc/sitewright/tls/ca.crt",
            "admin_user": "admin",
            "admin_password": self.admin,
            "groups": [self.group],
            "users": [self.user],
            **more,
        }

    def ensure(self, *, check: bool = False) -> list[str]:
        """Run the module; what it changed, or would change."""
        said = self.said(check=check, **self.arguments())
        assert said["changed"] == bool(said["changes"])
        return list(said["changes"])

    def said(self, *, check: bool, **arguments: Any) -> dict[str, Any]:
        """Run the module; what it returned, whether it failed or not."""
        try:
            said: dict[str, Any] = self.host.ansible(MODULE, json.dumps(arguments), check=check, become=True)
        except self.host.ansible.AnsibleException as failed:
            said = failed.result
        return said

    def ask(self, login: str, options: str) -> str:
        """What curl says of a request; the login goes by standard input."""
        curl = f"curl --silent --config - --cacert /etc/sitewright/tls/ca.crt --output /dev/null {options}"
        return str(self.host.check_output(f"printf %%s %s | {curl}", f'user = "{login}"'))

    def status(self, path: str, password: str) -> int:
        """What the engine answers to the user."""
        return int(self.ask(f"checker:{password}", f"--write-out '%%{{http_code}}' {self.url}{path}"))


@pytest.fixture(scope="module")
def engine(host: Host) -> Iterator[Engine]:
    made = Engine(host=host)
    yield made
    for path in ("user/checker", "group/checkers"):
        made.ask(f"admin:{made.admin}", f"--request DELETE {made.url}/{path}")


def test_a_new_user_is_told_in_check_mode_made_for_real_and_found_after_that(engine: Engine) -> None:
    wanted = [
        "create group checkers",
        "grant process-definition checked to group checkers",
        "create user checker",
        "put user checker into group checkers",
    ]
    assert engine.ensure(check=True) == wanted
    assert engine.status("/process-definition/count", "the-first") == 401
    assert engine.ensure() == wanted
    assert engine.status("/process-definition/count", "the-first") == 200
    assert engine.ensure() == []


def test_a_changed_password_is_set_and_does_not_lock_the_user(engine: Engine) -> None:
    engine.user["password"] = "the-second"  # noqa: S105 - of this test's own user
    assert engine.ensure(check=True) == ["set the password of user checker"]
    assert engine.ensure() == ["set the password of user checker"]
    assert engine.status("/process-definition/count", "the-second") == 200
    assert engine.status("/process-definition/count", "the-first") == 401
    assert engine.ensure() == []


def test_a_group_is_granted_exactly_what_is_said(engine: Engine) -> None:
    engine.group["grants"] = [{**GRANT, "permissions": ["READ", "READ_HISTORY"]}, {**GRANT, "id": "other"}]
    assert engine.ensure() == [
        "correct process-definition checked of group checkers",
        "grant process-definition other to group checkers",
    ]
    engine.group |= {"name": "Those who check", "grants": []}
    assert sorted(engine.ensure()) == [
        "rename group checkers",
        "take process-definition checked from group checkers",
        "take process-definition other from group checkers",
    ]
    assert engine.ensure() == []


def test_a_wrong_password_of_the_administrator_is_said_with_what_to_do(engine: Engine) -> None:
    said = engine.said(check=False, **engine.arguments(admin_password="another"))  # noqa: S106 - the wrong one
    assert "the engine does not accept the password of admin" in said["msg"]
