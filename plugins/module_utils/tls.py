"""TLS as every service of the platform speaks it."""

from __future__ import annotations

import ssl


def context(ca_file: str | None, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """A client's side: TLS 1.3 at least, the peer verified, a certificate of our own when there is one.

    Args:
        ca_file: The authorities to trust; None for those of the machine.
        certificate_file: The client's own certificate, PEM.
        key_file: Its key.

    Raises:
        OSError: If a file is missing or unreadable.
        ssl.SSLError: If a file holds no certificate or key.
    """
    made = ssl.create_default_context(cafile=ca_file)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate_file:
        made.load_cert_chain(certificate_file, key_file)
    return made
