"""What hospital-a refuses: other hosts' ports, other people's logins, old or missing TLS, too much at once."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.site.conftest import ROOT, Operator
from tests.site.hospital_a.conftest import HOSTS, vault_values

ATTEMPTS = (Path(__file__).parent / "attempts.py").read_text()
PUBLIC = "workflow.hospital-a.internal"
VIRTUAL = "10.20.0.10"
ADDRESSES = {
    host: f"10.20.0.{last}" for host, last in zip(HOSTS, (11, 12, 21, 22, 31, 32, 41, 42, 43, 51), strict=True)
}
# A listener, and a host that the model lets connect to it.
LISTENERS = {
    "engine": ("gw1", "app1", 8443),
    "etcd": ("svc1", "svc2", 2379),
    "etcd between members": ("svc1", "svc2", 2380),
    "Patroni": ("db1", "db2", 8008),
    "Redis": ("svc1", "svc2", 6379),
    "Sentinel": ("svc1", "svc2", 26379),
    "RabbitMQ": ("svc1", "svc2", 5671),
    "RabbitMQ's management": ("svc1", "svc2", 15671),
    "RabbitMQ between nodes": ("svc1", "svc2", 25672),
    "packages": ("gw1", "ops1", 8543),
}
# Where those who ask find the authority that signed a listener's certificate; the others have the site's.
OF_THE_DATABASE = defaultdict(str, {"etcd": "etcd/", "etcd between members": "etcd/", "Patroni": "patroni/"})
OLD_TLS = ("protocol version", "handshake failure", "reset by peer", "eof occurred")
# Without a certificate, or with a stranger's: refused by TLS itself, or by a web server's answer.
REFUSALS = ("certificate required", "unknown ca", "bad certificate", "handshake failure", "certificate unknown")


def tried(operator: Operator, host: str, attempts: list[dict[str, Any]]) -> list[str]:
    """What became of attempts on a host."""
    said: list[str] = json.loads(operator.on(host, "python3", "-c", ATTEMPTS, json.dumps(attempts)))
    return said


def is_said(words: tuple[str, ...], said: str) -> bool:
    """Whether an error is one of those; OpenSSL writes them in two ways."""
    return any(word in said.lower().replace("_", " ") for word in words)


def tls(service: str, how: str, **more: str) -> dict[str, Any]:
    """An attempt to speak TLS with a listener."""
    _, target, port = LISTENERS[service]
    authority = f"/etc/sitewright/tls/{OF_THE_DATABASE[service]}ca.crt"
    name = f"{target}.hospital-a.internal"
    return {"tls": [ADDRESSES[target], port], "name": name, "authority": authority, "how": how, **more}


def listening(operator: Operator, host: str) -> set[int]:
    """TCP ports that something listens on beyond loopback, as the host's own kernel says."""
    sockets = [line.split()[3] for line in operator.on(host, "ss", "-Hltn").splitlines()]
    return {int(each.rpartition(":")[2]) for each in sockets if not each.startswith(("127.", "[::1]"))}


def test_from_a_gateway_the_engines_answer_and_little_else(operator: Operator, installed: dict[str, Any]) -> None:
    everything = [(host, port) for host in HOSTS if host != "gw1" for port in sorted(listening(operator, host))]
    assert len(everything) > 30
    assert {port for _, port in everything} >= {22, 2379, 5432, 5671, 6379, 8008, 8443}
    found = tried(operator, "gw1", [{"open": [ADDRESSES[host], port]} for host, port in everything])
    reached = {pair for pair, result in zip(everything, found, strict=True) if result == "open"}
    # Its packages come from ops1, and it asks whether the other gateway serves.
    assert reached == {("app1", 8443), ("app2", 8443), ("ops1", 8543), ("gw2", 443), ("gw2", 8444)}


@pytest.mark.parametrize(
    ("host", "options", "reason"),
    [
        ("app1", "user=postgres dbname=postgres", "no pg_hba.conf entry"),
        ("app1", "user=monitor dbname=engine", "requires a valid client certificate"),
        ("app1", "user=replicator replication=true", "no pg_hba.conf entry"),
        ("app1", "user=engine dbname=postgres", "no pg_hba.conf entry"),
        ("app1", "user=engine dbname=engine sslmode=disable", "no encryption"),
        ("app1", "user=engine dbname=engine ssl_max_protocol_version=TLSv1.2", "protocol version"),
        ("app1", "user=engine dbname=engine password=engine", "password authentication failed"),
        ("db2", "user=engine dbname=engine", "no pg_hba.conf entry"),
    ],
)
def test_postgresql_refuses_who_is_not_meant(
    operator: Operator, installed: dict[str, Any], host: str, options: str, reason: str
) -> None:
    target = "db1.hospital-a.internal"
    safe = "" if "sslmode" in options else "sslmode=verify-full sslrootcert=/etc/sitewright/tls/ca.crt"
    asked = f"psql 'host={target} {safe} connect_timeout=5 {options}' -w -c 'select 1' 2>&1; echo \"exit $?\""
    said = operator.on(host, "sh", "-c", asked)
    assert reason in said
    assert said.rstrip().endswith("exit 2")


@pytest.mark.parametrize("service", LISTENERS)
def test_a_listener_speaks_nothing_but_tls_of_today(
    operator: Operator, installed: dict[str, Any], service: str
) -> None:
    old, plain = tried(operator, LISTENERS[service][0], [tls(service, "1.2"), tls(service, "plain")])
    assert is_said(OLD_TLS, old), old
    # A web server may say in clear that it wants TLS; nothing says more than that.
    assert not plain.startswith(("HTTP/1.1 2", "HTTP/1.0 2", "+", "AMQP")), plain
    assert plain.startswith(("HTTP/1.1 400", "HTTP/1.0 400", "ended", "ConnectionReset", "\x15")), plain


@contextmanager
def stranger(operator: Operator, host: str) -> Iterator[dict[str, str]]:
    """A certificate of an authority that is not the site's, on a host for the time of the block."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{host}.hospital-a.internal")])
    today = datetime.datetime.now(tz=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = {"certificate": "/run/stranger.crt", "key": "/run/stranger.key"}
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    write = 'printf %s "$1" > "$2"'
    operator.on(host, "sh", "-c", write, "sh", certificate.public_bytes(Encoding.PEM).decode(), files["certificate"])
    operator.on(host, "sh", "-c", write, "sh", pem, files["key"])
    yield files
    operator.on(host, "rm", *files.values())


@pytest.mark.parametrize(
    "service",
    [
        "etcd",
        "etcd between members",
        "Patroni",
        "Redis",
        "Sentinel",
        "RabbitMQ",
        "RabbitMQ's management",
        "RabbitMQ between nodes",
    ],
)
def test_a_listener_refuses_who_has_no_certificate_of_the_site(
    operator: Operator, installed: dict[str, Any], service: str
) -> None:
    host = LISTENERS[service][0]
    with stranger(operator, host) as files:
        bare, strange = tried(operator, host, [tls(service, "bare"), tls(service, "stranger", **files)])
    assert is_said(REFUSALS, bare), bare
    assert is_said(REFUSALS, strange), strange


def test_a_certificate_of_another_service_opens_nothing_of_the_database(
    operator: Operator, installed: dict[str, Any]
) -> None:
    """Redis' is a client's and of the site's authority, as a worker's is; it is copied to where it could do harm."""
    pair = {kind: operator.on("svc1", "cat", f"/etc/sitewright/tls/redis/tls.{kind}") for kind in ("crt", "key")}
    files = {"certificate": "/run/stolen.crt", "key": "/run/stolen.key"}
    for host, services in {"svc1": ("etcd", "etcd between members"), "db1": ("Patroni",)}.items():
        for kind, text in pair.items():
            operator.on(host, "sh", "-c", 'printf %s "$1" > "$2"', "sh", text, f"/run/stolen.{kind}")
        for service in services:
            [said] = tried(operator, host, [tls(service, "stolen", **files)])
            assert is_said(REFUSALS, said), f"{service}: {said}"
    asked = (
        "psql 'host=db2.hospital-a.internal user=replicator replication=true sslmode=verify-full"
        " sslrootcert=/etc/sitewright/tls/ca.crt sslcert=/run/stolen.crt sslkey=/run/stolen.key'"
        " -w -c 'IDENTIFY_SYSTEM'"
    )
    said = operator.on("db1", "sh", "-c", f'chmod 600 /run/stolen.key; {asked} 2>&1; echo "exit $?"')
    assert is_said(REFUSALS, said), said
    for host in ("svc1", "db1"):
        operator.on(host, "rm", *files.values())


def test_machines_are_asked_for_a_certificate_at_the_virtual_address(
    operator: Operator, installed: dict[str, Any]
) -> None:
    wanted = {"tls": [VIRTUAL, 8444], "name": PUBLIC}
    with stranger(operator, "app1") as files:
        attempts = [{**wanted, "how": "bare"}, {**wanted, "how": "stranger", **files}, {**wanted, "how": "1.2"}]
        bare, strange, old = tried(operator, "app1", attempts)
    assert bare.startswith("HTTP/1.1 400")
    assert strange.startswith("HTTP/1.1 400")
    assert is_said(OLD_TLS, old), old


def test_nobody_who_comes_with_the_software_is_there(operator: Operator, installed: dict[str, Any]) -> None:
    brokers = operator.on("svc1", "rabbitmqctl", "--quiet", "list_users").split()
    assert "guest" not in brokers
    assert "worker" in brokers
    for file in ("sitewright.acl", "sitewright-sentinel.acl"):
        users = [line.split() for line in operator.on("svc1", "cat", f"/etc/redis/{file}").splitlines()]
        assert ["user", "default", "off"] in [words[:3] for words in users]
    sql = "select string_agg(rolname, ',' order by rolname) from pg_roles where rolcanlogin and rolsuper"
    database = operator.on("db1", "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql).strip()
    assert database == "postgres"


@contextmanager
def another_network(operator: Operator) -> Iterator[str]:
    """An address of the controller that is not of the site's network; the gateways know the way back."""
    address = "10.66.0.9"
    for gateway in ("gw1", "gw2"):
        operator.on(gateway, "ip", "route", "replace", f"{address}/32", "dev", "host0")
    assert operator.within("ip", "address", "replace", f"{address}/32", "dev", "br0").returncode == 0
    yield address
    operator.within("ip", "address", "delete", f"{address}/32", "dev", "br0")
    for gateway in ("gw1", "gw2"):
        operator.on(gateway, "ip", "route", "delete", f"{address}/32", "dev", "host0")


def test_administrators_pages_and_logins_are_for_the_named_networks(
    operator: Operator, installed: dict[str, Any]
) -> None:
    curl = ["curl", "--silent", "--max-time", "10", "--cacert", str(operator.state / "pki" / "ca.crt")]
    curl += ["--resolve", f"{PUBLIC}:443:{VIRTUAL}", "--output", "/dev/null", "--write-out", "%{http_code}"]
    page, login = "/operaton/app/cockpit/default/", "/operaton/api/admin/auth/user/default/login/cockpit"

    def asked(path: str, *options: str) -> str:
        return operator.within(*curl, *options, f"https://{PUBLIC}{path}").stdout

    assert asked(page) in {"200", "302"}
    with another_network(operator) as outside:
        assert asked(page, "--interface", outside) == "403"
        # The right password does not help there.
        assert asked(login, "--interface", outside, "--data", "username=admin&password=x") == "403"
        assert asked("/operaton/app/tasklist/default/", "--interface", outside) in {"200", "302"}


def test_too_many_requests_at_once_get_429_and_the_service_stays_up(
    operator: Operator, installed: dict[str, Any]
) -> None:
    words = [sys.executable, str(Path(__file__).parent / "burst.py"), VIRTUAL, PUBLIC]
    words += [str(operator.state / "pki" / "ca.crt"), "/engine-rest/process-definition/count", "160"]
    argv = operator.argv("rehearse", "run", "--inventory", operator.site, "--", *words)
    login = f"admin:{vault_values(operator)['vault_engine_admin_password']}"
    ended = subprocess.run(argv, cwd=ROOT, input=f"{login}\n", capture_output=True, text=True, timeout=120, check=True)
    said = json.loads(ended.stdout)
    assert said["answers"].keys() == {"200", "429"}
    assert said["answers"]["429"] > 20
    assert said["afterwards"] == ["200"] * 10
