"""One login per host for all that an operation does there: SSH connections that are shared.

Every login costs a key exchange on both sides and a session of systemd's for the user. Preflight, Ansible and the
proof therefore use the same one; that took two seconds off a preflight of ten hosts on two cores.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

_SOCKET: Final = "[0-9a-f]" * 40  # ssh's %C
_SECONDS: Final = 60


def sockets_folder(state: Path) -> Path:
    """Where ssh keeps its sockets for a site: short, private, never shared by two sites.

    Args:
        state: Folder of the site's journal, which is its alone.
    """
    own = hashlib.sha256(str(state).encode()).hexdigest()[:8]
    if os.geteuid() == 0:
        return Path("/run/sitewright-ssh") / own
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (Path(runtime) if runtime else Path.home() / ".cache") / "sitewright-ssh" / own


def control_path(sockets: Path) -> str:
    """The option that makes ssh find the connections in this folder, which is made if need be."""
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"ControlPath={sockets}/%C"


def sharing(sockets: Path) -> list[str]:
    """Options of ssh: use the connection that is there, or make one that stays for a minute."""
    return ["-o", "ControlMaster=auto", "-o", f"ControlPersist={_SECONDS}s", "-o", control_path(sockets)]


def close_logins(sockets: Path) -> None:
    """End all connections of a folder and remove it; nothing happens when there is none."""
    if not sockets.is_dir():
        return
    for socket in sockets.glob(_SOCKET):
        command = ["ssh", "-q", "-O", "exit", "-o", f"ControlPath={socket}", "none"]
        subprocess.run(command, check=False, capture_output=True, timeout=10)  # noqa: S603 - no shell; our own socket
    shutil.rmtree(sockets, ignore_errors=True)
