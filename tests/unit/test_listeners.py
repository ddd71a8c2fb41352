"""What listens on a host against what its roles declare."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from installer.checks.verify import listeners
from installer.manifests import load_manifests
from installer.manifests.certificates import ClientCertificate
from installer.pki import Authority, Wanted, ensure_authority
from installer.report import CheckResult
from installer.services.health.subject import Subject
from installer.site import load_site

ROOT = Path(__file__).resolve().parents[2]


def _subject(way: list[str], clients: dict[str, ClientCertificate] | None = None) -> Subject:
    """hospital-a, whose db1 is asked in this way."""
    manifests = load_manifests(ROOT)
    return Subject(
        site=load_site(ROOT / "inventories" / "hospital-a", manifests=manifests).resolved(),
        secrets={},
        manifests=manifests,
        clients=clients or {},
        ssh={"db1": way},
        carried={},
        release={},
    )


def _model(folder: Path, ports: list[int]) -> CheckResult:
    """A database host whose sshd listens on 2222, asked through a stand-in for ssh with this `ss`."""
    lines = "\\n".join(f"LISTEN 0 128 10.20.0.31:{port} 0.0.0.0:*" for port in ports)
    program = folder / "ss"
    program.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\n")
    program.chmod(0o755)
    way = ["env", f"PATH={folder}:/usr/bin:/bin", "SSH_CONNECTION=10.20.0.1 41000 10.20.0.31 2222", "sh", "-c"]
    subject = _subject(way)
    return listeners._only_the_model(subject, subject.host("db1"))


def test_the_port_ssh_came_in_at_belongs_to_the_model(tmp_path: Path) -> None:
    assert _model(tmp_path, [2222, 5432, 8008]).ok


@pytest.mark.parametrize(
    ("ports", "said"),
    [([22, 2222, 5432, 8008], "not in the model: 22"), ([2222, 8008], "silent: 5432")],
)
def test_a_listener_too_many_and_one_too_few_are_told(tmp_path: Path, ports: list[int], said: str) -> None:
    result = _model(tmp_path, ports)
    assert not result.ok
    assert said in result.measured


def _pair(folder: Path, authority: Authority) -> None:
    """A new key and certificate of db1 in a folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = {"dns_names": ["db1.hospital-a.internal"], "ip_addresses": ["127.0.0.1"], "usages": ["server", "client"]}
    wanted = Wanted.from_variables(names)
    (folder / "tls.crt").write_text(authority.certify(key.public_key(), wanted, lifetime=timedelta(days=3)))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@contextmanager
def _served(folder: Path) -> Iterator[int]:
    """A listener that goes on showing the certificate it was started with; its port."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), tls.wrap_socket(self.request, server_side=True) as connection:
                connection.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_listener_that_shows_a_certificate_from_before_is_told(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path / "pki", "passphrase", name="hospital-a")
    (tmp_path / "ca.crt").write_text(authority.pem)
    _pair(tmp_path, authority)
    client = tmp_path / "client"
    client.mkdir()
    _pair(client, authority)
    own = ClientCertificate(ca=tmp_path / "ca.crt", certificate=client / "tls.crt", key=client / "tls.key")
    # A stand-in for ssh: whatever is asked, the certificate that lies on the host is what it says.
    subject = _subject(["sh", "-c", f"cat {tmp_path}/tls.crt", "--"], {"site": own})
    host = replace(subject.host("db1"), address="127.0.0.1")
    with _served(tmp_path) as number:
        (known,) = [port for port in listeners.ports_of(subject, "db1") if port.starttls]
        port = replace(known, port=number, starttls=None)
        assert listeners.shows_its_own(subject, host, [port], within=0).measured == "1 as on the host"
        _pair(tmp_path, authority)
        result = listeners.shows_its_own(subject, host, [port], within=0)
    assert not result.ok
    assert result.measured == f"shown before, and no longer on the host: {number}"
