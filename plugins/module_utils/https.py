"""HTTPS with JSON, for the modules that speak to a service's own interface."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

HTTPS_PORT = 443
ERRORS_FROM = 400
SHOWN_CHARACTERS = 400


class NoAnswerError(Exception):
    """Nobody answers, or the answer broke off."""


class UntrustedError(Exception):
    """The peer's certificate is not accepted; waiting will not help."""


@dataclass(frozen=True)
class Answer:
    """What a service said."""

    status: int
    content: bytes

    @property
    def is_error(self) -> bool:
        """Whether the status says that the request failed."""
        return self.status >= ERRORS_FROM

    def json(self) -> Any:
        """The content parsed, None for an empty one."""
        return json.loads(self.content) if self.content else None

    def words(self) -> str:
        """The beginning of the content on one line, for an error message."""
        return " ".join(self.content.decode("utf-8", "replace").split())[:SHOWN_CHARACTERS]


class Client:
    """One verified connection to one service, kept open from request to request."""

    def __init__(
        self, netloc: str, tls: ssl.SSLContext, *, login: tuple[str, str], base: str = "", timeout_seconds: float = 10
    ) -> None:
        """Prepare it; the first request opens it.

        Args:
            netloc: Host and port, `host:port` or `[address]:port`.
            tls: How to trust the peer, see `tls.context`.
            login: User and password of basic authentication.
            base: What every path begins with.
            timeout_seconds: How long one answer may take.
        """
        self.base = base
        self.connection = http.client.HTTPSConnection(netloc, timeout=timeout_seconds, context=tls)
        token = base64.b64encode(":".join(login).encode()).decode()
        self.headers = {"Authorization": f"Basic {token}", "Accept": "application/json"}

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext, *, login: tuple[str, str], timeout_seconds: float = 10) -> Client:
        """The client of the service at an address.

        Raises:
            ValueError: If it is no https address.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError(f"{url} is not an https address")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = f"{host}:{parts.port or HTTPS_PORT}"
        return cls(netloc, tls, login=login, base=parts.path.rstrip("/"), timeout_seconds=timeout_seconds)

    def send(self, method: str, path: str, body: object = None) -> Answer:
        """Make one request with a JSON body, or none.

        Raises:
            NoAnswerError: If nobody answers.
            UntrustedError: If the peer cannot prove who it is.
        """
        content = None if body is None else json.dumps(body).encode()
        return self.send_bytes(method, path, content, "application/json")

    def send_bytes(self, method: str, path: str, content: bytes | None, content_type: str) -> Answer:
        """Make one request with a body of any type; see `send`."""
        headers = {**self.headers, **({"Content-Type": content_type} if content is not None else {})}
        try:
            self.connection.request(method, self.base + path, content, headers)
            answer = self.connection.getresponse()
            return Answer(answer.status, bytes(answer.read()))
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise UntrustedError(f"its certificate is not accepted: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()  # the next request opens a new one
            raise NoAnswerError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Close the connection; a later request opens it again."""
        self.connection.close()
