"""memcached asked about itself."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from installer.report import CheckResult, passed_if

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject

_TIMEOUT_SECONDS: Final = 5.0


def check(subject: Subject) -> list[CheckResult]:
    """Every node lets the user in and says its version."""
    return [_answers(subject, host) for host in subject.group("memcached")]


def _answers(subject: Subject, host: Host) -> CheckResult:
    credentials = f"sitewright {subject.secrets['memcached_password']}"
    port = subject.setting("memcached_port")
    with socket.create_connection((host.address, port), timeout=_TIMEOUT_SECONDS) as connection:
        # A file of users makes the first `set` the login (memcached's protocol.txt, Authentication).
        connection.sendall(f"set login 0 0 {len(credentials)}\r\n{credentials}\r\nversion\r\n".encode())
        lines = connection.makefile("r", encoding="ascii", newline="\r\n")
        login, version = lines.readline().strip(), lines.readline().strip()
    return passed_if(
        login == "STORED" and version.startswith("VERSION "),
        check="memcached.answers",
        host=host.name,
        measured=f"login {login}, {version}",
        wanted="login STORED, a version",
        fix="run the installation again, it renews the user's password",
    )
