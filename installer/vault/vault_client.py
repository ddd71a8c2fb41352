#!/usr/bin/env python3
"""Print the vault password for Ansible; the running installer serves it on a private socket."""

from __future__ import annotations

import os
import socket
import sys

SOCKET_VARIABLE = "SITEWRIGHT_VAULT_SOCKET"
_SECONDS = 10
_CHUNK_BYTES = 4096


def fetch(address: str) -> bytes:
    """Read the password from the installer's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_SECONDS)
        client.connect(address)
        return b"".join(iter(lambda: client.recv(_CHUNK_BYTES), b""))


def main() -> int:
    """Print the password, or say why it cannot be had."""
    address = os.environ.get(SOCKET_VARIABLE, "")
    if not address:
        sys.stderr.write(f"{SOCKET_VARIABLE} is not set: this program is for ./install only\n")
        return 1
    try:
        password = fetch(address)
    except OSError as error:
        sys.stderr.write(f"the installer does not answer on {address}: {error}\n")
        return 1
    sys.stdout.buffer.write(password + b"\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
