"""Ask all hosts at once over SSH: one connection each, nothing installed, nothing left."""

from __future__ import annotations

import contextlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROBE: Final = Path(__file__).with_name("probe.py")
SSH_FAILED: Final = 255
NOT_FOUND: Final = 127
LISTEN_SECONDS: Final = 60
_TIMEOUT_SECONDS: Final = 60.0
# The probe's source is the program; its order comes on the line after it.
_LOADER: Final = (
    "import sys; n = int(sys.stdin.readline()); s = sys.stdin.read(n); l = sys.stdin.readline();"
    " g = {'__name__': 'probe'}; exec(compile(s, 'probe', 'exec'), g); g['main'](l)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one host answered, or at which step it could not be asked.

    Attributes:
        host: Short name.
        data: The probe's answer, empty when there was none.
        step: `ssh`, `sudo`, `python` or `probe` when that failed, else empty.
        error: What was said then.
    """

    host: str
    data: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    error: str = ""


def ask(ssh: Mapping[str, Sequence[str]], orders: Mapping[str, Mapping[str, Any]]) -> dict[str, Answer]:
    """Run the probe once on every host with an order, side by side.

    Args:
        ssh: Host to the argv prefix that runs a command on it.
        orders: Host to what its probe shall do.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(orders))) as pool:
        answers = pool.map(lambda host: _ask(host, ssh[host], orders[host]), orders)
        return {answer.host: answer for answer in answers}


def _program(order: Mapping[str, Any]) -> str:
    """What is sent on standard input: length, source, order."""
    source = PROBE.read_text(encoding="utf-8")
    return f"{len(source)}\n{source}{json.dumps(order)}\n"


def _argv(prefix: Sequence[str]) -> list[str]:
    """Python as root on the host, reading its program from standard input."""
    return [*prefix, "sudo", "--non-interactive", "/usr/bin/python3", "-c", f'"{_LOADER}"']


def _ask(host: str, prefix: Sequence[str], order: Mapping[str, Any]) -> Answer:
    try:
        ended = subprocess.run(  # noqa: S603 - argv is built from the inventory's own connection settings
            _argv(prefix),
            input=_program(order),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(host=host, step="ssh", error=f"no answer within {_TIMEOUT_SECONDS:.0f} s")
    if ended.returncode == 0:
        return Answer(host=host, data=json.loads(ended.stdout))
    said = (ended.stderr.strip() or ended.stdout.strip() or f"exit code {ended.returncode}").splitlines()[-1]
    if ended.returncode == SSH_FAILED:
        step = "ssh"
    elif said.startswith("sudo:") and "command not found" not in said:
        step = "sudo"
    elif ended.returncode == NOT_FOUND or "command not found" in said:
        step = "python"
    else:
        step = "probe"
    return Answer(host=host, step=step, error=said)


@contextlib.contextmanager
def listening(
    ssh: Mapping[str, Sequence[str]], orders: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Mapping[str, Any]]]:
    """Hold listeners open on the hosts while the block runs.

    They end with their standard input, so also when this process is killed.

    Raises:
        OSError: If a host cannot open them.
    """
    with contextlib.ExitStack() as stack:
        processes: dict[str, subprocess.Popen[str]] = {}
        for host, order in orders.items():
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - as above
                    _argv(ssh[host]),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(_end, process)
            processes[host] = process
            if process.stdin is not None:
                process.stdin.write(_program({**order, "do": "listen", "seconds": LISTEN_SECONDS}))
                process.stdin.flush()
        ready: dict[str, Mapping[str, Any]] = {}
        for host, process in processes.items():
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line:
                said = process.stderr.read().strip() if process.stderr is not None else ""
                raise OSError(f"{host} cannot listen: {said[-300:]}")
            ready[host] = json.loads(line)
        yield ready


def _end(process: subprocess.Popen[str]) -> None:
    """Close the input, which ends the probe; kill the connection when it does not."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
