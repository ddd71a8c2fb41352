"""Every listener of the model speaks TLS 1.3 only, and nothing else listens."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from installer.manifests import roles_of
from installer.report import CheckResult, passed_if

if TYPE_CHECKING:
    from installer.manifests import PortSpec
    from installer.services.health.subject import Host, Subject

SSH_PORT: Final = 22
POSTGRESQL_PORT: Final = 5432
GATEWAY_PORT: Final = 443
EXPIRY_DAYS: Final = 14
# PostgreSQL protocol 3, message SSLRequest: length 8, code 80877103 (PostgreSQL documentation, 53.7).
_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
_TIMEOUT_SECONDS: Final = 5.0


def ports_of(subject: Subject, host: str) -> list[PortSpec]:
    """What may listen on a host according to its roles."""
    groups = tuple(subject.site["hosts"][host]["groups"])
    return [port for manifest in roles_of(subject.manifests, groups) for port in manifest.ports]


def check(subject: Subject) -> list[CheckResult]:
    """Ask each port of each host, and each host for what it listens on."""
    hosts = subject.group("all")
    listeners = [
        (host, port)
        for host in hosts
        for port in ports_of(subject, host.name)
        if port.protocol == "tcp" and port.tls == "1.3"
    ]
    with ThreadPoolExecutor(max_workers=8) as pool:
        spoken = list(pool.map(lambda pair: _tls(subject, *pair), listeners))
        opened = list(pool.map(lambda host: _only_the_model(subject, host), hosts))
    return spoken + opened


def _tls(subject: Subject, host: Host, port: PortSpec) -> CheckResult:
    """One listener: TLS 1.3 with a certificate of the site, TLS 1.2 refused."""
    name = subject.site["public_name"] if port.port == GATEWAY_PORT else host.fqdn
    modern = subject.tls()
    with _open(host, port.port) as raw, modern.wrap_socket(raw, server_hostname=name) as connection:
        version = connection.version()
        cipher = connection.cipher()
        certificate = connection.getpeercert()
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str((certificate or {})["notAfter"])), UTC)
    days = (expires - datetime.now(UTC)).days
    old = _accepts_tls12(subject, host, port.port, name)
    return passed_if(
        version == "TLSv1.3" and not old and days >= EXPIRY_DAYS,
        check="listeners.tls",
        host=host.name,
        measured=f"{port.port}: {version} {cipher[0] if cipher else ''}, TLS 1.2 {'accepted' if old else 'refused'},"
        f" certificate for {name} until {expires:%Y-%m-%d}",
        wanted=f"TLS 1.3 only, certificate of the site's CA valid for at least {EXPIRY_DAYS} days",
        fix=f"{port.purpose}: run the installation again, it renews certificates and settings",
    )


def _accepts_tls12(subject: Subject, host: Host, port: int, name: str) -> bool:
    """Whether a client that can do no better than TLS 1.2 is let in."""
    context = subject.tls()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with _open(host, port) as raw, context.wrap_socket(raw, server_hostname=name):
            return True
    except (ssl.SSLError, ConnectionError):
        return False


def _open(host: Host, port: int) -> socket.socket:
    """A TCP connection, past PostgreSQL's own greeting where that is what listens."""
    connection = socket.create_connection((host.address, port), timeout=_TIMEOUT_SECONDS)
    if port == POSTGRESQL_PORT:
        connection.sendall(_SSL_REQUEST)
        if connection.recv(1) != b"S":
            connection.close()
            raise ConnectionError(f"PostgreSQL on {host.name} does not offer TLS")
    return connection


def _only_the_model(subject: Subject, host: Host) -> CheckResult:
    """Compare what the host listens on, beyond loopback, with what its roles declare."""
    declared = {port.port for port in ports_of(subject, host.name) if port.protocol == "tcp"} | {SSH_PORT}
    open_ports: set[int] = set()
    for line in subject.run(host.name, ["ss", "-Hltn"]).splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if not address.strip("[]").startswith(("127.", "::1", "::ffff:127.")):
            open_ports.add(int(port))
    surplus = sorted(open_ports - declared)
    missing = sorted(declared - open_ports)
    return passed_if(
        not surplus and not missing,
        check="listeners.model",
        host=host.name,
        measured=f"listens on {', '.join(map(str, sorted(open_ports)))}"
        + (f"; not in the model: {', '.join(map(str, surplus))}" if surplus else "")
        + (f"; silent: {', '.join(map(str, missing))}" if missing else ""),
        wanted=f"exactly {', '.join(map(str, sorted(declared)))}",
        fix="ss -ltnp on the host names the process",
    )
