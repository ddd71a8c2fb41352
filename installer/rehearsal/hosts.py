"""One throwaway host: prepare its disk, boot it, look at it, end it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from installer.errors import PlaybookError
from installer.rehearsal import cgroups
from installer.rehearsal.model import LOGIN_USER
from installer.rehearsal.network import BRIDGE, namespace_file
from installer.rehearsal.tools import call

if TYPE_CHECKING:
    from installer.rehearsal.model import Rehearsal

_LOGIN_ID: Final = 1000
# Runs in a mount namespace of its own: when the host ends, its mounts are gone by themselves.
_BOOT_SCRIPT: Final = """\
set -eu
group=$1 network=$2 bridge=$3 name=$4
echo $$ > "$group/cgroup.procs"
mount -t overlay overlay -o lowerdir=base,upperdir=upper,workdir=work root
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn
exec setsid --fork nsenter "--net=$network" systemd-nspawn --quiet --boot --directory=root \
    --machine="$name" --network-bridge="$bridge" --register=no --keep-unit --console=pipe \
    --settings=no --resolv-conf=off --timezone=off --link-journal=no \
    </dev/null >>console.log 2>&1
"""


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
    for part in ("upper", "work", "root"):
        (making / part).mkdir(parents=True)
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
    folder = rehearsal.host_folder(name)
    group = group_of(rehearsal, name)
    cgroups.kill_group(group)  # remains of a host whose supervisor or init was killed
    cgroups.create_group(group)
    network = str(namespace_file(rehearsal.namespace))
    call(
        [
            *("unshare", "--mount", "--propagation", "slave", "sh", "-c", _BOOT_SCRIPT, "boot"),
            *(str(group), network, BRIDGE, name),
        ],
        purpose=f"boot {name}",
        cwd=folder,
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1",
    )


def leader(rehearsal: Rehearsal, name: str) -> int | None:
    """The host's first process as seen from here; None when the host does not run."""
    for pid in cgroups.processes(group_of(rehearsal, name) / "payload" / "init.scope"):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()):
            return pid
    return None


def is_supervised(rehearsal: Rehearsal, name: str) -> bool:
    """Whether systemd-nspawn runs for the host; without it a host is only half there."""
    group = group_of(rehearsal, name)
    # It starts in the first and moves to the second: asked the other way round, it could slip past between the looks.
    return any(cgroups.members(part) for part in (group, group / "supervisor"))


def runs(rehearsal: Rehearsal, name: str) -> bool:
    """Whether the host has booted far enough to have a first process, and a supervisor."""
    return leader(rehearsal, name) is not None and bool(cgroups.members(group_of(rehearsal, name) / "supervisor"))


def power_off(rehearsal: Rehearsal, name: str, *, seconds: float = 120) -> None:
    """Shut a host down as its own `poweroff` would, and wait until it is off.

    Raises:
        PlaybookError: If it does not run, or does not end in time.
    """
    pid = require_leader(rehearsal, name)
    handle = os.pidfd_open(pid)
    try:
        if leader(rehearsal, name) == pid:  # still the same process now that it is held
            signal.pidfd_send_signal(handle, signal.SIGRTMIN + 4)
    finally:
        os.close(handle)
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
