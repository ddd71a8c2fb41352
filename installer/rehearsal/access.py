"""Logging into rehearsal hosts: keys, known hosts, and the proof that a login works."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.controller.logins import sharing, sockets_folder
from installer.errors import PlaybookError
from installer.rehearsal import hosts
from installer.rehearsal.model import KEY_EXCHANGE, Machine
from installer.rehearsal.tools import clean_environment, without_proxies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from installer.rehearsal.model import Rehearsal

_RUNNING: Final = "running"
# The key exchange counts; a processor in software takes its time for it.
_CONNECT_SECONDS: Final[Mapping[Machine, str]] = {Machine.CONTAINER: "5", Machine.VIRTUAL_MACHINE: "60"}
_SIGNALLED: Final = 128


def ensure_login_key(rehearsal: Rehearsal) -> str:
    """The public key of the login user; made once per rehearsal, readable by root alone."""
    private = rehearsal.private_key
    public = private.with_name(f"{private.name}.pub")
    private.parent.mkdir(mode=0o700, exist_ok=True)
    if not public.exists():  # written last, so both are there when it is
        key = hosts.make_key()
        private.unlink(missing_ok=True)
        private.touch(mode=0o600)
        private.write_bytes(key.private)
        public.write_text(f"{key.public}\n", encoding="ascii")
    return public.read_text(encoding="ascii").strip()


def write_known_hosts(rehearsal: Rehearsal) -> None:
    """Write down each host's own key, so that host key checking can stay on."""
    lines = [
        f"{name},{address} {hosts.host_key(rehearsal, name)}\n"
        for name, address in sorted(rehearsal.spec.hosts.items())
    ]
    new = rehearsal.known_hosts.with_suffix(".new")
    new.write_text("".join(lines), encoding="ascii")
    new.rename(rehearsal.known_hosts)


def wait_for_login(rehearsal: Rehearsal, name: str, *, fresh: bool, seconds: float) -> None:
    """Wait until a host lets the admin user in; a fresh one must also give it root and be healthy.

    Whether sudo of a host that runs asks for a password is preflight's to find out.

    Raises:
        PlaybookError: If it does not within the time.
    """
    deadline = time.monotonic() + seconds
    _wait_for_sshd(rehearsal, name, deadline)
    test = ["sudo", "-n", "systemctl", "is-system-running", "--wait"] if fresh else ["true"]
    while True:
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours
                [*rehearsal.enter_argv(), *ssh_argv(rehearsal, name), *test],
                check=False,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                env=clean_environment(),
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise PlaybookError(
                f"{name} does not finish booting within {seconds:.0f} s",
                hint=f"look with: ./install rehearse exec {name} -- systemctl list-jobs",
            ) from error
        if done.returncode == 0:
            return
        if fresh and done.stdout.strip() not in {"", _RUNNING}:
            raise PlaybookError(
                f"{name} booted, but its systemd is {done.stdout.strip()}",
                hint=f"look with: ./install rehearse exec {name} -- systemctl --failed",
            )
        if time.monotonic() > deadline:
            raise PlaybookError(
                f"{name} does not let {rehearsal.user} in: {done.stderr.strip()}",
                hint=f"read its console: {rehearsal.host_folder(name) / 'console.log'}",
            )
        time.sleep(0.2)


def ssh_argv(rehearsal: Rehearsal, name: str) -> list[str]:
    """The command that logs into a host, to be run inside the rehearsal's network."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": _CONNECT_SECONDS[rehearsal.spec.machine],
        "GlobalKnownHostsFile": "none",
        "IdentitiesOnly": "yes",
        "KexAlgorithms": KEY_EXCHANGE,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{rehearsal.known_hosts}"',
    }
    pairs = [argument for key, value in options.items() for argument in ("-o", f"{key}={value}")]
    destination = f"{rehearsal.user}@{rehearsal.spec.hosts[name]}"
    pairs += sharing(sockets_folder(rehearsal.folder))
    return ["ssh", "-F", "none", *pairs, "-i", str(rehearsal.private_key), "--", destination]


def options_from_outside(rehearsal: Rehearsal) -> list[str]:
    """Options that lead an ssh outside of the rehearsal's network to its hosts."""
    connect = str(Path(__file__).with_name("connect.py"))
    proxy = shlex.join([*rehearsal.enter_argv(), sys.executable, "-I", connect, "%h", "%p"])
    return ["-o", "ProxyUseFdpass=yes", "-o", f"ProxyCommand={proxy}", "-o", f"KexAlgorithms={KEY_EXCHANGE}"]


def exec_on(rehearsal: Rehearsal, name: str, argv: Sequence[str]) -> int:
    """Run a command as root on a host, with our own stdin, stdout and stderr; its exit code."""
    pid = hosts.require_leader(rehearsal, name)
    command = hosts.driver_of(rehearsal).root_argv(rehearsal, pid, ssh_argv(rehearsal, name), argv)
    return _pass_through(command, clean_environment())


def run_inside(rehearsal: Rehearsal, argv: Sequence[str]) -> int:
    """Run a command on this machine inside the rehearsal's network; its exit code."""
    return _pass_through([*rehearsal.enter_argv(), *argv], without_proxies())


def _pass_through(argv: list[str], environment: dict[str, str]) -> int:
    code = subprocess.run(argv, check=False, env=environment).returncode  # noqa: S603 - the operator's own command, no shell
    return code if code >= 0 else _SIGNALLED - code


def _wait_for_sshd(rehearsal: Rehearsal, name: str, deadline: float) -> None:
    driver = hosts.driver_of(rehearsal)
    while True:
        pid = hosts.leader(rehearsal, name)
        if pid is not None and driver.listens(rehearsal, name, pid):
            return
        if not hosts.is_supervised(rehearsal, name):
            raise PlaybookError(
                f"{name} does not boot; it last said: {hosts.console_tail(rehearsal, name)}",
                hint=f"read its console: {rehearsal.host_folder(name) / 'console.log'}",
            )
        if time.monotonic() > deadline:
            raise PlaybookError(
                f"{name} has no sshd after its boot; it last said: {hosts.console_tail(rehearsal, name)}",
                hint=f"read its console: {rehearsal.host_folder(name) / 'console.log'}",
            )
        time.sleep(0.05)
