"""People of the hospital's directory log in; whoever the engine itself has never waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from testinfra.host import Host

testinfra_hosts = ["ansible://app1"]

AS_PERSON = "--header 'X-Client-Kind: person'"
URL = "https://app1.molecule.internal:8443"
COUNT = "/engine-rest/process-definition/count"
# More than an engine has connections to its database.
PEOPLE = 30
# A connection and its TLS, with time for everything else.
HANGS_SECONDS = 7.0


class Engine:
    """Somebody with curl, as if the gateway had passed the request on."""

    def __init__(self, host: Host) -> None:
        """Remember where, and the administrator's password."""
        self.host = host
        secrets = yaml.safe_load(host.file("/etc/sitewright/engine/secrets.yml").content_string)
        self.admin = str(secrets["operaton"]["bpm"]["admin-user"]["password"])

    def curl(self, user: str, password: str, path: str, *options: str) -> str:
        """The body of an answer, and in a line of its own the status; the password goes by standard input."""
        curl = (
            "curl --silent --max-time 20 --config - --cacert /etc/sitewright/tls/ca.crt --write-out '\\n%%{http_code}'"
        )
        asked = " ".join([curl, *options, f"'{URL}{path}'"])
        return self.host.check_output(f"printf %%s %s | {asked}", f'user = "{user}:{password}"')

    def ask(self, user: str, password: str, path: str = COUNT) -> int:
        """The status of an answer to a person."""
        return int(self.curl(user, password, path, AS_PERSON).splitlines()[-1])

    def read(self, user: str, password: str, path: str) -> Any:
        """What a person is answered."""
        *body, status = self.curl(user, password, path, AS_PERSON).splitlines()
        assert status == "200", body
        return json.loads("\n".join(body))

    def groups(self, user: str, password: str) -> list[str]:
        """Groups the engine takes a person to be in."""
        found = self.read(user, password, f"/engine-rest/identity/groups?userId={user}")
        return sorted(each["id"] for each in found["groups"])

    def directory(self) -> dict[str, Any]:
        """What the engine tells `verify` of the directory."""
        found: dict[str, Any] = self.read("admin", self.admin, "/actuator/directory")
        return found

    def written(self) -> list[dict[str, Any]]:
        """What the engine wrote down."""
        lines = self.host.check_output("journalctl --unit engine --output cat --no-pager --grep 'audit: '").splitlines()
        return [json.loads(line.split("audit: ", 1)[1]) for line in lines]


@pytest.fixture(scope="module")
def engine(host: Host) -> Engine:
    """An engine that is up; another test may have stopped and started both."""
    health = "curl --silent --fail --cacert /etc/sitewright/tls/ca.crt"
    retried = "--retry 60 --retry-delay 1 --retry-all-errors --output /dev/null"
    for name in ("app1", "app2"):
        host.check_output(f"{health} {retried} {URL.replace('app1', name)}/actuator/health")
    return Engine(host)


def wait_for(slapd: Host) -> None:
    """Until the directory listens."""
    deadline = time.monotonic() + 10
    while slapd.run("ss --listening --tcp --numeric --no-header 'sport = 636' | grep 636").rc != 0:
        assert time.monotonic() < deadline, "the directory does not come back"
        time.sleep(0.2)


@pytest.fixture
def slapd(host: Host) -> Iterator[Host]:
    """The directory's host; whatever a test did to it is undone."""
    there: Host = Host.get_host("ansible://db1", ansible_inventory=host.backend.ansible_inventory)
    yield there
    there.check_output("systemctl kill --signal=CONT directory; ln -sfn right /srv/directory/tls")
    there.check_output("echo URL=ldaps://10.250.0.13:636/ >/srv/directory/environment; systemctl restart directory")
    wait_for(there)


def test_somebody_of_the_directory_gets_in_and_is_written_down_by_name(engine: Engine) -> None:
    assert engine.ask("anna", "of-anna") == 200
    said = [each for each in engine.written() if each["audit"] == "access"][-1]
    assert (said["user"], said["path"], said["result"]) == ("anna", COUNT, "200")
    assert engine.groups("anna", "of-anna") == ["coding"]
    assert engine.read("anna", "of-anna", "/engine-rest/user/anna/profile") == {
        "id": "anna",
        "firstName": "Anna",
        "lastName": "Meier",
        "email": "anna@hospital.example",
    }
    assert engine.read("anna", "of-anna", "/engine-rest/user/count?id=bruno") == {"count": 0}


def test_a_group_of_the_directory_is_granted_what_its_members_may_do(engine: Engine) -> None:
    path = "/engine-rest/authorization"
    assert engine.read("anna", "of-anna", "/engine-rest/group/count") == {"count": 0}
    grant = {"type": 1, "permissions": ["READ"], "groupId": "coding", "resourceType": 2, "resourceId": "*"}
    options = f"--request POST --header 'Content-Type: application/json' --data '{json.dumps(grant)}'"
    *body, status = engine.curl("admin", engine.admin, f"{path}/create", options).splitlines()
    assert status == "200", body
    try:
        assert engine.read("anna", "of-anna", "/engine-rest/group/count")["count"] > 0
        assert engine.read("bruno", "of-bruno", "/engine-rest/group/count")["count"] > 0
        assert engine.read("carla", "of-carla", "/engine-rest/group/count") == {"count": 0}
    finally:
        engine.curl("admin", engine.admin, f"{path}/{json.loads(body[0])['id']}", "--request DELETE")


@pytest.mark.parametrize(
    ("user", "password"),
    [("anna", "of-bruno"), ("anna", ""), ("nobody", "of-anna"), ("ann*", "of-anna"), ("Anna", "of-anna")],
)
def test_who_is_not_who_he_says_is_refused_and_written_down(engine: Engine, user: str, password: str) -> None:
    assert engine.ask(user, password) == 401
    said = engine.written()[-2]
    assert (said["user"], said["as"], said["result"]) == (user, "person", "refused: wrong user or password")


def test_members_of_the_named_group_are_administrators_and_no_namesake_is(engine: Engine) -> None:
    assert engine.groups("bruno", "of-bruno") == ["Sitewright Admins", "operaton-admin"]
    # Whose group is only called like one of the engine's own gets nothing by it.
    assert engine.groups("carla", "of-carla") == []
    path = "/engine-rest/user/admin/profile"
    assert [engine.ask(*each, path) for each in (("bruno", "of-bruno"), ("carla", "of-carla"))] == [200, 404]
    # Nor does who is called like the administrator.
    assert engine.ask("admin", "of-the-namesake") == 401
    assert engine.ask("admin", engine.admin) == 200


def test_somebody_of_the_directory_logs_into_the_web_applications(engine: Engine) -> None:
    curl = f"curl --silent --max-time 20 --cacert /etc/sitewright/tls/ca.crt {AS_PERSON} --cookie jar --cookie-jar jar"
    login = f"{URL}/operaton/api/admin/auth/user/default/login/cockpit"
    script = f"""
        set -eu; cd "$(mktemp --directory)"
        {curl} --output /dev/null {URL}/operaton/app/cockpit/default/
        token=$(awk '$6 == "XSRF-TOKEN" {{ print $7 }}' jar)
        set -- --header "X-XSRF-TOKEN: $token" --header 'Origin: https://workflow.molecule.internal'
        {curl} "$@" --output /dev/null --write-out '%{{http_code}}\\n' \
            --data username=bruno --data password=WRONG {login}
        {curl} "$@" --output /dev/null --write-out '%{{http_code}}\\n' \
            --data username=bruno --data password=of-bruno {login}
        {curl} {URL}/operaton/api/engine/engine/default/user/bruno/profile
    """
    wrong, right, profile = engine.host.check_output("sh -c %s", script).splitlines()
    assert (wrong, right) == ("401", "200")
    assert json.loads(profile)["lastName"] == "Huber"
    assert engine.written()[-1]["user"] == "bruno"


@pytest.mark.usefixtures("engine")
def test_the_other_engine_asks_the_directory_as_well(host: Host) -> None:
    other = Host.get_host("ansible://app2", ansible_inventory=host.backend.ansible_inventory)
    curl = f"curl --silent --config - --cacert /etc/sitewright/tls/ca.crt {AS_PERSON} --write-out '%%{{http_code}}'"
    asked = f"{curl} --output /dev/null {URL.replace('app1', 'app2')}{COUNT}"
    assert other.check_output(f"printf %%s %s | {asked}", 'user = "anna:of-anna"') == "200"


def test_verify_is_told_whether_the_directory_answers(engine: Engine) -> None:
    assert engine.directory() == {"answers": True, "said": ""}
    assert engine.curl("nobody", "", "/actuator/directory", AS_PERSON).endswith("401")


@pytest.mark.parametrize(
    ("certificate", "scheme", "said"),
    [
        ("other-authority", "ldaps", "unable to find valid certification path"),
        ("other-name", "ldaps", "No subject alternative DNS name matching directory.hospital.example"),
        ("right", "ldap", "SSL peer shut down incorrectly"),
    ],
)
def test_a_directory_that_cannot_prove_itself_gets_no_password(
    engine: Engine, slapd: Host, certificate: str, scheme: str, said: str
) -> None:
    slapd.check_output(
        f"echo URL={scheme}://10.250.0.13:636/ >/srv/directory/environment;"
        f" ln -sfn {certificate} /srv/directory/tls; systemctl restart directory"
    )
    wait_for(slapd)
    assert engine.ask("anna", "of-anna") == 401
    assert engine.written()[-2]["result"] == "refused: the directory could not be asked"
    found = engine.directory()
    assert found["answers"] is False
    assert said in found["said"], found


def test_machines_and_the_administrator_work_while_the_directory_is_away_and_while_it_hangs(
    engine: Engine, slapd: Host
) -> None:
    slapd.check_output("systemctl stop directory")
    assert (engine.ask("anna", "of-anna"), engine.ask("admin", engine.admin)) == (401, 200)
    slapd.check_output("systemctl start directory")
    wait_for(slapd)
    slapd.check_output("systemctl kill --signal=STOP directory")
    curl = f"curl --silent --max-time 30 --config - --cacert /etc/sitewright/tls/ca.crt {AS_PERSON} --output /dev/null"
    count = f"{curl} --write-out '%{{http_code}} %{{time_total}}\\n' {URL}{COUNT}"
    script = f"""
        anna() {{ echo 'user = "anna:of-anna"' | {count}; }}
        for _ in $(seq {PEOPLE}); do anna & done
        sleep 1
        read -r admin
        echo "user = \\"admin:$admin\\"" | {count} | sed 's/^/admin /'
        wait
    """
    answers = engine.host.check_output("echo %s | sh -c %s", engine.admin, script).splitlines()
    [administrator] = [each.split()[1:] for each in answers if each.startswith("admin ")]
    people = [each.split() for each in answers if not each.startswith("admin ")]
    assert administrator[0] == "200"
    assert float(administrator[1]) < 1
    assert [status for status, _ in people] == ["401"] * PEOPLE
    assert 2 < max(float(seconds) for _, seconds in people) < HANGS_SECONDS
    # None of it was a wrong password: nobody has to wait when it is back.
    slapd.check_output("systemctl kill --signal=CONT directory")
    assert engine.ask("anna", "of-anna") == 200
