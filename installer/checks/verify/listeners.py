"""Every listener of the model speaks TLS 1.3 only and shows the certificate of its host, and nothing else listens."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from installer.manifests.shared import listeners_of
from installer.report import CheckResult, passed_if
from installer.services.health.answers import no_answer, of_each

if TYPE_CHECKING:
    from installer.manifests.shared import Listener
    from installer.services.health.subject import Host, Subject

EXPIRY_DAYS: Final = 14
# PostgreSQL protocol 3, message SSLRequest: length 8, code 80877103 (PostgreSQL documentation, 53.7).
_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
_TIMEOUT_SECONDS: Final = 5.0
# Where sshd listens is the hospital's to say: the port this very question came in at (ssh(1): client address and
# port, server address and port).
_QUESTION: Final = 'echo "$SSH_CONNECTION"; ss -Hltn'
_CERTIFICATES: Final = "cat /etc/sitewright/tls/*/tls.crt"
# Most services are told to read a new certificate; the engine looks by itself every few seconds.
_READ_WITHIN_SECONDS: Final = 15


def ports_of(subject: Subject, host: str) -> list[Listener]:
    """What may listen on a host according to its roles."""
    return listeners_of(subject.site, host, subject.manifests)


def check(subject: Subject) -> list[CheckResult]:
    """Ask each port of each host, and each host for what it listens on."""
    hosts = subject.group("all")
    listeners = [(host, port) for host in hosts for port in _with_tls(subject, host)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        spoken = list(pool.map(lambda pair: _spoken(subject, *pair), listeners))
    asked = of_each(hosts, lambda host: _asked(subject, host), name="listeners", port=0, unit="")
    return spoken + asked


def _with_tls(subject: Subject, host: Host) -> list[Listener]:
    """Its listeners that speak TLS."""
    return [port for port in ports_of(subject, host.name) if port.protocol == "tcp" and port.tls == "1.3"]


def _asked(subject: Subject, host: Host) -> list[CheckResult]:
    """What takes a look at the host itself."""
    with_tls = _with_tls(subject, host)
    shown = [shows_its_own(subject, host, with_tls)] if with_tls else []
    return [_only_the_model(subject, host), *shown]


def _spoken(subject: Subject, host: Host, port: Listener) -> CheckResult:
    """As `_tls`; a listener that cannot be spoken to is a failed check of its own."""
    try:
        return _tls(subject, host, port)
    except OSError as error:  # ssl's errors are OSErrors as well
        silent = no_answer(host, error, name="listeners", port=port.port, unit="")
        return replace(silent, fix=f"{port.purpose}: {silent.fix}; `status` shows which units run")


def _tls(subject: Subject, host: Host, port: Listener) -> CheckResult:
    """One listener: TLS 1.3 with a certificate of the site, TLS 1.2 refused."""
    name = subject.site[port.server_name] if port.server_name else host.fqdn
    modern = subject.tls(port.authority)
    with _open(host, port) as raw, modern.wrap_socket(raw, server_hostname=name) as connection:
        version = connection.version()
        cipher = connection.cipher()
        certificate = connection.getpeercert()
    expires = datetime.fromtimestamp(ssl.cert_time_to_seconds(str((certificate or {})["notAfter"])), UTC)
    days = (expires - datetime.now(UTC)).days
    old = _accepts_tls12(subject, host, port, name)
    return passed_if(
        version == "TLSv1.3" and not old and days >= EXPIRY_DAYS,
        check="listeners.tls",
        host=host.name,
        measured=f"{port.port}: {version} {cipher[0] if cipher else ''}, TLS 1.2 {'accepted' if old else 'refused'},"
        f" certificate for {name} until {expires:%Y-%m-%d}",
        wanted=f"TLS 1.3 only, certificate of the site's CA valid for at least {EXPIRY_DAYS} days",
        fix=f"{port.purpose}: run the installation again, it renews certificates and settings",
    )


def _accepts_tls12(subject: Subject, host: Host, port: Listener, name: str) -> bool:
    """Whether a client that can do no better than TLS 1.2 is let in."""
    context = subject.tls(port.authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with _open(host, port) as raw, context.wrap_socket(raw, server_hostname=name):
            return True
    except (ssl.SSLError, ConnectionError):
        return False


def _open(host: Host, port: Listener) -> socket.socket:
    """A TCP connection, past PostgreSQL's own greeting where that is what listens."""
    connection = socket.create_connection((host.address, port.port), timeout=_TIMEOUT_SECONDS)
    if port.starttls == "postgresql":
        connection.sendall(_SSL_REQUEST)
        if connection.recv(1) != b"S":
            connection.close()
            raise ConnectionError(f"PostgreSQL on {host.name} does not offer TLS")
    return connection


def _only_the_model(subject: Subject, host: Host) -> CheckResult:
    """Compare what the host listens on, beyond loopback, with what its roles declare."""
    connection, *lines = subject.run(host.name, [_QUESTION]).splitlines()
    ssh_port = int(connection.split()[3])
    declared = {port.port for port in ports_of(subject, host.name) if port.protocol == "tcp"} | {ssh_port}
    open_ports: set[int] = set()
    for line in lines:
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


def shows_its_own(
    subject: Subject, host: Host, listeners: list[Listener], *, within: float = _READ_WITHIN_SECONDS
) -> CheckResult:
    """Compare the certificates that a host's listeners show with those that lie there.

    Args:
        subject: The site.
        host: The host.
        listeners: Those of its listeners that speak TLS.
        within: Seconds that a service may take to read a new one.
    """
    lying = set(_fingerprints(subject.run(host.name, [_CERTIFICATES])))
    deadline = time.monotonic() + within
    while others := [port for port in listeners if _fingerprint(_shown(subject, host, port)) not in lying]:
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    numbers = ", ".join(str(port.port) for port in others)
    return passed_if(
        not others,
        check="listeners.certificate",
        host=host.name,
        measured=f"shown before, and no longer on the host: {numbers}"
        if others
        else f"{len(listeners)} as on the host",
        wanted="every listener shows a certificate that lies on its host now",
        fix=f"restart on {host.name} what listens there: {', '.join(dict.fromkeys(port.purpose for port in others))}",
    )


def _shown(subject: Subject, host: Host, port: Listener) -> bytes:
    """The certificate a listener shows."""
    name = subject.site[port.server_name] if port.server_name else host.fqdn
    with _open(host, port) as raw, subject.tls(port.authority).wrap_socket(raw, server_hostname=name) as connection:
        return connection.getpeercert(binary_form=True) or b""


def _fingerprints(text: str) -> list[str]:
    """Of every certificate in a text."""
    pattern = f"{ssl.PEM_HEADER}.*?{ssl.PEM_FOOTER}"
    return [_fingerprint(ssl.PEM_cert_to_DER_cert(found)) for found in re.findall(pattern, text, re.DOTALL)]


def _fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()
