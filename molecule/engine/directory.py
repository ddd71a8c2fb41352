"""A hospital's directory for the scenario: Debian's slapd, and certificates a server of it may and may not have.

Usage: directory.py, with Molecule's environment; leaves a folder `directory` in its ephemeral one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from installer.bundle.commands import Commands
from installer.bundle.debian import PrivateApt
from installer.controller.debian_mirror import read_debian_mirror
from installer.controller.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "directory.hospital.example"
# What slapd is linked with and a host has not; its installation would bring Perl and a dialogue.
_PACKAGES: Final = ("slapd", "libltdl7", "libwrap0", "libsasl2-2", "libldap2")


def main() -> None:
    """Fetch the packages, once for all runs, and make the certificates, for each."""
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "directory"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    shutil.copytree(_packages(Paths.from_environment().downloads / "slapd"), folder / "packages")
    hospital, stranger = _authority("Hospital"), _authority("Stranger")
    (folder / "ca.crt").write_bytes(hospital[0].public_bytes(Encoding.PEM))
    for kind, authority, name in (
        ("right", hospital, NAME),
        ("other-name", hospital, "elsewhere.hospital.example"),
        ("other-authority", stranger, NAME),
    ):
        (folder / kind).mkdir()
        for file, content in _server(authority, name).items():
            (folder / kind / file).write_bytes(content)


def _packages(folder: Path) -> Path:
    packages = folder / "packages"
    if packages.is_dir():
        return packages
    shutil.rmtree(folder, ignore_errors=True)
    partial = folder / "partial"
    partial.mkdir(parents=True)
    PrivateApt(folder, mirror=read_debian_mirror(), architecture="amd64", commands=Commands()).update()
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    subprocess.run(  # noqa: S603 - the packages are named above
        ["/usr/bin/apt-get", "--quiet=2", "download", *_PACKAGES], cwd=partial, env=environment, check=True
    )
    return partial.rename(packages)


_Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _authority(name: str) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _server(authority: _Authority, name: str) -> Mapping[str, bytes]:
    certificate, signs = authority
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    builder = _builder(name, str(issuer), key).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
    )
    return {
        "tls.crt": builder.sign(signs, hashes.SHA256()).public_bytes(Encoding.PEM),
        "tls.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }


def _builder(name: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer))
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        signer,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - timedelta(hours=1),
        now + timedelta(days=2),
    )


if __name__ == "__main__":
    main()
