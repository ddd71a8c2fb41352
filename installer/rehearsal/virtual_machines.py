"""Hosts that are virtual machines of QEMU, with a kernel of their own: what a container cannot show is real here."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.errors import PlaybookError
from installer.rehearsal import cgroups
from installer.rehearsal.accelerator import QEMU, Accelerator, accelerator, kernel_of
from installer.rehearsal.network import ensure_tap, namespace_file
from installer.rehearsal.tools import call, clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from installer.rehearsal.model import Rehearsal

_DISK_GB: Final = 32  # of which only what is written takes room
_DISK_SECONDS: Final = 300
# In a mount namespace of its own, as a container's boot: the mount ends with the program.
_DISK_SCRIPT: Final = """\
set -eu
mkdir work root
mount -t overlay overlay -o lowerdir=base,upperdir=upper,workdir=work root
truncate --size="$1" disk
mkfs.ext4 -q -d root -E assume_storage_prezeroed=1,root_owner=0:0 disk
"""
_BOOT_SCRIPT: Final = """\
set -eu
group=$1 network=$2; shift 2
echo $$ > "$group/cgroup.procs"
exec setsid --fork nsenter "--net=$network" "$@" </dev/null >>console.log 2>&1
"""
_KERNEL_LINE: Final = "root=/dev/vda rw console=ttyS0"
_PROCESS: Final = "qemu-system-x86"  # as the kernel shortens it
_QMP: Final = "qmp"
_QMP_SECONDS: Final = 10.0
_KNOCK: Final = 'exec 3<>"/dev/tcp/$1/22"'
_KNOCK_SECONDS: Final = 5


def make_disk(folder: Path) -> None:
    """Make a file system of the image and the host's own files, in a file that takes the room of what is in it.

    Raises:
        PlaybookError: If it cannot be made.
    """
    call(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _DISK_SCRIPT, "disk", f"{_DISK_GB}G"],
        purpose="make a disk",
        cwd=folder,
        seconds=_DISK_SECONDS,
    )


def boot(rehearsal: Rehearsal, name: str, group: Path) -> None:
    """Start QEMU.

    Raises:
        PlaybookError: If this machine cannot start it.
    """
    folder = rehearsal.host_folder(name)
    tap = ensure_tap(rehearsal, name)
    kernel = kernel_of(folder / "base")
    chosen = accelerator(kernel, lambda _line: None)  # `up` has said it
    call(
        [
            *("sh", "-c", _BOOT_SCRIPT, "boot", str(group), str(namespace_file(rehearsal.namespace))),
            *qemu_argv(rehearsal, name, tap=tap, kernel=kernel, accelerator=chosen),
        ],
        purpose=f"boot {name}",
        cwd=folder,
    )


def qemu_argv(rehearsal: Rehearsal, name: str, *, tap: str, kernel: Path, accelerator: Accelerator) -> list[str]:
    """The virtual machine: no firmware's choice of a disk, no display, nothing on the controller but its own files.

    Relative paths are those of the host's folder.
    """
    spec = rehearsal.spec
    initrd = kernel.with_name(kernel.name.replace("vmlinuz", "initrd.img", 1))
    return [
        *(QEMU, "-name", name, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", "q35", *accelerator.arguments),
        *("-m", str(spec.memory_mb), "-smp", str(spec.cores)),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", _KERNEL_LINE),
        # What the controller's crash would lose can be made again; the host's own crash loses nothing.
        *("-drive", "file=disk,format=raw,if=virtio,cache=unsafe,discard=unmap"),
        *("-netdev", f"tap,id=card,ifname={tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=card,mac={_hardware_address(spec.site, name)},romfile="),
        *("-device", "virtio-rng-pci", "-rtc", "base=utc,clock=host"),
        *("-device", "i6300esb", "-action", "watchdog=reset"),
        *("-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"),
        *("-qmp", f"unix:{_QMP},server=on,wait=off"),
    ]


def leader(group: Path) -> int | None:
    """QEMU's process, which is the host's whole life; None when the host does not run."""
    for pid in cgroups.members(group):
        try:
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == _PROCESS:
                return pid
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def is_supervised(group: Path) -> bool:
    """Whether QEMU runs, or is just being started."""
    return bool(cgroups.members(group))


def runs(group: Path) -> bool:
    """Whether QEMU runs."""
    return leader(group) is not None


def press_power_button(folder: Path, _group: Path) -> None:
    """Press it; the host's systemd-logind does what it does at a server.

    Raises:
        PlaybookError: If QEMU does not take it.
    """
    # The path of a socket may have 107 characters, a checkout's more.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_QMP_SECONDS)
            connection.connect(f"/proc/self/fd/{handle}/{_QMP}")
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.readline()  # who is there
                for command in ("qmp_capabilities", "system_powerdown"):
                    stream.write(json.dumps({"execute": command}) + "\n")
                    stream.flush()
                    _wait_for_answer(stream, command)
    except OSError as error:
        raise PlaybookError(
            f"the virtual machine in {folder} does not take a press of its power button: {error}",
            hint="cut its power instead, or wait and try again",
        ) from error
    finally:
        os.close(handle)


def listens(rehearsal: Rehearsal, name: str, _pid: int) -> bool:
    """Knock at sshd's port from inside the network."""
    argv = [*rehearsal.enter_argv(), "bash", "-c", _KNOCK, "knock", rehearsal.spec.hosts[name]]
    try:
        done = subprocess.run(  # noqa: S603 - no operator's text in it
            argv, check=False, capture_output=True, env=clean_environment(), timeout=_KNOCK_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def root_argv(rehearsal: Rehearsal, _pid: int, login: Sequence[str], argv: Sequence[str]) -> list[str]:
    """Log in as an administrator does, and become root."""
    ssh, *options = login
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    return [*rehearsal.enter_argv(), ssh, *terminal, *options, "sudo", "-n", "--", shlex.join(argv)]


def _wait_for_answer(stream: TextIO, command: str) -> None:
    """Read over the events that come between."""
    while line := stream.readline():
        said = json.loads(line)
        if "error" in said:
            raise OSError(f"QEMU refuses {command}: {said['error'].get('desc')}")
        if "return" in said:
            return
    raise OSError(f"QEMU ended before it answered {command}")


def _hardware_address(site: str, name: str) -> str:
    """An address of the range that is kept for QEMU, the same at every boot."""
    digest = hashlib.sha256(f"{site}/{name}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, 0x00, *digest[:3]))
