"""Connections that a host tries and should not get; run on rehearsal hosts by their own Python, without packages.

Reads a JSON list of attempts from its first argument and prints what became of each, in order:

- `{"open": [ADDRESS, PORT]}`: `open`, or why not
- `{"tls": [ADDRESS, PORT], "name": NAME, "how": HOW}` with HOW one of `good`, `1.2`, `plain`, `bare` (without a client
  certificate), `stranger` and `stolen` (with that in the files that `certificate` and `key` name), trusting the file
  `authority`: the beginning of an answer, or the error that came instead of one
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

AUTHORITY: Final = "/etc/sitewright/tls/ca.crt"
PATIENCE_SECONDS: Final = 5
LISTEN_SECONDS: Final = 1.5
# A web server answers it, Redis too (with an error), and etcd and RabbitMQ end the connection; a wrong TLS comes first.
QUESTION: Final = b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n"


def attempt(wanted: dict[str, Any]) -> str:
    """What became of one attempt."""
    address, port = wanted.get("open") or wanted["tls"]
    try:
        with socket.create_connection((address, port), timeout=PATIENCE_SECONDS) as connection:
            if "open" in wanted:
                return "open"
            if wanted["how"] == "plain":
                return talk(connection, wanted["name"])
            with context(wanted).wrap_socket(connection, server_hostname=wanted["name"]) as wrapped:
                return talk(wrapped, wanted["name"])
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def context(wanted: dict[str, Any]) -> ssl.SSLContext:
    """The client's side of TLS, which trusts the site's authority alone."""
    tls = ssl.create_default_context(cafile=wanted.get("authority", AUTHORITY))
    if wanted["how"] == "1.2":
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
    if "certificate" in wanted:
        tls.load_cert_chain(wanted["certificate"], wanted["key"])
    return tls


def talk(connection: socket.socket, name: str) -> str:
    """Ask, and read the beginning of the answer.

    With TLS 1.3 a refused certificate shows only now. Who speaks at once may meet a closed connection before it has
    read why, so first it listens for a moment.
    """
    connection.settimeout(LISTEN_SECONDS)
    try:
        return connection.recv(200).decode(errors="replace") or "ended without an answer"
    except TimeoutError:
        connection.settimeout(PATIENCE_SECONDS)
    connection.sendall(QUESTION % name.encode())
    return connection.recv(200).decode(errors="replace") or "ended without an answer"


if __name__ == "__main__":
    with ThreadPoolExecutor(32) as pool:
        sys.stdout.write(json.dumps(list(pool.map(attempt, json.loads(sys.argv[1])))))
