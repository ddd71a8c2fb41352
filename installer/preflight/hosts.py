"""Ask all hosts at once over SSH: one probe each that stays for all questions, nothing installed, nothing left."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE: Final = Path(__file__).with_name("probe.py")
SSH_FAILED: Final = 255
NOT_FOUND: Final = 127
# Hosts that are asked at the same time: what a controller of two cores serves without making them wait.
MOST_AT_ONCE: Final = 10
_TIMEOUT_SECONDS: Final = 60.0
_END_SECONDS: Final = 5.0
STEP_FIXES: Final = {
    "ssh": "log in by hand with the inventory's user and key; check ansible_host, ansible_user and known_hosts",
    "sudo": "give the inventory's user sudo without a password",
    "python": "install python3 on the host",
    "probe": "this is a defect of the installer: report it with this line",
}
# The probe's source is the program; its orders come on the lines after it.
_LOADER: Final = (
    "import sys; n = int(sys.stdin.readline()); s = sys.stdin.read(n);"
    " g = {'__name__': 'probe'}; exec(compile(s, 'probe', 'exec'), g); g['main'](sys.stdin)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one host answered, or at which step it could not be asked.

    Attributes:
        host: Short name.
        data: The probe's answer, empty when there was none.
        step: `ssh`, `sudo`, `python` or `probe` when that failed, else empty.
        error: What was said then.
        asked: Controller's clock before and after, seconds since the epoch.
    """

    host: str
    data: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    error: str = ""
    asked: tuple[float, float] = field(default=(0.0, 0.0), compare=False)


class Probes:
    """A probe on every host, from the first question until the block ends.

    A probe ends with its standard input, so also when this process is killed. Sudo and Python start
    once on each host, not once for each question.
    """

    def __init__(self, ssh: Mapping[str, Sequence[str]]) -> None:
        """Remember how hosts are reached: host to the argv prefix that runs a command on it."""
        self._ssh = ssh
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

    def ask(self, orders: Mapping[str, Mapping[str, Any]], *, at_once: int = MOST_AT_ONCE) -> dict[str, Answer]:
        """Have every host with an order carry it out, a limited number of them at a time.

        Args:
            orders: Host to what its probe shall do.
            at_once: Most hosts that are at it at the same time.
        """
        with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(orders)))) as pool:
            answers = pool.map(lambda host: self._ask(host, orders[host]), orders)
            return {answer.host: answer for answer in answers}

    def _ask(self, host: str, order: Mapping[str, Any]) -> Answer:
        before = time.time()
        if host not in self._probes:
            self._probes[host] = _Probe(host, self._ssh[host])
        return replace(self._probes[host].ask(order), asked=(before, time.time()))


class _Probe:
    """The probe on one host; once it could not be asked, every further answer says the same."""

    def __init__(self, host: str, prefix: Sequence[str]) -> None:
        self._host = host
        self._failed: Answer | None = None
        self._late = False
        self._process = subprocess.Popen(  # noqa: S603 - argv is built from the inventory's own connection settings
            _argv(prefix), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._send(program())

    def ask(self, order: Mapping[str, Any]) -> Answer:
        """Send an order and wait for its answer."""
        if self._failed is not None:
            return self._failed
        self._send(f"{json.dumps(order)}\n")
        watch = threading.Timer(_TIMEOUT_SECONDS, self._give_up)
        watch.start()
        try:
            line = self._process.stdout.readline() if self._process.stdout is not None else ""
            with contextlib.suppress(ValueError):
                return Answer(host=self._host, data=json.loads(line))
            self._failed = self._why(line.strip())
            return self._failed
        finally:
            watch.cancel()

    def hang_up(self) -> None:
        """Close the input, which ends the probe."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def wait(self) -> None:
        """Wait for the end; kill the connection when it does not come."""
        try:
            self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _send(self, text: str) -> None:
        # A probe that is gone is noticed when its answer is read, with what it said at its end.
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(text)
                self._process.stdin.flush()

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    def _why(self, instead: str) -> Answer:
        """At which step it failed, from how the process ended, what it complained of and what it said instead."""
        self.hang_up()
        complaint = self._process.stderr.read().strip() if self._process.stderr is not None else ""
        code = self._process.wait()
        if self._late:
            return Answer(host=self._host, step="ssh", error=f"no answer within {_TIMEOUT_SECONDS:.0f} s")
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


def program() -> str:
    """What is sent on standard input before the first order: the length of the source and the source."""
    source = PROBE.read_text(encoding="utf-8")
    return f"{len(source)}\n{source}"


def _argv(prefix: Sequence[str]) -> list[str]:
    """Python as root on the host, reading its program from standard input."""
    return [*prefix, "sudo", "--non-interactive", "/usr/bin/python3", "-c", f'"{_LOADER}"']
