"""Custom certificates (the hospital's own), checked on the controller before any host is touched."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from installer.documents import DocumentError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from installer.manifests.certificates import Wanted

AUTHORITY_FILE: Final = "ca.crt"
# One pair for all services of a host, where the hospital issues one certificate per machine.
HOST_PAIR: Final = "host"
RENEW_BEFORE_DAYS: Final = 30
_PURPOSES: Final = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
_WEAKEST_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPair:
    """A certificate of the hospital's with the authorities between it and the root, and its key."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Everything found in the folder, checked.

    Attributes:
        authority: Root certificates, as text.
        pairs: Certificate and key by host and service.
    """

    authority: str
    pairs: Mapping[str, Mapping[str, GivenPair]]


def read_custom(
    directory: Path,
    wanted: Mapping[str, Mapping[str, Wanted]],
    *,
    now: datetime | None = None,
    spare_days: int = RENEW_BEFORE_DAYS,
) -> Given:
    """Read and check the certificates of all hosts and services.

    The folder has `ca.crt` and, per host, `<full name>/<service>.crt` and `.key`, or one pair
    `<full name>/host.crt` and `.key` for the services that have none of their own.

    Args:
        directory: The hospital's folder.
        wanted: What is needed, by host and service.
        now: The moment at which they must be valid.
        spare_days: How much longer they must be valid at least.

    Raises:
        DocumentError: With everything that is missing or wrong.
    """
    moment = now or datetime.now(UTC)
    problems: list[Problem] = []
    roots = _authorities(directory / AUTHORITY_FILE, moment, problems)
    pairs: dict[str, dict[str, GivenPair]] = {}
    for host, services in wanted.items():
        for service, want in services.items():
            folder = directory / want.dns_names[0]
            own = (folder / f"{service}.crt").exists() or (folder / f"{service}.key").exists()
            stem = service if own or not (folder / f"{HOST_PAIR}.crt").exists() else HOST_PAIR
            checker = _Checker(roots=roots, moment=moment, spare=timedelta(days=spare_days))
            found = checker.check(folder / f"{stem}.crt", folder / f"{stem}.key", want, service)
            problems += checker.problems
            if found is not None:
                pairs.setdefault(host, {})[service] = found
    if problems:
        raise DocumentError(problems)
    return Given(authority="".join(_pem(root) for root in roots), pairs=pairs)


def _authorities(path: Path, moment: datetime, problems: list[Problem]) -> list[x509.Certificate]:
    try:
        roots = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        fix = "put the root certificate of the hospital's authority there, in PEM"
        problems.append(Problem(str(path), f"cannot be read: {_reason(error)}", fix))
        return []
    for root in roots:
        name = root.subject.rfc4514_string()
        if not _is_authority(root):
            fix = "put only certificates of authorities there"
            problems.append(Problem(str(path), f"{name} is not an authority's certificate", fix))
        if not root.not_valid_before_utc <= moment <= root.not_valid_after_utc:
            what = f"{name} is valid from {root.not_valid_before_utc:%Y-%m-%d} to {root.not_valid_after_utc:%Y-%m-%d}"
            problems.append(Problem(str(path), what, "get the authority's current certificate"))
    return roots


@dataclass(slots=True, kw_only=True)
class _Checker:
    """Checks one pair; each finding has its own words."""

    roots: list[x509.Certificate]
    moment: datetime
    spare: timedelta
    problems: list[Problem] = field(default_factory=list)

    def check(self, certificate_file: Path, key_file: Path, want: Wanted, service: str) -> GivenPair | None:
        chain = self._chain(certificate_file)
        key = self._key(key_file)
        if chain:
            self._leaf(certificate_file, chain[0], want, service)
            if self.roots:
                self._path(certificate_file, chain)
        if not chain or key is None:
            return None
        if chain[0].public_key() != key.public_key():
            fix = f"give the key that belongs to {certificate_file.name}; two files may have been switched"
            self._report(key_file, f"does not belong to the certificate {certificate_file.name}", fix)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return GivenPair(certificate="".join(_pem(part) for part in chain), key=text)

    def _chain(self, path: Path) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            fix = "put the certificate there in PEM, followed by the authorities between it and the root"
            self._report(path, f"the certificate cannot be read: {_reason(error)}", fix)
            return []

    def _key(self, path: Path) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None:
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except TypeError:
            fix = f"services start without a person: openssl pkey -in {path.name} -out {path.name}.plain"
            self._report(path, "the key is encrypted", fix)
            return None
        except (OSError, ValueError) as error:
            self._report(path, f"the key cannot be read: {_reason(error)}", "put the private key there in PEM")
            return None
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _WEAKEST_RSA_BITS:
            return key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
        fix = f"use an elliptic curve key (P-256) or RSA of at least {_WEAKEST_RSA_BITS} bits"
        self._report(path, "the key is of a kind or size the services do not take", fix)
        return None

    def _leaf(self, path: Path, leaf: x509.Certificate, want: Wanted, service: str) -> None:
        begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        if begin > self.moment:
            self._report(path, f"is not valid before {begin:%Y-%m-%d %H:%M} UTC", "correct the controller's clock")
        if end <= self.moment:
            self._report(path, f"expired on {end:%Y-%m-%d}", "get a new one from the hospital's authority")
        elif end - self.moment < self.spare:
            what = f"expires on {end:%Y-%m-%d}, in less than {self.spare.days} days"
            self._report(path, what, "get a new one from the hospital's authority")
        dns_names, addresses = _names(leaf)
        missing = [name for name in want.dns_names if name not in dns_names]
        missing += [text for text in want.ip_addresses if ipaddress.ip_address(text) not in addresses]
        if missing:
            what = f"lacks the names {', '.join(missing)} for {service}"
            self._report(path, what, "have it issued with these subject alternative names")
        purposes = _purposes(leaf)
        lacking = [usage for usage in want.usages if purposes is not None and _PURPOSES[usage] not in purposes]
        if lacking:
            what = f"may not be used as TLS {' and '.join(lacking)}, which {service} needs"
            self._report(path, what, "have it issued with extended key usage serverAuth and clientAuth")
        if _is_authority(leaf):
            self._report(path, "begins with an authority's certificate", "put the host's certificate first")

    def _path(self, path: Path, chain: list[x509.Certificate]) -> None:
        """Each certificate is signed by the next, the last by a root of ca.crt."""
        current, rest = chain[0], chain[1:]
        for issuer in rest:
            if not _signed_by(current, issuer):
                what = f"{issuer.subject.rfc4514_string()} did not sign {current.subject.rfc4514_string()}"
                self._report(path, what, "put the certificates in order, the host's own first")
                return
            if not issuer.not_valid_before_utc <= self.moment <= issuer.not_valid_after_utc:
                what = f"{issuer.subject.rfc4514_string()} is not valid now"
                self._report(path, what, "get the authority's current certificate")
            current = issuer
        if current not in self.roots and not any(_signed_by(current, root) for root in self.roots):
            what = f"no certificate in {AUTHORITY_FILE} signed {current.subject.rfc4514_string()}"
            fix = f"append {current.issuer.rfc4514_string()} to the file, or correct {AUTHORITY_FILE}"
            self._report(path, what, fix)

    def _report(self, path: Path, what: str, fix: str) -> None:
        self.problems.append(Problem(str(path), what, fix))


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not _is_authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _names(leaf: x509.Certificate) -> tuple[set[str], set[object]]:
    try:
        value = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set(), set()
    return set(value.get_values_for_type(x509.DNSName)), set(value.get_values_for_type(x509.IPAddress))


def _purposes(leaf: x509.Certificate) -> set[x509.ObjectIdentifier] | None:
    """What the certificate may be used for; None for anything."""
    try:
        return set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return None


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not PEM"
