"""What an operator and an attacker see of the engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from testinfra.host import Host

testinfra_hosts = ["ansible://engine"]

CONFIG = "/etc/sitewright/engine"
LIBRARIES = "/usr/lib/sitewright/engine/lib"
CURL = "curl --silent --show-error --max-time 10 --cacert /etc/sitewright/tls/ca.crt"


def _url(host: Host, path: str) -> str:
    return f"https://{host.check_output('hostname --short')}.molecule.internal:8443{path}"


def _status(host: Host, path: str, *options: str) -> int:
    argv = " ".join(options)
    return int(host.check_output(f"{CURL} --output /dev/null --write-out '%{{http_code}}' {argv} '{_url(host, path)}'"))


def _secrets(host: Host) -> Any:
    return yaml.safe_load(host.file(f"{CONFIG}/secrets.yml").content_string)


def test_engine_is_healthy_and_comes_back_at_boot(host: Host) -> None:
    unit = host.service("engine")
    assert unit.is_running, host.check_output("journalctl --unit engine --lines 50 --no-pager")
    assert unit.is_enabled
    assert json.loads(host.check_output(f"{CURL} {_url(host, '/actuator/health')}"))["status"] == "UP"


def test_engine_runs_as_its_own_user_in_a_sandbox(host: Host) -> None:
    assert host.check_output("ps -o user= -C java") == "engine"
    scored = host.run("systemd-analyze security --threshold=30 --no-pager engine.service")
    assert scored.rc == 0, scored.stdout.splitlines()[-1]


def test_engine_listens_on_its_own_address_only(host: Host) -> None:
    listening = host.check_output("ss --no-header --tcp --listening --numeric | awk '{print $4}' | grep ':8443$'")
    assert listening.startswith(("[::ffff:10.250.0.", "10.250.0."))


def test_older_tls_is_refused(host: Host) -> None:
    answer = host.run(f"{CURL} --tls-max 1.2 {_url(host, '/actuator/health')}")
    assert answer.rc != 0
    assert "alert protocol version" in answer.stderr


def test_only_root_and_the_engine_read_the_passwords(host: Host) -> None:
    secrets = host.file(f"{CONFIG}/secrets.yml")
    assert (secrets.user, secrets.group, secrets.mode) == ("root", "engine", 0o640)
    assert host.run("runuser -u nobody -- cat %s", secrets.path).rc != 0


def test_no_password_is_in_argv_environment_journal_or_other_files(host: Host) -> None:
    found = _secrets(host)
    process = host.check_output("pidof java")
    seen = host.check_output(f"tr '\\0' ' ' </proc/{process}/cmdline; tr '\\0' ' ' </proc/{process}/environ")
    seen += host.check_output("journalctl --unit engine --output cat --no-pager")
    seen += host.check_output(
        "cat /etc/systemd/system/engine.service %s %s", f"{CONFIG}/application.yml", f"{CONFIG}/java.options"
    )
    assert found["spring"]["datasource"]["password"] not in seen
    assert found["operaton"]["bpm"]["admin-user"]["password"] not in seen


@pytest.mark.parametrize("path", ["/engine-rest/process-definition/count", "/actuator/prometheus"])
def test_api_and_metrics_want_a_password(host: Host, path: str) -> None:
    assert _status(host, path) == 401


@pytest.mark.parametrize(
    "path", ["/actuator/env", "/actuator/heapdump", "/actuator/loggers", "/h2-console", "/actuator"]
)
def test_nothing_else_is_served(host: Host, path: str) -> None:
    assert _status(host, path) == 404


def test_the_demo_user_does_not_exist(host: Host) -> None:
    assert _status(host, "/engine-rest/process-definition/count", "--user demo:demo") == 401


def test_nobody_can_make_the_first_administrator(host: Host) -> None:
    """The page that greets an engine without an administrator refuses: there has been one from the first start."""
    body = '{"profile":{"id":"intruder"},"credentials":{"password":"intruder"}}'
    options = f"--request POST --header 'Content-Type: application/json' --data '{body}'"
    assert _status(host, "/operaton/api/admin/setup/default/user/create", options) == 403


def test_no_other_origin_is_allowed(host: Host) -> None:
    origin = "--header 'Origin: https://elsewhere.example' --header 'Access-Control-Request-Method: POST'"
    for method in ("GET", "OPTIONS"):
        headers = host.check_output(
            f"{CURL} --request {method} --dump-header - --output /dev/null {origin} {_url(host, '/engine-rest/engine')}"
        )
        assert "access-control-allow-origin" not in headers.lower()


def test_neither_h2_nor_an_example_is_installed(host: Host) -> None:
    names = host.check_output("ls %s", LIBRARIES).splitlines()
    assert not [
        name
        for name in names
        if any(word in name.lower() for word in ("h2-", "example", "invoice", "junit", "assertj"))
    ]
    assert "postgresql-42.7.14.jar" in names


def test_engine_changes_no_schema_and_cleans_its_history_up(host: Host) -> None:
    operaton = yaml.safe_load(host.file(f"{CONFIG}/application.yml").content_string)["operaton"]["bpm"]
    properties = operaton["generic-properties"]["properties"]
    assert operaton["database"]["schema-update"] == "false"
    assert properties["history-cleanup-batch-size"] == 500
    assert properties["history-cleanup-degree-of-parallelism"] == 4
    assert properties["job-executor-prefer-timer-jobs"] is True
    assert properties["job-executor-acquire-by-due-date"] is True


def test_stopping_ends_in_good_order(host: Host) -> None:
    host.check_output("systemctl stop engine")
    result = host.check_output("systemctl show --property=Result --value engine")
    host.check_output("systemctl start engine")
    assert result == "success"
