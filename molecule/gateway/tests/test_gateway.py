"""What people, workers and an attacker see of the gateway."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://gateway"]

NAME = "workflow.molecule.internal"
ADDRESS = "10.250.0.10"
CURL = "curl --silent --show-error --max-time 10 --cacert /etc/sitewright/tls/ca.crt"
SITE = f"https://{NAME}"


def _holds_address(host: Host) -> bool:
    return f" {ADDRESS}/" in host.check_output("ip -4 address show")


def _status(host: Host, path: str, *options: str) -> int:
    return int(
        host.check_output(f"{CURL} --output /dev/null --write-out '%{{http_code}}' {' '.join(options)} {SITE}{path}")
    )


def _headers(host: Host, path: str, *options: str) -> list[str]:
    shown = host.check_output(f"{CURL} --dump-header - --output /dev/null {' '.join(options)} {SITE}{path}")
    return [line.strip().lower() for line in shown.splitlines()]


def test_engine_answers_through_the_address_that_moves(host: Host) -> None:
    assert host.addr(NAME).ipv4_addresses == [ADDRESS]
    assert host.check_output(f"{CURL} {SITE}/engine-rest/engine") == '[{"name":"default"}]'
    assert _status(host, "/operaton/app/welcome/default/") == 200


def test_api_wants_a_password(host: Host) -> None:
    assert _status(host, "/engine-rest/process-definition/count") == 401


def test_units_run_and_come_back_at_boot(host: Host) -> None:
    for name in ("gateway", "keepalived"):
        assert host.service(name).is_running, host.check_output("journalctl -u %s -n 50 --no-pager", name)
        assert host.service(name).is_enabled
        scored = host.run("systemd-analyze security --threshold=30 --no-pager %s", f"{name}.service")
        assert scored.rc == 0, scored.stdout.splitlines()[-1]


def test_who_moves_the_address_reaches_little_else(host: Host) -> None:
    with host.sudo():
        said = host.check_output("systemd-analyze security --no-pager keepalived.service | tail -1")
    assert float(said.split()[6]) <= 2.5, said


def test_debians_own_nginx_stays_off(host: Host) -> None:
    assert host.service("nginx").is_masked
    assert host.check_output("ps -o user= -C nginx | sort -u") == "gateway"


def test_only_its_two_ports_are_open_besides_ssh(host: Host) -> None:
    listening = host.check_output(
        "ss --no-header --tcp --listening --numeric | awk '{print $4}' | sed 's/.*://' | sort -u"
    )
    assert set(listening.split()) <= {"443", "8444", "22"}


def test_older_tls_is_refused(host: Host) -> None:
    answer = host.run(f"{CURL} --tls-max 1.2 {SITE}/healthz")
    assert answer.rc != 0
    assert "alert protocol version" in answer.stderr


def test_another_name_gets_no_certificate(host: Host) -> None:
    answer = host.run(f"{CURL} --insecure https://{ADDRESS}/healthz")
    assert answer.rc != 0
    assert "unrecognized name" in answer.stderr


@pytest.mark.parametrize(
    "path", ["/engine-rest/engine", "/operaton/app/welcome/default/", "/", "/healthz", "/nothing", "/actuator/health"]
)
def test_every_answer_carries_the_security_headers_once(host: Host, path: str) -> None:
    headers = _headers(host, path)
    for name in ("strict-transport-security", "x-content-type-options", "x-frame-options", "referrer-policy"):
        assert len([line for line in headers if line.startswith(f"{name}:")]) == 1, name


@pytest.mark.parametrize("path", ["/engine-rest/engine", "/operaton/api/engine/engine/"])
def test_no_browser_keeps_an_answer_with_data(host: Host, path: str) -> None:
    kept = [line for line in _headers(host, path) if line.startswith(("cache-control:", "expires:", "pragma:"))]
    assert kept == ["cache-control: no-store"]


def test_a_parameter_in_a_path_leads_past_no_limit(host: Host) -> None:
    for path in ("/operaton/..;/engine-rest/engine", "/operaton/..%3B/engine-rest/engine"):
        assert _status(host, f"'{path}'", "--path-as-is") == 400
    assert _status(host, "'/engine-rest/engine?sorting=a;b'") == 200


def test_browser_stays_with_the_engine_that_made_its_session(host: Host) -> None:
    headers = _headers(host, "/operaton/app/welcome/default/")
    route = [line for line in headers if line.startswith("set-cookie: gateway_route=")]
    assert len(route) == 1
    cookie = route[0].split(" ")[1].rstrip(";")
    again = _headers(host, "/operaton/app/welcome/default/", f"--cookie {cookie}")
    assert not [line for line in again if line.startswith("set-cookie: gateway_route=")]


def _asks_before(origin: str, method: str = "POST") -> tuple[str, ...]:
    """What a browser sends before a script of another system's page may call the API."""
    return (
        "--request OPTIONS",
        f"--header 'Origin: {origin}'",
        f"--header 'Access-Control-Request-Method: {method}'",
        "--header 'Access-Control-Request-Headers: authorization,content-type'",
    )


@pytest.mark.parametrize(
    "origin",
    [
        *("https://elsewhere.example", "null", "https://portal.hospital.example.elsewhere.example"),
        *("http://portal.hospital.example", "https://portalxhospital.example", "https://portal.hospital.example:8443"),
    ],
)
def test_no_other_origin_is_allowed(host: Host, origin: str) -> None:
    headers = _headers(host, "/engine-rest/engine", f"--header 'Origin: {origin}'")
    assert not [line for line in headers if line.startswith("access-control-allow-")]
    refused = _headers(host, "/engine-rest/process-instance/count", *_asks_before(origin))
    assert refused[0].startswith("http/2 403")
    assert not [line for line in refused if line.startswith("access-control-allow-")]


def test_scripts_of_a_named_origin_may_call_the_api_without_cookies(host: Host) -> None:
    origin = "https://portal.hospital.example"
    asked = _headers(host, "/engine-rest/process-instance/count", *_asks_before(origin))
    assert asked[0].startswith("http/2 204")
    assert f"access-control-allow-origin: {origin}" in asked
    assert "access-control-allow-headers: authorization, content-type" in asked
    assert not [line for line in asked if line.startswith("access-control-allow-credentials")]
    answered = _headers(host, "/engine-rest/process-instance/count", f"--header 'Origin: {origin}'")
    assert answered[0].startswith("http/2 401")
    assert answered.count(f"access-control-allow-origin: {origin}") == 1
    assert _status(host, "/engine-rest/process-instance/count", *_asks_before(origin, "TRACE")) == 403


def test_pages_of_the_engine_are_open_to_no_origin(host: Host) -> None:
    headers = _headers(host, "/operaton/app/welcome/default/", "--header 'Origin: https://portal.hospital.example'")
    assert not [line for line in headers if line.startswith("access-control-allow-origin")]


def test_health_and_metrics_of_the_engine_are_for_the_sites_hosts(host: Host) -> None:
    assert _status(host, "/actuator/health") == 200
    assert "deny all;" in host.file("/etc/sitewright/gateway/nginx.conf").content_string


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_nothing_else_is_served(host: Host, path: str) -> None:
    assert _status(host, path) == {"/": 302, "/nothing": 404}[path]


def test_vrrp_password_is_roots(host: Host) -> None:
    settings = host.file("/etc/keepalived/keepalived.conf")
    assert (settings.user, settings.group, settings.mode) == ("root", "root", 0o600)


def test_address_moves_when_nginx_fails_and_stays_there(host: Host) -> None:
    """Runs on each gateway in turn, so the address moves there and back."""
    if not _holds_address(host):
        pytest.skip("the other gateway holds the address")
    host.check_output("systemctl stop gateway")
    answered = host.run(
        f"for i in $(seq 50); do {CURL} --max-time 1 --fail {SITE}/healthz && exit; sleep 0.2; done; exit 1"
    )
    host.check_output("systemctl start gateway")
    assert answered.rc == 0
    host.run("sleep 5")
    assert not _holds_address(host)
