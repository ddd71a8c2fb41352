"""A user who asks once every 100 ms through the virtual address, run inside a rehearsal's network by plain Python.

Prints one JSON object when its standard input ends: how many requests there were, which failed and how, the longest
stretch in which none succeeded, and the slowest answer. It waits for no answer before it asks again. Where a process is
named, every tenth request starts an instance of it, with the business keys `load-1`, `load-2` and so on.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

EVERY_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 10
ONE_STARTS_OF: Final = 10


class User:
    """Asks, and keeps account of it."""

    def __init__(self, address: str, name: str, authority: str, login: str, path: str, process: str) -> None:
        """Remember whom to ask and as whom."""
        self.address, self.name, self.path, self.process = address, name, path, process
        self.tls = ssl.create_default_context(cafile=authority)
        self.headers = {"Host": name, "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        self.answers: list[tuple[float, float, str]] = []  # begin, end, what went wrong
        self.started = 0
        self.lock = threading.Lock()

    def ask(self, number: int) -> None:
        """One request over a connection of its own, as a browser that comes for the first time."""
        starts = bool(self.process) and number % ONE_STARTS_OF == 0
        begin = time.monotonic()
        wrong = ""
        try:
            connection = http.client.HTTPSConnection(self.name, timeout=PATIENCE_SECONDS, context=self.tls)
            connection._create_connection = lambda _peer, timeout, source: _connect(self.address, timeout, source)  # type: ignore[attr-defined] # the name is for TLS, the address is given
            if starts:
                headers = {**self.headers, "Content-Type": "application/json"}
                path = f"/engine-rest/process-definition/key/{self.process}/start"
                connection.request("POST", path, _instance(number // ONE_STARTS_OF), headers)
            else:
                connection.request("GET", self.path, headers=self.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.client.OK:
                wrong = str(answer.status)
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            wrong = type(error).__name__
        with self.lock:
            self.answers.append((begin, time.monotonic(), wrong))
            self.started += starts and not wrong

    def account(self) -> dict[str, object]:
        """What became of the requests."""
        failed: dict[str, int] = {}
        for _, _, wrong in self.answers:
            if wrong:
                failed[wrong] = failed.get(wrong, 0) + 1
        good = sorted(begin for begin, _, wrong in self.answers if not wrong)
        gaps = [later - earlier for earlier, later in pairwise(good)]
        return {
            "requests": len(self.answers),
            "started": self.started,
            "failed": failed,
            "longest_gap_seconds": round(max(gaps, default=0.0), 1),
            "slowest_seconds": round(max((end - begin for begin, end, _ in self.answers), default=0.0), 1),
        }


def _instance(number: int) -> bytes:
    """A hospital stay."""
    texts = {"patientId": f"load-{number}", "memberId": "LOAD-1", "payer": "STATUTORY"}
    texts |= {"careType": "EMERGENCY", "diagnosisGroup": "CARDIAC"}
    variables: dict[str, object] = {name: {"type": "String", "value": text} for name, text in texts.items()}
    variables["chargeCents"] = {"type": "Integer", "value": 120000}
    return json.dumps({"businessKey": f"load-{number}", "variables": variables}).encode()


def _connect(address: str, timeout: float, source: object) -> object:
    import socket  # noqa: PLC0415 - one line away from where it is used

    return socket.create_connection((address, 443), timeout, source)  # type: ignore[arg-type] # None, as http.client gives it


def main() -> None:
    """Ask until standard input ends; its first line is the login, `user:password`."""
    address, name, authority, path, *process = sys.argv[1:]
    user = User(address, name, authority, sys.stdin.readline().strip(), path, "".join(process))
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    threads: list[threading.Thread] = []
    following = time.monotonic()
    while not ended.wait(max(0.0, following - time.monotonic())):
        following += EVERY_SECONDS
        threads.append(threading.Thread(target=user.ask, args=(len(threads) + 1,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(user.account()) + "\n")


if __name__ == "__main__":
    assert Path(sys.argv[3]).is_file()
    main()
