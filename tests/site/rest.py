"""One call of the engine's REST API through the virtual address, run inside a rehearsal's network by plain Python.

Reads `login`, `method`, `path` and `body` as one JSON object from its standard input and prints the answer; an answer
that is an error ends it with 1.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import sys
from typing import Any, Final

PATIENCE_SECONDS: Final = 30


def ask(address: str, name: str, authority: str, question: dict[str, Any]) -> str:
    """The answer's content.

    Args:
        address: Where the name is.
        name: The site's public name.
        authority: File of the authority that signed its certificate.
        question: What standard input said.

    Raises:
        SystemExit: If the answer is an error.
    """
    token = base64.b64encode(question["login"].encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    tls = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection(name, timeout=PATIENCE_SECONDS, context=tls)
    plain = socket.create_connection((address, 443), PATIENCE_SECONDS)
    connection.sock = tls.wrap_socket(plain, server_hostname=name)
    content = None if question["body"] is None else json.dumps(question["body"])
    connection.request(question["method"], question["path"], content, headers)
    answer = connection.getresponse()
    said = answer.read().decode()
    if answer.status >= http.client.BAD_REQUEST:
        raise SystemExit(f"{question['method']} {question['path']}: {answer.status} {said[:400]}")
    return said


if __name__ == "__main__":
    sys.stdout.write(ask(sys.argv[1], sys.argv[2], sys.argv[3], json.load(sys.stdin)) or "null")
