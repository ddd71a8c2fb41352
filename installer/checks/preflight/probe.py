"""Runs on a host, sent over SSH's standard input: measures and changes nothing that stays.

Only the standard library, because a bare host has nothing else. Each JSON line on standard input
says what to do, a JSON line on standard output is the answer. The probe ends with its input, and when
no order came for a while, so that no listener is left behind when the controller dies.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

FSYNC_BYTES = 2300  # etcd's own write size, as in its disk guidance
FSYNC_COUNT = 120
FSYNC_SECONDS = 2.0
# The kernel repeats its first packet after 1, 3 and 7 s, so a busy peer is asked four times.
CONNECT_SECONDS = 8.0
GREETING = b"sitewright"
# How long each try waits for an echo, in seconds: a busy host is late, a lost packet is sent again.
ECHO_SECONDS = (0.5, 1.0, 2.0, 2.0, 3.0)
REST_SECONDS = 0.1
USUAL_MTU_BYTES = (9000, 1500, 1492, 1450, 1400, 1280, 576)
HEADER_BYTES = 28  # IPv4 and UDP
MISSING_TIMES = 3
AT_ONCE = 32
# Between two orders a probe waits until every other host has carried out its own.
LONGEST_SILENCE_SECONDS = 300
NFT = "/usr/sbin/nft"
ADMITTED_SECONDS = 120
TIME_DAEMONS = ("chrony.service", "systemd-timesyncd.service", "ntpsec.service", "openntpd.service")


def existing_parent(path: str) -> Path:
    """The nearest folder of a path that is there already."""
    folder = Path(path)
    while not folder.is_dir():
        folder = folder.parent
    return folder


def command(*argv: str) -> str:
    """Output of a command, empty when it fails or does not exist."""
    try:
        return subprocess.run(  # noqa: S603 - fixed commands of this file
            argv, capture_output=True, text=True, timeout=10, check=False
        ).stdout.strip()
    except OSError:
        return ""


def fsync_p99_ms(path: str) -> float:
    """99th percentile of write + fdatasync on the disk that will carry a folder, in milliseconds."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=existing_parent(path)) as stream:
        end = time.monotonic() + FSYNC_SECONDS
        while len(times) < FSYNC_COUNT and time.monotonic() < end:
            start = time.perf_counter()
            stream.write(b"\0" * FSYNC_BYTES)
            stream.flush()
            os.fdatasync(stream.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return sorted(times)[max(0, int(len(times) * 0.99) - 1)]


def listening() -> dict[str, list[str]]:
    """TCP ports with listeners beyond loopback, and the processes behind them."""
    found: dict[str, list[str]] = {}
    for line in command("ss", "-Hltnp").splitlines():
        fields = line.split()
        address, _, port = fields[3].rpartition(":")
        if address.strip("[]").startswith(("127.", "::1")):
            continue
        names = [word for users in fields[5:] for word in users.split('"')[1::2]]
        found.setdefault(port, []).extend(names)
    return found


def interface(address: str) -> dict[str, Any]:
    """Name, MTU and speed (Mb/s) of the interface that carries the host's address."""
    for line in command("ip", "-o", "-4", "address", "show").splitlines():
        fields = line.split()
        if fields[3].split("/")[0] == address:
            folder = Path("/sys/class/net") / fields[1]
            try:
                speed = int((folder / "speed").read_text().strip())
            except (OSError, ValueError):
                speed = -1
            return {"name": fields[1], "mtu": int((folder / "mtu").read_text()), "speed_mbit": speed}
    return {"name": "", "mtu": 0, "speed_mbit": -1}


def resolve(names: list[str]) -> dict[str, str]:
    """What each name resolves to; empty for none."""
    found = {}
    for name in names:
        try:
            found[name] = socket.gethostbyname(name)
        except OSError:
            found[name] = ""
    return found


def meminfo_mb() -> int:
    """MemTotal in MB."""
    first = Path("/proc/meminfo").read_text().splitlines()[0]
    return int(first.split()[1]) // 1024


def rotational(path: str) -> bool | None:
    """Whether a folder's disk spins; None when the kernel does not say."""
    device = existing_parent(path).stat().st_dev
    for candidate in (f"/sys/dev/block/{os.major(device)}:{os.minor(device)}",):
        for folder in (Path(candidate), Path(candidate).resolve().parent):
            file = folder / "queue" / "rotational"
            if file.exists():
                return file.read_text().strip() == "1"
    return None


def time_daemons() -> list[str]:
    """Which of the usual time daemons run; systemctl answers with a line for each."""
    answers = command("systemctl", "is-active", *TIME_DAEMONS).splitlines()
    return [
        name.removesuffix(".service") for name, said in zip(TIME_DAEMONS, answers, strict=False) if said == "active"
    ]


def text_of(path: str) -> str:
    """A small file, empty when it is not there."""
    file = Path(path)
    return file.read_text().strip() if file.exists() else ""


def facts(order: dict[str, Any]) -> dict[str, Any]:
    """Everything that can be measured on the host alone."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    disks = {}
    for path in order["directories"]:
        usage = shutil.disk_usage(existing_parent(path))
        disks[path] = {"total_mb": usage.total >> 20, "free_mb": usage.free >> 20, "rotational": rotational(path)}
    data = {path: Path(path).is_dir() and any(Path(path).iterdir()) for path in order["data_directories"]}
    return {
        "time": time.time(),
        "os": release.get("ID", "").strip('"'),
        "os_version": release.get("VERSION_ID", "").strip('"'),
        "init": Path("/proc/1/comm").read_text().strip(),
        "system_state": command("systemctl", "is-system-running"),
        "cores": os.cpu_count(),
        "memory_mb": meminfo_mb(),
        "disks": disks,
        "fsync_p99_ms": {path: fsync_p99_ms(path) for path in order["fsync_directories"]},
        "data": data,
        "marker": text_of("/etc/sitewright/site"),
        "release": text_of("/etc/sitewright/release"),
        "packages": command("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package} ${Version}\\n"),
        "python": ".".join(map(str, sys.version_info[:3])),
        "timezone": os.path.realpath("/etc/localtime").split("zoneinfo/")[-1],
        "time_daemons": time_daemons(),
        "listening": listening(),
        "interface": interface(order["address"]),
        "names": resolve(order["names"]),
    }


def arrived(datagram: bytes) -> bytes:
    """What a peer answers first to a datagram, small enough for every way back."""
    return GREETING + b" %d" % len(datagram)


def serve_stream(sock: socket.socket) -> None:
    """Greet every caller until the process ends; one that hangs up first is no reason to stop."""
    while True:
        try:
            connection, _ = sock.accept()
            with connection:
                connection.sendall(GREETING)
        except OSError:
            continue


def serve_echo(sock: socket.socket) -> None:
    """Say of every datagram that it came, then send it back as large as it was, until the process ends."""
    while True:
        datagram, peer = sock.recvfrom(65535)
        for answer in (arrived(datagram), datagram):
            try:
                sock.sendto(answer, peer)
            except OSError:  # too big for the way back: its absence tells that
                continue


def admit(model: str, addresses: list[str]) -> None:
    """Let the site's hosts through for two minutes where the packet filter is of another model than this one.

    A host that is new, or a port that moved, is not in those rules; the installation replaces them, but only after it
    has been asked whether the network would carry it. Without our rules there is nothing to open.
    """
    if not Path(NFT).exists():
        return
    asked = subprocess.run(  # noqa: S603 - no shell, constant words
        [NFT, "list", "table", "inet", "sitewright"], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0 and f'"model {model}"' not in asked.stdout:
        elements = ", ".join(f"{address} timeout {ADMITTED_SECONDS}s" for address in addresses)
        opened = f"add element inet sitewright newcomers {{ {elements} }}"
        subprocess.run([NFT, "-f", "-"], input=opened, text=True, check=True, capture_output=True)  # noqa: S603 - as above


def listen(order: dict[str, Any]) -> dict[str, Any]:
    """Open the ports that will be used and are free now; answer on them until the probe ends."""
    if "model" in order:
        admit(order["model"], order["site"])
    opened, taken = [], []
    for port in order["ports"]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((order["address"], port))
        except OSError:
            taken.append(port)
            continue
        sock.listen(512)
        opened.append(port)
        threading.Thread(target=serve_stream, args=(sock,), daemon=True).start()
    echo = unfragmented()
    echo.bind((order["address"], order["mtu_port"]))
    threading.Thread(target=serve_echo, args=(echo,), daemon=True).start()
    return {"opened": opened, "taken": taken}


def unfragmented() -> socket.socket:
    """A UDP socket whose datagrams are never cut into fragments."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    return sock


def reach(target: dict[str, Any]) -> str:
    """Connect once; empty when it worked, else why not."""
    try:
        with socket.create_connection((target["address"], target["port"]), timeout=CONNECT_SECONDS):
            return ""
    except TimeoutError:
        return f"no answer in {CONNECT_SECONDS:.0f} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def crosses(sock: socket.socket, size: int) -> str:
    """How far packets of a size come: `back`, `there`, empty when nowhere, or `silence` when that cannot be told.

    A packet is too big when the kernel or a router says so, or when it is missing several times while the small one
    sent right behind it is answered. Without that answer the peer is busy or gone, which says nothing about sizes.
    """
    datagram, got, missing = b"\0" * (size - HEADER_BYTES), "", 0
    for number, seconds in enumerate(ECHO_SECONDS):
        behind = b"%d" % number
        end = time.monotonic() + seconds
        try:
            sock.send(datagram)
            sock.send(behind)
            while (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                answer = sock.recv(65535)
                if answer == datagram:
                    return "back"
                if answer == arrived(datagram):
                    got = "there"
                if answer == behind:
                    missing += 1
                    break
        except OSError as error:  # no answer in time, or refused: nothing listens there, or a firewall says no
            if error.errno == errno.EMSGSIZE:
                return got
        if missing == MISSING_TIMES:
            return got
        time.sleep(REST_SECONDS)
    return "silence"


def crossing(address: str, port: int, mtu: int) -> dict[str, Any]:
    """Largest packet (bytes, IP header included) that crosses to a peer and back whole, of a few usual sizes.

    `answered` says whether the peer answered at all; `got` how far packets of the wanted size came.
    """
    first = ""
    with unfragmented() as sock:
        sock.connect((address, port))
        for size in sorted({mtu, *USUAL_MTU_BYTES} & set(range(mtu + 1)), reverse=True):
            got = crosses(sock, size)
            if got == "silence":
                return {"answered": False, "size": 0, "got": ""}
            first = got if size == mtu else first
            if got == "back":
                return {"answered": True, "size": size, "got": first}
    return {"answered": True, "size": 0, "got": first}


def connect(order: dict[str, Any]) -> dict[str, Any]:
    """Try every peer and port this host will talk to."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        outcomes = list(pool.map(reach, order["targets"]))
        sizes = list(pool.map(lambda peer: crossing(peer, order["mtu_port"], order["mtu"]), order["peers"]))
    return {
        "reached": [dict(target, error=error) for target, error in zip(order["targets"], outcomes, strict=True)],
        "mtu": dict(zip(order["peers"], sizes, strict=True)),
    }


def main(orders: TextIO) -> None:
    """Do what each line says, until there are no more."""
    for line in iter(orders.readline, ""):
        signal.alarm(LONGEST_SILENCE_SECONDS)
        order = json.loads(line)
        answer = {"facts": facts, "listen": listen, "connect": connect}[order["do"]](order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
