"""One throwaway host: prepare its disk, boot it, look at it, end it."""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from installer.controller.logins import close_logins, sockets_folder
from installer.errors import PlaybookError
from installer.rehearsal import cgroups, containers, virtual_machines
from installer.rehearsal.model import LOGIN_USER, Machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from installer.rehearsal.driver import Driver
    from installer.rehearsal.model import Rehearsal

_LOGIN_ID: Final = 1000
_DRIVERS: Final[Mapping[Machine, Driver]] = {
    Machine.CONTAINER: containers,
    Machine.VIRTUAL_MACHINE: virtual_machines,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """An SSH key in the formats OpenSSH reads."""

    private: bytes
    public: str


def make_key() -> KeyPair:
    """A fresh Ed25519 key."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return KeyPair(private=private, public=public.decode())


def group_of(rehearsal: Rehearsal, name: str) -> Path:
    """The control group everything of a host runs in."""
    return cgroups.site_group(rehearsal.spec.site) / name


def prepare_host(rehearsal: Rehearsal, name: str, *, image: Path, login_key: str) -> None:
    """Lay down a host's own files over the image, once; a half-prepared disk is made anew."""
    folder = rehearsal.host_folder(name)
    if folder.is_dir():
        return
    making = folder.with_name(f".{name}.making")
    if making.exists():
        shutil.rmtree(making)
    making.mkdir(parents=True)
    (making / "base").symlink_to(image)
    spec = rehearsal.spec
    address = spec.hosts[name]
    key = make_key()
    upper = making / "upper"
    _write(upper / "etc/hostname", f"{name}\n")
    _write(upper / "etc/hosts", f"127.0.0.1 localhost\n{address} {name}\n")
    _write(upper / "etc/rehearsal-address", f"ADDRESS={address}/{spec.prefix_length}\n")
    _write(upper / "etc/machine-id", f"{secrets.token_hex(16)}\n", mode=0o444)
    _write(upper / "etc/ssh/ssh_host_ed25519_key", key.private.decode(), mode=0o600)
    _write(upper / "etc/ssh/ssh_host_ed25519_key.pub", f"{key.public}\n")
    ssh = upper / "home" / LOGIN_USER / ".ssh"
    _write(ssh / "authorized_keys", f"{login_key} {LOGIN_USER}\n", mode=0o600)
    for path in (upper, *upper.rglob("*")):
        if path.is_dir():  # whatever the operator's umask is, a host's folders are readable
            path.chmod(0o700 if path in {ssh, ssh.parent} else 0o755)
    for path in (ssh.parent, ssh, ssh / "authorized_keys"):
        shutil.chown(path, _LOGIN_ID, _LOGIN_ID)
    driver_of(rehearsal).make_disk(making)
    making.rename(folder)


def host_key(rehearsal: Rehearsal, name: str) -> str:
    """The key a host proves itself with."""
    path = rehearsal.host_folder(name) / "upper/etc/ssh/ssh_host_ed25519_key.pub"
    return path.read_text(encoding="ascii").strip()


def boot_host(rehearsal: Rehearsal, name: str) -> None:
    """Switch a prepared host on and return; it is not ready yet.

    Raises:
        PlaybookError: If this machine cannot mount or start it.
    """
    group = group_of(rehearsal, name)
    cgroups.kill_group(group)  # remains of a host whose supervisor or init was killed
    cgroups.create_group(group)
    driver_of(rehearsal).boot(rehearsal, name, group)


def driver_of(rehearsal: Rehearsal) -> Driver:
    """What the rehearsal's kind of host can do."""
    return _DRIVERS[rehearsal.spec.machine]


def leader(rehearsal: Rehearsal, name: str) -> int | None:
    """The process on this machine whose end is the host's; None when the host does not run."""
    return driver_of(rehearsal).leader(group_of(rehearsal, name))


def is_supervised(rehearsal: Rehearsal, name: str) -> bool:
    """Whether what keeps a host running is there."""
    return driver_of(rehearsal).is_supervised(group_of(rehearsal, name))


def runs(rehearsal: Rehearsal, name: str) -> bool:
    """Whether a host runs, with all that keeps it running."""
    return driver_of(rehearsal).runs(group_of(rehearsal, name))


def power_off(rehearsal: Rehearsal, name: str, *, seconds: float = 240) -> None:
    """Shut a host down as its own `poweroff` would, and wait until it is off.

    Raises:
        PlaybookError: If it does not run, or does not end in time.
    """
    require_leader(rehearsal, name)
    driver_of(rehearsal).press_power_button(rehearsal.host_folder(name), group_of(rehearsal, name))
    deadline = time.monotonic() + seconds
    while is_supervised(rehearsal, name):
        if time.monotonic() > deadline:
            raise PlaybookError(
                f"{name} does not shut down; it last said: {console_tail(rehearsal, name)}",
                hint="cut its power instead, or wait and look again",
            )
        time.sleep(0.05)


def cut_power(rehearsal: Rehearsal, name: str) -> None:
    """End a host as a pulled plug does: at once, with nothing written down."""
    require_leader(rehearsal, name)
    cgroups.kill_group(group_of(rehearsal, name))
    close_logins(sockets_folder(rehearsal.folder))  # one that is shared would wait for an answer of the dead host


def require_leader(rehearsal: Rehearsal, name: str) -> int:
    """The host's first process.

    Raises:
        PlaybookError: If the host does not run.
    """
    rehearsal.host_folder(name)  # refuses a name that is none
    pid = leader(rehearsal, name)
    if pid is None:
        raise PlaybookError(
            f"{name} does not run",
            hint=f"boot it with: ./install rehearse up --inventory {rehearsal.spec.site}",
        )
    return pid


def console_tail(rehearsal: Rehearsal, name: str) -> str:
    """The last thing a host said on its console."""
    path = rehearsal.host_folder(name) / "console.log"
    if not path.exists():
        return "nothing"
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def _write(path: Path, content: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)


def is_fresh(rehearsal: Rehearsal, name: str) -> bool:
    """Whether a host was never booted before."""
    return not (rehearsal.host_folder(name) / "console.log").exists()
