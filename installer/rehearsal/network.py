"""The rehearsal's network: a namespace with one bridge, and no way out."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.errors import PlaybookError
from installer.rehearsal.tools import call

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.rehearsal.model import Rehearsal

BRIDGE: Final = "br0"
_NAMESPACES: Final = Path("/run/netns")
_INOTIFY: Final = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_NEEDED: Final = 1024
_POLITE_SECONDS: Final = 2.0
_END_SECONDS: Final = 10.0


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


def ensure_tap(rehearsal: Rehearsal, name: str) -> str:
    """Have the end of a virtual machine's network card on the bridge; its name. It ends with the namespace."""
    tap = f"vt-{hashlib.sha256(name.encode()).hexdigest()[:8]}"  # a host's name may be longer than an interface's
    purpose = f"give {name} a network card"
    ip = ["ip", "-netns", rehearsal.namespace]
    if tap not in call([*ip, "-oneline", "link", "show"], purpose=purpose):
        call([*ip, "tuntap", "add", "dev", tap, "mode", "tap"], purpose=purpose)
    call([*ip, "link", "set", "dev", tap, "master", BRIDGE, "up"], purpose=purpose)
    return tap


def remove_network(namespace: str) -> None:
    """Take the namespace away; the bridge and every interface in it go with it.

    What still runs in it on this machine (an orphaned run, ssh's shared connections, somebody's
    shell) would keep it alive without a name, so it is ended first.
    """
    file = namespace_file(namespace)
    if file.is_mount():
        _end_processes(file)
        call(["ip", "netns", "delete", namespace], purpose=f"remove the network {namespace}")
    file.unlink(missing_ok=True)


def _end_processes(namespace: Path) -> None:
    """End every process of this machine that is inside a namespace, first politely."""
    started = time.monotonic()
    while pids := _inside(namespace):
        waited = time.monotonic() - started
        if waited > _END_SECONDS:
            raise PlaybookError(
                f"processes inside the network {namespace.name} do not end: {', '.join(map(str, pids))}",
                hint="see `cat /proc/PID/stack` for what they wait, then run the same command again",
            )
        for pid in pids:
            _signal_if_inside(pid, namespace, signal.SIGTERM if waited < _POLITE_SECONDS else signal.SIGKILL)
        time.sleep(0.1)


def _inside(namespace: Path) -> list[int]:
    """Living processes whose network is this namespace."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if _is_inside(pid, namespace)]


def _is_inside(pid: int, namespace: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/net").samefile(namespace)
    except OSError:
        return False  # it ended meanwhile, or is a dead one that nobody has noticed yet


def _signal_if_inside(pid: int, namespace: Path, number: signal.Signals) -> None:
    """Signal a process that is held while it is looked at, so that it cannot be another one."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _is_inside(pid, namespace):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def raise_inotify_limit(say: Callable[[str], None]) -> None:
    """Each host's systemd watches files; the kernel's usual 128 watchers are used up at once."""
    current = int(_INOTIFY.read_text(encoding="ascii"))
    if current < _INOTIFY_NEEDED:
        _INOTIFY.write_text(f"{_INOTIFY_NEEDED}\n", encoding="ascii")
        say(f"raised fs.inotify.max_user_instances on this machine from {current} to {_INOTIFY_NEEDED}")
