"""Certificates: the private authority's, and the hospital's own with everything that can be wrong with them."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from installer.documents import DocumentError
from installer.manifests import load_manifests
from installer.pki import (
    AuthorityError,
    Wanted,
    certificates_wanted,
    ensure_authority,
    issue_client,
    open_authority,
    read_custom,
)

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse battery staple"
OPENSSL = shutil.which("openssl") or "openssl"
NOW = datetime.now(UTC).replace(microsecond=0)
WANTED = Wanted(
    dns_names=("db1.hospital.internal", "db1", "localhost"),
    ip_addresses=("10.20.0.31", "127.0.0.1"),
    usages=("server", "client"),
)
SITE = {
    "public_name": "workflow.hospital.internal",
    "virtual_ip": "10.20.0.10",
    "hosts": {"gw1": {"address": "10.20.0.11", "fqdn": "gw1.hospital.internal", "groups": ["gateway"]}},
}


def _openssl(*arguments: str | Path, text: str = "") -> str:
    argv: list[str | Path] = [OPENSSL, *arguments]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def _request(folder: Path, curve: str = "P-256") -> str:
    key = folder / f"{curve}.key"
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", key)
    return _openssl("req", "-new", "-key", key, "-subj", "/CN=evil", "-addext", "subjectAltName=DNS:evil.example")


def test_the_authority_is_made_once_with_an_encrypted_private_key(tmp_path: Path) -> None:
    first = ensure_authority(tmp_path / "pki", PASSPHRASE, name="hospital-a")
    assert first.created
    key = tmp_path / "pki" / "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert "BEGIN ENCRYPTED PRIVATE KEY" in key.read_text()
    second = ensure_authority(tmp_path / "pki", PASSPHRASE, name="hospital-a")
    assert not second.created
    assert second.pem == first.pem
    assert first.certificate.not_valid_after_utc - NOW > timedelta(days=3650)


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")
    with pytest.raises(AuthorityError, match="does not open with vault_ca_passphrase"):
        open_authority(tmp_path, "another")


def test_a_lone_key_gets_its_certificate_and_a_lone_certificate_is_refused(tmp_path: Path) -> None:
    ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")
    (tmp_path / "ca.crt").unlink()
    assert ensure_authority(tmp_path, PASSPHRASE, name="hospital-a").created
    (tmp_path / "ca.key").unlink()
    with pytest.raises(AuthorityError, match="the authority's key cannot be read"):
        ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")


def test_key_and_certificate_of_two_authorities_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ensure_authority(tmp_path / name, PASSPHRASE, name=name)
    shutil.copy(tmp_path / "b" / "ca.crt", tmp_path / "a" / "ca.crt")
    with pytest.raises(AuthorityError, match=r"does not belong to ca\.key"):
        open_authority(tmp_path / "a", PASSPHRASE)


def test_an_authority_near_its_end_signs_nothing(tmp_path: Path) -> None:
    ensure_authority(tmp_path, PASSPHRASE, name="a", now=NOW - timedelta(days=3640))
    with pytest.raises(AuthorityError, match="the authority ends on"):
        open_authority(tmp_path, PASSPHRASE)


def test_openssl_accepts_what_the_authority_signs_for_both_purposes_and_every_name(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")
    leaf = tmp_path / "leaf.crt"
    signed = datetime.now(UTC)
    leaf.write_text(authority.sign(_request(tmp_path), WANTED))
    for purpose in ("sslserver", "sslclient"):
        for check in ("-verify_hostname", "db1.hospital.internal"), ("-verify_ip", "10.20.0.31"):
            arguments = ["verify", "-x509_strict", "-CAfile", tmp_path / "ca.crt", "-purpose", purpose, *check, leaf]
            assert "OK" in _openssl(*arguments)
    text = _openssl("x509", "-in", leaf, "-noout", "-text")
    assert "evil" not in text
    end = x509.load_pem_x509_certificate(leaf.read_bytes()).not_valid_after_utc
    assert timedelta(days=396) < end - signed <= timedelta(days=397, minutes=5)


def test_a_request_with_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")
    with pytest.raises(AuthorityError, match="not an elliptic curve key on P-256"):
        authority.sign(_request(tmp_path, "P-384"), WANTED)


def test_a_request_its_sender_has_no_key_for_is_refused(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")
    body = _openssl("req", "-inform", "PEM", "-outform", "DER", "-out", tmp_path / "r.der", text=_request(tmp_path))
    assert body == ""
    data = bytearray((tmp_path / "r.der").read_bytes())
    data[-1] ^= 1
    (tmp_path / "r.der").write_bytes(data)
    spoiled = _openssl("req", "-inform", "DER", "-in", tmp_path / "r.der")
    with pytest.raises(AuthorityError, match="is not signed with its own key"):
        authority.sign(spoiled, WANTED)


def test_a_host_with_a_very_long_name_still_gets_its_certificate(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path, PASSPHRASE, name="hospital-a")
    long = f"db1.{'a' * 40}.{'b' * 40}.internal"
    text = authority.sign(_request(tmp_path), replace(WANTED, dns_names=(long, "db1")))
    assert long in _openssl("x509", "-noout", "-text", text=text)


def test_a_client_certificate_lives_for_a_block_and_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    ensure_authority(tmp_path / "pki", PASSPHRASE, name="hospital-a")
    issued = datetime.now(UTC)
    with issue_client(tmp_path / "pki", PASSPHRASE, "verify") as client:
        assert client.key.stat().st_mode & 0o777 == 0o600
        assert "OK" in _openssl("verify", "-CAfile", client.ca, "-purpose", "sslclient", client.certificate)
        end = x509.load_pem_x509_certificate(client.certificate.read_bytes()).not_valid_after_utc
        assert end - issued <= timedelta(days=1, minutes=5)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_controllers_client_trusts_the_hospitals_roots_when_they_are_given(tmp_path: Path) -> None:
    ensure_authority(tmp_path / "own", PASSPHRASE, name="hospital-a")
    ensure_authority(tmp_path / "hospital", PASSPHRASE, name="the hospital's own")
    roots = tmp_path / "hospital" / "ca.crt"
    with issue_client(tmp_path / "own", PASSPHRASE, "verify", also_trusted=roots) as client:
        names = [each.subject for each in x509.load_pem_x509_certificates(client.ca.read_bytes())]
    assert len(set(names)) == 2
    assert x509.load_pem_x509_certificate(roots.read_bytes()).subject in names


def test_a_host_needs_the_certificates_of_its_groups_with_all_its_names(tmp_path: Path) -> None:
    meta = tmp_path / "roles" / "gateway" / "meta"
    meta.mkdir(parents=True)
    text = "group: gateway\ncertificates:\n  gateway: {usages: [server], names: [public_name, virtual_ip]}\n"
    (meta / "sitewright.yml").write_text(text)
    assert certificates_wanted(SITE, "gw1", load_manifests(tmp_path)) == {
        "gateway": {
            "dns_names": ["gw1.hospital.internal", "gw1", "localhost", "workflow.hospital.internal"],
            "ip_addresses": ["10.20.0.11", "127.0.0.1", "10.20.0.10"],
            "usages": ["server"],
        }
    }


@dataclass(kw_only=True)
class Hospital:
    """A hospital's own authority with an intermediate, and a folder of what it issued."""

    folder: Path
    root_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    middle_key: ec.EllipticCurvePrivateKey
    middle: x509.Certificate

    @property
    def certificate(self) -> Path:
        """The certificate under test."""
        return self.folder / "db1.hospital.internal" / "postgresql.crt"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.certificate.with_suffix(".key")

    def issue(  # each keyword spoils one thing
        self,
        *,
        names: tuple[str, ...] = WANTED.dns_names,
        begin: datetime = NOW - timedelta(days=1),
        end: datetime = NOW + timedelta(days=300),
        usages: tuple[str, ...] = ("server", "client"),
        chain: bool = True,
        encryption: KeySerializationEncryption | None = None,
    ) -> None:
        """Issue a pair for db1's PostgreSQL into the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        oids = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
        leaf = (
            _builder("db1", self.middle, key, begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([oids[usage] for usage in usages]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        *(x509.DNSName(name) for name in names),
                        *(x509.IPAddress(ipaddress.ip_address(text)) for text in WANTED.ip_addresses),
                    ]
                ),
                critical=False,
            )
            .sign(self.middle_key, hashes.SHA256())
        )
        self.certificate.parent.mkdir(parents=True, exist_ok=True)
        parts = [leaf, self.middle] if chain else [leaf]
        self.certificate.write_bytes(b"".join(part.public_bytes(Encoding.PEM) for part in parts))
        protection = encryption or NoEncryption()
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))

    def refusal(self) -> str:
        """What is said about the folder."""
        with pytest.raises(DocumentError) as caught:
            read_custom(self.folder, {"db1": {"postgresql": WANTED}})
        return f"{caught.value.message}\n{caught.value.hint}"


def _builder(
    name: str, issuer: x509.Certificate | None, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _authority(
    name: str, issuer: x509.Certificate | None = None, issuer_key: ec.EllipticCurvePrivateKey | None = None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, issuer, key, NOW - timedelta(days=9), NOW + timedelta(days=999))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return key, builder.sign(issuer_key or key, hashes.SHA256())


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    """A hospital whose folder is in order."""
    root_key, root = _authority("Hospital Root")
    middle_key, middle = _authority("Hospital Servers", root, root_key)
    (tmp_path / "ca.crt").write_bytes(root.public_bytes(Encoding.PEM))
    made = Hospital(folder=tmp_path, root_key=root_key, root=root, middle_key=middle_key, middle=middle)
    made.issue()
    return made


def test_the_hospitals_own_certificates_are_taken_with_chain_and_key(hospital: Hospital) -> None:
    given = read_custom(hospital.folder, {"db1": {"postgresql": WANTED}})
    pair = given.pairs["db1"]["postgresql"]
    assert pair.certificate.count("BEGIN CERTIFICATE") == 2
    assert "BEGIN PRIVATE KEY" in pair.key
    assert "PRIVATE" not in repr(pair)


def test_one_pair_per_host_serves_all_its_services(hospital: Hospital) -> None:
    for file in (hospital.certificate, hospital.key):
        file.rename(file.with_stem("host"))
    given = read_custom(hospital.folder, {"db1": {"postgresql": WANTED, "backup": WANTED}})
    assert given.pairs["db1"]["postgresql"] == given.pairs["db1"]["backup"]


def test_a_missing_certificate_is_named(hospital: Hospital) -> None:
    hospital.certificate.unlink()
    assert f"{hospital.certificate}: the certificate cannot be read: No such file" in hospital.refusal()


def test_a_missing_root_is_named(hospital: Hospital) -> None:
    (hospital.folder / "ca.crt").unlink()
    assert "ca.crt: cannot be read" in hospital.refusal()


def test_a_key_of_another_certificate_is_refused(hospital: Hospital) -> None:
    old = hospital.key.read_bytes()
    hospital.issue()
    hospital.key.write_bytes(old)
    assert "does not belong to the certificate postgresql.crt" in hospital.refusal()


def test_an_encrypted_key_is_refused(hospital: Hospital) -> None:
    hospital.issue(encryption=BestAvailableEncryption(b"secret"))
    assert "postgresql.key: the key is encrypted" in hospital.refusal()


def test_a_certificate_without_a_name_is_refused(hospital: Hospital) -> None:
    hospital.issue(names=("db1",))
    assert "lacks the names db1.hospital.internal, localhost for postgresql" in hospital.refusal()


def test_an_expired_certificate_is_refused(hospital: Hospital) -> None:
    hospital.issue(begin=NOW - timedelta(days=9), end=NOW - timedelta(days=1))
    assert "expired on" in hospital.refusal()


def test_a_certificate_that_ends_soon_is_refused(hospital: Hospital) -> None:
    hospital.issue(end=NOW + timedelta(days=20))
    assert "in less than 30 days" in hospital.refusal()


def test_a_certificate_of_the_future_is_refused(hospital: Hospital) -> None:
    hospital.issue(begin=NOW + timedelta(days=1))
    assert "is not valid before" in hospital.refusal()


def test_a_certificate_for_servers_only_is_refused_where_a_client_is_needed(hospital: Hospital) -> None:
    hospital.issue(usages=("server",))
    assert "may not be used as TLS client, which postgresql needs" in hospital.refusal()


def test_a_missing_intermediate_is_named(hospital: Hospital) -> None:
    hospital.issue(chain=False)
    text = hospital.refusal()
    assert "no certificate in ca.crt signed CN=db1" in text
    assert "append CN=Hospital Servers" in text


def test_a_foreign_root_is_refused(hospital: Hospital) -> None:
    _key, other = _authority("Hospital Root")
    (hospital.folder / "ca.crt").write_bytes(other.public_bytes(Encoding.PEM))
    assert "no certificate in ca.crt signed CN=Hospital Servers" in hospital.refusal()


def test_a_chain_in_the_wrong_order_is_refused(hospital: Hospital) -> None:
    text = hospital.certificate.read_text()
    mark = "-----BEGIN CERTIFICATE-----"
    _empty, leaf, middle = text.split(mark)
    hospital.certificate.write_text(f"{mark}{middle}{mark}{leaf}")
    assert "begins with an authority's certificate" in hospital.refusal()
