"""Stand between the installer and one Ansible process, so that neither outlives the other.

Started by the runner as a program of its own (standard library only, it must start fast):
`guard.py RECORD PARENT COMMAND...`. It hands the command's output and exit code through.
When it is told to stop, or when the installer dies in whatever way, it ends the command
and every process that came from it, wherever that process has moved itself: Ansible's
workers open sessions of their own, so a signal to one process group would miss them.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
STOPPED: Final = 130
_WATCHED: Final = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
_GRACE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.2
_FOREVER: Final = 3600.0


def identity(pid: int) -> str:
    """What tells a process from a later one with the same number; empty when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    if fields[0] in {"Z", "X"}:
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return f"{boot}:{fields[19]}"


def descendants(pid: int) -> set[int]:
    """Every living process that came from this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = set(children.get(waiting.pop(), ())) - found
        found |= new
        waiting.extend(new)
    return found


def send(pids: set[int], number: signal.Signals) -> None:
    """Signal processes, some of which may have ended by themselves."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def reap(wanted: int) -> int | None:
    """Collect ended children; the exit code of the wanted one, if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == wanted:
            code = os.waitstatus_to_exitcode(status)


def end_all(child: int) -> None:
    """End the command in order, then whatever is left of it."""
    send({child}, signal.SIGINT)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and identity(child):
        signal.sigtimedwait(_WATCHED, _LOOK_SECONDS)
        reap(child)
    while left := descendants(os.getpid()):
        send(left, signal.SIGKILL)
        signal.sigtimedwait(_WATCHED, _LOOK_SECONDS)
        reap(child)


def main(arguments: list[str]) -> int:
    """Run the command to its end, or end it."""
    record, parent, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        return STOPPED
    # Started in the background of a script, we inherit an ignored SIGINT; the command must be able to obey it.
    obeyed = [signal.SIGINT, signal.SIGTERM]
    child = os.posix_spawnp(command[0], command, os.environ, setsigmask=[], setsigdef=obeyed)
    pids = {"guard": os.getpid(), "command": child}
    document = {name: {"pid": pid, "identity": identity(pid)} for name, pid in pids.items()}
    Path(record).write_text(json.dumps(document), encoding="utf-8")
    while True:
        received = signal.sigtimedwait(_WATCHED, _FOREVER)
        code = reap(child)
        if code is not None:
            return code if code >= 0 else 128 - code
        if received is not None and received.si_signo != signal.SIGCHLD:
            end_all(child)
            return STOPPED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
