"""Many requests at once through the virtual address, then a few in peace; run inside a rehearsal's network.

Reads the login from standard input and prints how often each status was answered (a broken connection by its error),
and the statuses of the requests afterwards.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

PEACE_SECONDS: Final = 5
AFTERWARDS: Final = 10
TOGETHER_SECONDS: Final = 60


def main(address: str, name: str, authority: str, path: str, count: str) -> None:
    """Ask, and print what came."""
    login = base64.b64encode(sys.stdin.readline().strip().encode()).decode()
    headers = {"Host": name, "Authorization": f"Basic {login}"}
    tls = ssl.create_default_context(cafile=authority)
    # Everybody is connected before the first one asks: else a slow machine never has more than a few under way.
    connected = threading.Barrier(int(count))

    def ask(*, together: bool) -> str:
        try:
            with socket.create_connection((address, 443), timeout=30) as plain:
                connection = http.client.HTTPSConnection(name, timeout=30)
                connection.sock = tls.wrap_socket(plain, server_hostname=name)
                if together:
                    connected.wait(TOGETHER_SECONDS)
                connection.request("GET", path, headers=headers)
                return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException, threading.BrokenBarrierError) as error:
            return type(error).__name__

    with ThreadPoolExecutor(int(count)) as pool:
        answers = Counter(pool.map(lambda _: ask(together=True), range(int(count))))
    time.sleep(PEACE_SECONDS)
    sys.stdout.write(json.dumps({"answers": answers, "afterwards": [ask(together=False) for _ in range(AFTERWARDS)]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
