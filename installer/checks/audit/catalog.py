"""The parts of an audit, and the ids of all its checks with one sentence each, as docs/checks.md shows them."""

from __future__ import annotations

from typing import Final

from installer.checks.audit import exposure, files, lynis, packages, postgresql, sockets, ssh, tls

# The quick ones first; testssl.sh and lynis take most of the time.
PARTS: Final = (
    packages.PART,
    sockets.PART,
    exposure.PART,
    files.PART,
    postgresql.PART,
    ssh.PART,
    tls.PART,
    lynis.PART,
)
_ANSWERS: Final = "a host can be asked, and what a program of others said of it can be understood"


def checks() -> dict[str, str]:
    """Every id that only an audit shows; a waiver may name each."""
    own = {f"audit.{check}": sentence for part in PARTS for check, sentence in part.checks.items()}
    return dict(sorted((own | {"audit.answers": _ANSWERS}).items()))
