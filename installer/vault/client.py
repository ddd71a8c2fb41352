"""Give Ansible the vault password through a socket, so that it lies on no disk and in no argv."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.controller.files import sockets_home
from installer.vault.vault_client import SOCKET_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCRIPT: Final = Path(__file__).with_name("vault_client.py")
_BACKLOG: Final = 64
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
_STOP_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultClient:
    """What a child process needs to ask for the password.

    Attributes:
        script: Program for Ansible's `--vault-password-file`.
        environment: Variables the child must get; none is secret.
    """

    script: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def vault_client(password: str) -> Iterator[VaultClient]:
    """Serve the password to our own children for as long as the block runs.

    The socket is private, only processes of the same user get an answer, and when this process is
    killed nothing secret remains.
    """
    with (
        sockets_home("sitewright-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server,
    ):
        address = folder / "vault"
        server.bind(str(address))
        address.chmod(0o600)
        server.listen(_BACKLOG)
        thread = threading.Thread(target=_serve, args=(server, password.encode()), daemon=True)
        thread.start()
        try:
            yield VaultClient(script=_SCRIPT, environment={SOCKET_VARIABLE: str(address)})
        finally:
            with contextlib.suppress(OSError):  # already shut: then the thread is on its way out
                server.shutdown(socket.SHUT_RDWR)
            thread.join(_STOP_SECONDS)


def _serve(server: socket.socket, password: bytes) -> None:
    while True:
        try:
            connection, _address = server.accept()
        except OSError:
            return  # the socket was shut: the block is over
        with connection, contextlib.suppress(OSError):  # a client that went away gets no answer
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            _pid, uid, _gid = _CREDENTIALS.unpack(peer)
            if uid in (os.getuid(), 0):
                connection.sendall(password)
