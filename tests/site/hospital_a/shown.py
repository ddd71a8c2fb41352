"""Certificates that listeners show, run inside a rehearsal's network: one SHA-256 for each HOST:PORT given."""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
from typing import Final

POSTGRESQL_PORT: Final = 5432
_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
_SECONDS: Final = 10


def shown(address: str, port: int) -> str:
    """What a listener shows somebody who has no certificate; nobody is believed here, only looked at."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, port), timeout=_SECONDS) as plain:
        if port == POSTGRESQL_PORT:
            plain.sendall(_SSL_REQUEST)
            plain.recv(1)
        name = "workflow.hospital-a.internal"
        with tls.wrap_socket(plain, server_hostname=name) as connection:
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


if __name__ == "__main__":
    for each in sys.argv[1:]:
        host, _, number = each.rpartition(":")
        sys.stdout.write(f"{each} {shown(host, int(number))}\n")
