"""The rehearsal's network: a namespace with one bridge, and no way out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.rehearsal.tools import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.rehearsal.model import Rehearsal

BRIDGE: Final = "br0"
_NAMESPACES: Final = Path("/run/netns")
_INOTIFY: Final = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_NEEDED: Final = 1024


def namespace_file(namespace: str) -> Path:
    """The file that keeps a namespace alive."""
    return _NAMESPACES / namespace


def ensure_network(rehearsal: Rehearsal) -> None:
    """Have the namespace with its bridge and our own address on it; repairs a half-made one."""
    namespace = rehearsal.namespace
    purpose = f"make the network {namespace}"
    file = namespace_file(namespace)
    if file.exists() and not file.is_mount():
        file.unlink()  # its creator was killed between making the file and the namespace
    if not file.exists():
        call(["ip", "netns", "add", namespace], purpose=purpose)
    ip = ["ip", "-netns", namespace]
    if BRIDGE not in call([*ip, "-oneline", "link", "show", "type", "bridge"], purpose=purpose):
        call([*ip, "link", "add", BRIDGE, "type", "bridge"], purpose=purpose)
    spec = rehearsal.spec
    address = f"{spec.controller_address}/{spec.prefix_length}"
    call([*ip, "address", "replace", address, "dev", BRIDGE], purpose=purpose)
    call([*ip, "link", "set", "dev", BRIDGE, "up"], purpose=purpose)
    call([*ip, "link", "set", "dev", "lo", "up"], purpose=purpose)


def remove_network(namespace: str) -> None:
    """Take the namespace away; the bridge and every interface in it go with it."""
    file = namespace_file(namespace)
    if file.is_mount():
        call(["ip", "netns", "delete", namespace], purpose=f"remove the network {namespace}")
    file.unlink(missing_ok=True)


def raise_inotify_limit(say: Callable[[str], None]) -> None:
    """Each host's systemd watches files; the kernel's usual 128 watchers are used up at once."""
    current = int(_INOTIFY.read_text(encoding="ascii"))
    if current < _INOTIFY_NEEDED:
        _INOTIFY.write_text(f"{_INOTIFY_NEEDED}\n", encoding="ascii")
        say(f"raised fs.inotify.max_user_instances on this machine from {current} to {_INOTIFY_NEEDED}")
