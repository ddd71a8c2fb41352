"""Hosts that are containers of systemd-nspawn: up in two seconds, on the controller's kernel."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.rehearsal import cgroups
from installer.rehearsal.network import BRIDGE, namespace_file
from installer.rehearsal.tools import call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from installer.rehearsal.model import Rehearsal

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


def make_disk(folder: Path) -> None:
    """Nothing but the folders that the image and the host's own files are laid over each other with."""
    for part in ("work", "root"):
        (folder / part).mkdir()


def boot(rehearsal: Rehearsal, name: str, group: Path) -> None:
    """Start systemd-nspawn.

    Raises:
        PlaybookError: If this machine cannot mount or start it.
    """
    network = str(namespace_file(rehearsal.namespace))
    call(
        [
            *("unshare", "--mount", "--propagation", "slave", "sh", "-c", _BOOT_SCRIPT, "boot"),
            *(str(group), network, BRIDGE, name),
        ],
        purpose=f"boot {name}",
        cwd=rehearsal.host_folder(name),
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1",
    )


def leader(group: Path) -> int | None:
    """The host's first process as seen from here; None when the host does not run."""
    for pid in cgroups.processes(group / "payload" / "init.scope"):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines()):
            return pid
    return None


def is_supervised(group: Path) -> bool:
    """Whether systemd-nspawn runs for the host; without it a host is only half there."""
    # It starts in the first and moves to the second: asked the other way round, it could slip past between the looks.
    return any(cgroups.members(part) for part in (group, group / "supervisor"))


def runs(group: Path) -> bool:
    """Whether the host has booted far enough to have a first process, and a supervisor."""
    return leader(group) is not None and bool(cgroups.members(group / "supervisor"))


def press_power_button(_folder: Path, group: Path) -> None:
    """Tell the host's systemd."""
    pid = leader(group)
    if pid is None:
        return
    handle = os.pidfd_open(pid)
    try:
        if leader(group) == pid:  # still the same process now that it is held
            signal.pidfd_send_signal(handle, signal.SIGRTMIN + 4)
    finally:
        os.close(handle)


def listens(_rehearsal: Rehearsal, _name: str, pid: int) -> bool:
    """Look for the file sshd writes when it listens; cheaper than knocking at its port."""
    return Path(f"/proc/{pid}/root/run/sshd.pid").exists()


def root_argv(_rehearsal: Rehearsal, pid: int, _login: Sequence[str], argv: Sequence[str]) -> list[str]:
    """Enter the host's namespaces, whatever its sshd and its firewall are like."""
    return ["nsenter", f"--target={pid}", "--all", "--", *argv]
