"""Runs on a host as root, sent over SSH: what nft has loaded, and what becomes of connections nobody needs.

Only the standard library. The argument says what to try; a JSON line is the answer. Nothing is changed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NFT = "/usr/sbin/nft"
TABLE = "sitewright"
LOADED = Path("/var/lib/sitewright/firewall/loaded.txt")
AT_BOOT = Path("/etc/systemd/system/sysinit.target.wants/nftables.service")
TIMER = "sitewright-firewall-revert.timer"
# A rule refuses at once; whoever has not been refused by then has got through to the network.
SECONDS = 0.7
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def run(*argv: str) -> str:
    """What a command says; empty when it fails."""
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 - ours, no shell
    return answer.stdout if answer.returncode == 0 else ""


def without_newcomers(listing: str) -> str:
    """The rules without those whom preflight lets in for a moment (see the module firewall_rules)."""
    return re.sub(r"(set newcomers \{[^}]*?)\n\s*elements = \{[^}]*\}", r"\1", listing)


def refused() -> int:
    """Packets the rules have not let out so far."""
    found = re.search(r"packets (\d+)", run(NFT, "list", "counter", "inet", TABLE, "denied_out"))
    return int(found[1]) if found else 0


def controller() -> str:
    """Address this very question came from, as sshd told one of our parents; empty when none knows."""
    process = os.getpid()
    while process > 1:
        for line in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
            if line.startswith(b"SSH_CONNECTION="):
                return line.decode().partition("=")[2].split()[0]
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        process = int(status.rpartition(")")[2].split()[1])
    return ""


def card_towards(address: str) -> str:
    """The network card that leads to an address; empty when none does."""
    found = re.search(r" dev (\S+)", run("ip", "-oneline", "route", "get", address)) if address else None
    return found[1] if found else ""


def begin(address: str, port: int, card: str) -> tuple[socket.socket, int]:
    """Begin to connect, and how that went so far.

    Where the kernel knows no way it would say so before any rule is asked. A socket that is bound to a card needs
    none: the kernel then takes everybody to be a neighbour there.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    code = sock.connect_ex((address, port))
    if code in NO_ROUTE and card:
        sock.close()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, card.encode())
        code = sock.connect_ex((address, port))
    return sock, code


def attempt(targets: list[tuple[str, int, str]], card: str = "") -> list[dict[str, Any]]:
    """Open all of them at the same time; of each `refused`, `no route`, `no answer`, or empty when it opened.

    Args:
        targets: Address, port and what is there.
        card: Network card that is asked where there is no route.
    """
    outcomes: list[dict[str, Any]] = [
        {"address": address, "port": port, "what": what, "error": "no answer"} for address, port, what in targets
    ]
    with selectors.DefaultSelector() as waiting:
        for outcome in outcomes:
            sock, code = begin(outcome["address"], outcome["port"], card)
            if code == errno.EINPROGRESS:
                waiting.register(sock, selectors.EVENT_WRITE, outcome)
            else:
                outcome["error"] = said(code)
                sock.close()
        end = time.monotonic() + SECONDS
        while waiting.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                sock = key.fileobj  # type: ignore[assignment] # what was registered is a socket
                key.data["error"] = said(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                waiting.unregister(sock)
                sock.close()
    return outcomes


def said(code: int) -> str:
    """A word for an error number."""
    if code in NO_ROUTE:
        return "no route"
    return {0: "", errno.ECONNREFUSED: "refused", errno.EPERM: "refused", errno.EACCES: "refused"}.get(
        code, os.strerror(code).lower()
    )


def main(order: dict[str, Any]) -> dict[str, Any]:
    """Look, try, and say."""
    listing = without_newcomers(run(NFT, "--stateless", "list", "table", "inet", TABLE))
    model = re.search(r'comment "model (\w*)"', listing)
    targets = [tuple(each) for each in order["targets"]]
    if asking := controller():
        targets += [(asking, port, "the controller") for port in order["controller_ports"]]
    before = refused()
    tried = attempt(targets, card_towards(asking))
    return {
        "loaded": bool(listing),
        "as_loaded": LOADED.is_file() and listing == LOADED.read_text(encoding="utf-8"),
        "model": model[1] if model else "",
        "policies": sorted(set(re.findall(r"hook \w+ priority \w+; policy (\w+);", listing))),
        "rules": len(re.findall(r"^\t\t.*\b(?:accept|drop|reject)\b", listing, re.MULTILINE)),
        "at_boot": AT_BOOT.is_symlink(),
        "armed": bool(run("systemctl", "is-active", TIMER).startswith("active")),
        "tried": tried,
        "refused": refused() - before,
    }


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(main(json.loads(sys.argv[1])))}\n")
