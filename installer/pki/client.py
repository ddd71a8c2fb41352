"""A short-lived client certificate, with which the controller itself asks the services."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from installer.controller.files import write_atomically
from installer.manifests.certificates import ClientCertificate, Wanted
from installer.pki.authority import CERTIFICATE_FILE, open_authority

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def issue_client(
    directory: Path, passphrase: str, name: str, *, days: int = 1, also_trusted: Path | None = None
) -> Iterator[ClientCertificate]:
    """Make a client certificate for as long as the block runs.

    Args:
        directory: Folder of the site's authority.
        passphrase: What the authority's key is encrypted with.
        name: Who asks, for example `verify`; it shows in the services' logs.
        days: How long it is valid at most.
        also_trusted: The hospital's own root certificates, when its services have certificates of it.

    Raises:
        AuthorityError: If the authority cannot be opened.
    """
    authority = open_authority(directory, passphrase)
    key = ec.generate_private_key(ec.SECP256R1())
    wanted = Wanted(dns_names=(name,), ip_addresses=(), usages=("client",))
    certificate = authority.certify(key.public_key(), wanted, lifetime=timedelta(days=days))
    folder = Path(tempfile.mkdtemp(prefix="sitewright-"))
    try:
        files = ClientCertificate(certificate=folder / "tls.crt", key=folder / "tls.key", ca=folder / CERTIFICATE_FILE)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_atomically(files.key, key_pem, mode=0o600)
        write_atomically(files.certificate, certificate.encode(), mode=0o600)
        trusted = authority.pem if also_trusted is None else authority.pem + also_trusted.read_text(encoding="utf-8")
        write_atomically(files.ca, trusted.encode(), mode=0o600)
        yield files
    finally:
        shutil.rmtree(folder, ignore_errors=True)
