"""A site's private certificate authority: an encrypted key and a certificate on the controller."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from installer.controller.files import write_atomically
from installer.errors import ConfigurationError
from installer.manifests import SITE_AUTHORITY

if TYPE_CHECKING:
    from pathlib import Path

    from installer.manifests.certificates import Wanted

KEY_FILE: Final = "ca.key"
CERTIFICATE_FILE: Final = "ca.crt"
AUTHORITY_DAYS: Final = 3653
# Longest life browsers accept of a server certificate, less a day.
LEAF_DAYS: Final = 397
# An authority this close to its end signs nothing more.
AUTHORITY_RESERVE_DAYS: Final = 30
# Hosts whose clock is behind must not find a certificate of the future.
_CLOCK_TOLERANCE: Final = timedelta(hours=1)
# X.509 cuts the subject there; the alternative names, which count, may be longer.
_LONGEST_COMMON_NAME: Final = 64
_USAGES: Final = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


class AuthorityError(ConfigurationError):
    """The authority's files cannot be used, or it is asked for something it must not sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """An authority whose key is unlocked.

    Attributes:
        certificate: Its certificate.
        key: Its private key.
        created: Whether its files were written just now.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    created: bool = False

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def sign(self, request_pem: str, wanted: Wanted, *, days: int = LEAF_DAYS, now: datetime | None = None) -> str:
        """Sign a host's key; names and usages come from `wanted`, never from the request.

        Raises:
            AuthorityError: If the request is damaged or its sender does not have the key.
        """
        hint = "run the same command again; the host then makes a new request"
        try:
            request = x509.load_pem_x509_csr(request_pem.encode())
        except ValueError as error:
            message = f"the signing request for {wanted.dns_names[0]} cannot be read"
            raise AuthorityError(message, hint=hint) from error
        if not request.is_signature_valid:
            message = f"the signing request for {wanted.dns_names[0]} is not signed with its own key"
            raise AuthorityError(message, hint=hint)
        return self.certify(request.public_key(), wanted, lifetime=timedelta(days=days), now=now)

    def certify(self, key: object, wanted: Wanted, *, lifetime: timedelta, now: datetime | None = None) -> str:
        """Make the certificate of a public key.

        Raises:
            AuthorityError: If the key is of a kind the platform does not use.
        """
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            message = f"the key for {wanted.dns_names[0]} is not an elliptic curve key on P-256"
            raise AuthorityError(message, hint="remove the key from the host and run the same command again")
        moment = (now or datetime.now(UTC)).replace(microsecond=0)
        common_name = next(text for text in wanted.dns_names if len(text) <= _LONGEST_COMMON_NAME)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        names: list[x509.GeneralName] = [x509.DNSName(text) for text in wanted.dns_names]
        names += [x509.IPAddress(ipaddress.ip_address(text)) for text in wanted.ip_addresses]
        usages = [_USAGES[usage] for usage in wanted.usages]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(valid_from(moment), self.certificate.not_valid_before_utc))
            .not_valid_after(min(moment + lifetime, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_issuer_identifier(self.certificate), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()


def valid_from(moment: datetime) -> datetime:
    """The begin of the validity of a certificate that is signed at a moment; whole seconds."""
    return moment.replace(microsecond=0) - _CLOCK_TOLERANCE


def authority_folder(directory: Path, name: str) -> Path:
    """Where an authority of a site lies: the site's own in the folder itself, each other one below it by its name."""
    return directory if name == SITE_AUTHORITY else directory / name


def ensure_authority(directory: Path, passphrase: str, *, name: str, now: datetime | None = None) -> Authority:
    """Open the authority, or create it when there is none yet.

    Args:
        directory: Folder of `ca.key` and `ca.crt`.
        passphrase: What the key is encrypted with.
        name: Name of the site.
        now: The moment it is created at.

    Raises:
        AuthorityError: If one of its two files is missing or damaged, the passphrase is wrong, or it ends.
    """
    key_file, certificate_file = directory / KEY_FILE, directory / CERTIFICATE_FILE
    if key_file.exists() or certificate_file.exists():
        # The key is written first: a lone key is what an interruption leaves.
        if not certificate_file.exists():
            return _write_certificate(directory, _open_key(key_file, passphrase), name, now)
        return open_authority(directory, passphrase, now=now)
    if not passphrase:
        raise AuthorityError("the authority's passphrase is empty", hint="see vault_ca_passphrase in the vault")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP384R1())
    encryption = BestAvailableEncryption(passphrase.encode())
    write_atomically(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), mode=0o600)
    return _write_certificate(directory, key, name, now)


def open_authority(directory: Path, passphrase: str, *, now: datetime | None = None) -> Authority:
    """Unlock an existing authority.

    Raises:
        AuthorityError: If a file is missing or damaged, the passphrase is wrong, or it ends soon.
    """
    path = directory / CERTIFICATE_FILE
    key = _open_key(directory / KEY_FILE, passphrase)
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        hint = "restore it from a backup of the controller"
        raise AuthorityError(f"{path}: the authority's certificate cannot be read", hint=hint) from error
    if certificate.public_key() != key.public_key():
        hint = f"restore both files from one backup, or remove both to start a new authority: {directory}"
        raise AuthorityError(f"{path}: does not belong to {KEY_FILE} beside it", hint=hint)
    end = certificate.not_valid_after_utc
    if end - (now or datetime.now(UTC)) < timedelta(days=AUTHORITY_RESERVE_DAYS):
        hint = f"move {directory} away and run the same command: a new authority signs every host anew"
        raise AuthorityError(f"{path}: the authority ends on {end:%Y-%m-%d}", hint=hint)
    return Authority(certificate=certificate, key=key)


def change_passphrase(directory: Path, previous: str, passphrase: str) -> bool:
    """Encrypt the keys of all authorities of a site with another passphrase; whether one had to be.

    Args:
        directory: Folder of the site's own authority, with those of the others below it.
        previous: What keys may still be encrypted with.
        passphrase: What they are to be encrypted with.

    Raises:
        AuthorityError: If a key opens with neither.
    """
    changed = False
    for path in sorted(directory.rglob(KEY_FILE)):
        try:
            _open_key(path, passphrase)
        except AuthorityError:
            encryption = BestAvailableEncryption(passphrase.encode())
            key = _open_key(path, previous).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
            write_atomically(path, key, mode=0o600)
            changed = True
    return changed


def _open_key(path: Path, passphrase: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), passphrase.encode())
    except OSError as error:
        hint = "restore it from a backup of the controller, or remove ca.crt to start a new authority"
        raise AuthorityError(f"{path}: the authority's key cannot be read: {error.strerror}", hint=hint) from error
    except (ValueError, TypeError) as error:
        hint = "vault and pki folder must be of the same site and the same backup"
        message = f"{path}: the authority's key does not open with vault_ca_passphrase"
        raise AuthorityError(message, hint=hint) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{path}: is not an elliptic curve key", hint="restore the file Sitewright made")
    return key


def _write_certificate(directory: Path, key: ec.EllipticCurvePrivateKey, name: str, now: datetime | None) -> Authority:
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            # Two authorities of one site must be told apart by name as well.
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} private CA {moment:%Y%m%d%H%M%S}"),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _CLOCK_TOLERANCE)
        .not_valid_after(moment + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA384())
    )
    write_atomically(directory / CERTIFICATE_FILE, certificate.public_bytes(Encoding.PEM))
    return Authority(certificate=certificate, key=key, created=True)


def _issuer_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
