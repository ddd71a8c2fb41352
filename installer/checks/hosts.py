"""Ask all hosts at once over SSH: one probe each that stays for all questions, nothing installed, nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SSH_FAILED: Final = 255
NOT_FOUND: Final = 127
# Hosts that are asked at the same time: what a controller of two cores serves without making them wait.
MOST_AT_ONCE: Final = 10
TIMEOUT_SECONDS: Final = 60.0
_END_SECONDS: Final = 5.0
_CHUNK_BYTES: Final = 65536
STEP_FIXES: Final = {
    "ssh": "log in by hand with the inventory's user and key; check ansible_host, ansible_user and known_hosts",
    "sudo": "give the login sudo without a password, or say its password: vault_become_password in the vault"
    " or --become-password-file FILE (docs/site.md)",
    "password": "correct vault_become_password in the vault, or what --become-password-file gives",
    "python": "install python3 on the host",
    "probe": "this is a defect of the installer: report it with this line",
}
_READY: Final = b"sitewright-probe-ready"
_PROMPT: Final = "sitewright-sudo-password:"
# Some of PAM's modules ask in words of their own instead of those that sudo is told to use.
_ASKED: Final = re.compile(rb"(" + _PROMPT.encode() + rb"|[Pp]assword[^\n]*: ?)\Z")
# The probe's source is the program; it comes when sudo has let Python start, its orders on the lines after it.
_LOADER: Final = (
    f"import sys; print({_READY.decode()!r}, flush=True); n = int(sys.stdin.readline()); s = sys.stdin.read(n);"
    " g = {'__name__': 'probe'}; exec(compile(s, 'probe', 'exec'), g); g['main'](sys.stdin)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one host answered, or at which step it could not be asked.

    Attributes:
        host: Short name.
        data: The probe's answer, empty when there was none.
        step: `ssh`, `sudo`, `password` (sudo's), `python` or `probe` when that failed, else empty.
        error: What was said then.
        asked: Controller's clock before and after, seconds since the epoch.
    """

    host: str
    data: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    error: str = ""
    asked: tuple[float, float] = field(default=(0.0, 0.0), compare=False)

    @property
    def check(self) -> str:
        """Id of the check that this failure is of."""
        return {"probe": "connection.python", "password": "connection.sudo"}.get(self.step, f"connection.{self.step}")


class Probes:
    """A probe on every host, from the first question until the block ends.

    A probe ends with its standard input, so also when this process is killed. Sudo and Python start
    once on each host, not once for each question.
    """

    def __init__(
        self, ssh: Mapping[str, Sequence[str]], probe: Path, *, password: Callable[[], str | None] = lambda: None
    ) -> None:
        """Remember how hosts are reached.

        Args:
            ssh: Host to the argv prefix that runs a command on it.
            probe: The program; its function `main` is given the stream of orders.
            password: Gives sudo's password, None when there is none; asked only when a host's sudo asks.
        """
        self._ssh = ssh
        self._program = program(probe)
        self._password = password
        self._probes: dict[str, _Probe] = {}

    def __enter__(self) -> Self:
        """The probes start when they are first asked."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every probe."""
        for probe in self._probes.values():
            probe.hang_up()
        for probe in self._probes.values():
            probe.wait()

    def ask(
        self,
        orders: Mapping[str, Mapping[str, Any]],
        *,
        at_once: int = MOST_AT_ONCE,
        seconds: float = TIMEOUT_SECONDS,
    ) -> dict[str, Answer]:
        """Have every host with an order carry it out, a limited number of them at a time.

        Args:
            orders: Host to what its probe shall do.
            at_once: Most hosts that are at it at the same time.
            seconds: Longest a host may take; one that takes longer is not asked again.
        """
        with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(orders)))) as pool:
            answers = pool.map(lambda host: self._ask(host, orders[host], seconds), orders)
            return {answer.host: answer for answer in answers}

    def _ask(self, host: str, order: Mapping[str, Any], seconds: float) -> Answer:
        before = time.time()
        if host not in self._probes:
            self._probes[host] = _Probe(host, self._ssh[host], self._program, self._password)
        return replace(self._probes[host].ask(order, seconds), asked=(before, time.time()))


class _Probe:
    """The probe on one host; once it could not be asked, every further answer says the same."""

    def __init__(self, host: str, prefix: Sequence[str], source: bytes, password: Callable[[], str | None]) -> None:
        self._host = host
        self._source = source
        self._password = password
        self._failed: Answer | None = None
        self._begun = False
        self._late = 0.0
        self._complaint = b""
        self._process = subprocess.Popen(  # noqa: S603 - argv is built from the inventory's own connection settings
            _argv(prefix), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._input, self._output, self._errors = map(
            _there, (self._process.stdin, self._process.stdout, self._process.stderr)
        )

    def ask(self, order: Mapping[str, Any], seconds: float) -> Answer:
        """Send an order and wait for its answer, at most some seconds."""
        watch = threading.Timer(seconds, self._give_up, [seconds])
        watch.start()
        try:
            if not self._begun and self._failed is None:
                self._begun = True
                self._failed = self._begin()
            if self._failed is not None:
                return self._failed
            self._send(f"{json.dumps(order)}\n".encode())
            line = self._read_line()
            with contextlib.suppress(ValueError):
                return Answer(host=self._host, data=json.loads(line))
            self._failed = self._why(line)
            return self._failed
        finally:
            watch.cancel()

    def _begin(self) -> Answer | None:
        """Get past sudo and start the probe; None when it runs, else why not.

        The password is sent only when it is asked for, because whatever sudo does not read, the probe would.
        """
        said, told = b"", False
        with selectors.DefaultSelector() as streams:
            streams.register(self._output, selectors.EVENT_READ)
            streams.register(self._errors, selectors.EVENT_READ)
            while b"\n" not in said:
                ready = [key.fileobj for key, _ in streams.select()]
                if self._output in ready:
                    if not (some := os.read(self._output.fileno(), _CHUNK_BYTES)):
                        break
                    said += some
                if self._errors in ready:
                    if not (some := os.read(self._errors.fileno(), _CHUNK_BYTES)):
                        streams.unregister(self._errors)
                    self._complaint += some
                if _ASKED.search(self._complaint):
                    password = None if told else self._password()
                    if password is None:
                        return self._locked_out("password" if told else "sudo")
                    told, self._complaint = True, b""
                    self._send(f"{password}\n".encode())
        if said.strip() != _READY:
            return self._why(said)
        self._send(self._source)
        return None

    def _locked_out(self, step: str) -> Answer:
        """Sudo wants a password that nobody has, or another one than was sent; it is not let to guess again."""
        self.hang_up()
        error = "sudo refuses the password that was given" if step == "password" else "sudo asks for a password"
        return Answer(host=self._host, step=step, error=error)

    def _read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (some := os.read(self._output.fileno(), _CHUNK_BYTES)):
            line += some
        return line

    def hang_up(self) -> None:
        """Close the input, which ends the probe."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def wait(self) -> None:
        """Wait for the end; kill the connection when it does not come."""
        try:
            self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()

    def _send(self, data: bytes) -> None:
        # A probe that is gone is noticed when its answer is read, with what it said at its end.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[self._input.write(data) or 0 :]

    def _give_up(self, seconds: float) -> None:
        self._late = seconds
        self._process.kill()

    def _why(self, line: bytes) -> Answer:
        """At which step it failed, from how the process ended, what it complained of and what it said instead."""
        self.hang_up()
        complaint = (self._complaint + self._errors.read()).decode(errors="replace").strip()
        instead = line.decode(errors="replace").strip()
        code = self._process.wait()
        if self._late:
            return Answer(host=self._host, step="ssh", error=f"no answer within {self._late:.0f} s")
        said = (complaint or instead or f"exit code {code}").splitlines()[-1]
        # A login that speaks for itself, as nologin and some profiles do, is for whoever can log in by hand.
        if code == SSH_FAILED or (instead and not complaint):
            step = "ssh"
        elif said.startswith("sudo:") and "command not found" not in said:
            step = "sudo"
        elif code == NOT_FOUND or "command not found" in said:
            step = "python"
        else:
            step = "probe"
        return Answer(host=self._host, step=step, error=said)


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    """A pipe that was asked for, as what it is."""
    if stream is None:
        raise RuntimeError("a pipe that was asked for is missing")
    return stream


def program(probe: Path) -> bytes:
    """What is sent on standard input before the first order: the length of the source and the source."""
    source = probe.read_text(encoding="utf-8")
    return f"{len(source)}\n{source}".encode()


def _argv(prefix: Sequence[str]) -> list[str]:
    """Python as root on the host, reading its program from standard input; sudo reads its password there as well."""
    return [*prefix, "sudo", "-S", "-p", _PROMPT, "/usr/bin/python3", "-c", f'"{_LOADER}"']
