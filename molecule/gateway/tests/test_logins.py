"""Who may log in where, who has to wait after wrong passwords, and what is written down of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from testinfra.host import Host

testinfra_hosts = ["ansible://app1"]

NAME = "workflow.molecule.internal"
API = "/engine-rest/process-definition/count"
WRONG = 7  # two more than cost nothing


class People:
    """Somebody with curl on a host, through the address that moves."""

    def __init__(self, host: Host, admin: str) -> None:
        """Remember where, and the administrator's password."""
        self.host, self.admin = host, admin

    def ask(self, user: str, password: str, *, port: int = 443, path: str = API) -> int:
        """The status of an answer to a login; the password goes by standard input."""
        curl = "curl --silent --max-time 10 --config - --cacert /etc/sitewright/tls/ca.crt --output /dev/null"
        asked = f"{curl} --write-out '%%{{http_code}}' https://{NAME}:{port}{path}"
        return int(self.host.check_output(f"printf %%s %s | {asked}", f'user = "{user}:{password}"'))

    def journal(self, what: str) -> list[dict[str, Any]]:
        """What the engine wrote down of logins or accesses."""
        lines = self.host.check_output("journalctl --unit engine --output cat --no-pager --grep 'audit: '").splitlines()
        said = [json.loads(line.split("audit: ", 1)[1]) for line in lines]
        return [each for each in said if each["audit"] == what]


@pytest.fixture
def people(host: Host) -> People:
    secrets = yaml.safe_load(host.file("/etc/sitewright/engine/secrets.yml").content_string)
    return People(host, str(secrets["operaton"]["bpm"]["admin-user"]["password"]))


def test_a_machines_user_is_refused_where_people_log_in_and_its_password_not_looked_at(people: People) -> None:
    assert people.ask("probe", "whatever") == 401
    assert "without the site's certificate" in people.journal("login")[-1]["result"]
    form = "--data username=probe --data password=whatever --output /dev/null"
    path = "/operaton/api/admin/auth/user/default/login/cockpit"
    people.host.check_output(f"curl --silent --cacert /etc/sitewright/tls/ca.crt {form} https://{NAME}{path}")
    assert people.journal("login")[-1]["user"] == "probe"


def test_where_machines_log_in_nobody_is_asked_for_a_password_without_a_certificate(people: People) -> None:
    before = len(people.journal("login"))
    assert people.ask("admin", people.admin, port=8444) == 400
    assert len(people.journal("login")) == before


def test_who_guesses_waits_and_locks_nobody_out(people: People) -> None:
    for _ in range(WRONG):
        assert people.ask("admin", "a-guess") == 401
    assert people.ask("admin", people.admin) == 401
    said = people.journal("login")[-1]
    assert said["from"] == people.host.check_output("hostname --all-ip-addresses").split()[0]
    assert said["result"] == "refused: too many wrong passwords from there"
    # From another address the administrator gets in all the while.
    gateway = Host.get_host("ansible://gw1", ansible_inventory=people.host.backend.ansible_inventory)
    assert People(gateway, people.admin).ask("admin", people.admin) == 200
    deadline = time.monotonic() + 60
    while people.ask("admin", people.admin) != 200:
        assert time.monotonic() < deadline, "the wait does not end"
        time.sleep(2)


def test_what_a_person_reads_is_written_down_by_name(people: People) -> None:
    assert people.ask("admin", people.admin) == 200
    said = people.journal("access")[-1]
    assert (said["user"], said["method"], said["path"], said["result"]) == ("admin", "GET", API, "200")


@pytest.mark.parametrize("path", ["/operaton/app/cockpit/default/", "/operaton/app/admin/default/"])
def test_pages_of_administrators_are_for_the_networks_named(people: People, path: str) -> None:
    """An address of another network asks through the address that moves: it is put on the host for that."""
    shown = (
        "curl --silent --max-time 10 --cacert /etc/sitewright/tls/ca.crt --output /dev/null --write-out '%{http_code}'"
    )
    assert people.host.check_output(f"{shown} https://{NAME}{path}") in {"200", "302"}
    gateway = Host.get_host("ansible://gw1", ansible_inventory=people.host.backend.ansible_inventory)
    other = "10.251.0.13"
    for at in (gateway, Host.get_host("ansible://gw2", ansible_inventory=people.host.backend.ansible_inventory)):
        at.check_output(f"ip route replace {other}/32 dev host0")
    people.host.check_output(f"ip address replace {other}/32 dev host0")
    try:
        outside = f"{shown} --interface {other} https://{NAME}"
        assert people.host.check_output(f"{outside}{path}") == "403"
        login = "/operaton/api/admin/auth/user/default/login/cockpit --data username=admin --data password=x"
        assert people.host.check_output(f"{outside}{login}") == "403"
        assert people.host.check_output(f"{outside}/operaton/app/tasklist/default/") in {"200", "302"}
    finally:
        people.host.check_output(f"ip address delete {other}/32 dev host0")
