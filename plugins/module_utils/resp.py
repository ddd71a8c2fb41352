"""The protocol of Redis and its Sentinels (RESP 2), over TLS with a client certificate."""

from __future__ import annotations

import socket
import ssl
from typing import Any

ANSWER_SECONDS = 3.0


class RefusedError(Exception):
    """A node answered with an error, or not at all."""


class WrongPasswordError(RefusedError):
    """A node does not know the user or the password."""


class Connection:
    """One authenticated connection."""

    def __init__(self, address: str, port: int, *, tls: ssl.SSLContext, login: tuple[str, str]) -> None:
        """Connect and log in.

        Raises:
            WrongPasswordError: If the node refuses the login.
            RefusedError: If it does not answer.
        """
        self.name = f"{address}:{port}"
        try:
            plain = socket.create_connection((address, port), timeout=ANSWER_SECONDS)
            try:
                self.socket = tls.wrap_socket(plain, server_hostname=address)
            except OSError:
                plain.close()
                raise
        except OSError as error:
            raise RefusedError(f"{self.name}: {error}") from error
        self.stream = self.socket.makefile("rb")
        try:
            self.ask("AUTH", *login)
        except RefusedError:
            self.close()
            raise

    def close(self) -> None:
        """Close it."""
        self.stream.close()
        self.socket.close()

    def ask(self, *words: str) -> Any:
        """Send one command and return its answer, text decoded.

        Raises:
            RefusedError: If the node answers with an error, or not at all.
        """
        parts = [word.encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self.socket.sendall(request)
            return self.answer()
        except OSError as error:
            raise RefusedError(f"{self.name}: {error}") from error

    def answer(self) -> Any:
        """Read one answer."""
        line = self.stream.readline().decode().rstrip("\r\n")
        if not line:
            raise RefusedError(f"{self.name}: the connection was closed")
        kind, rest = line[0], line[1:]
        if kind == "-":
            wrong = rest.startswith("WRONGPASS")
            raise (WrongPasswordError if wrong else RefusedError)(f"{self.name}: {rest}")
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return None if rest == "-1" else [self.answer() for _ in range(int(rest))]
        return rest
