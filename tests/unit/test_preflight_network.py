"""Hosts that try each other: packets of a size, callers that hang up, and what is said of what was lost."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from installer.checks import hosts
from installer.checks.preflight import PROBE, network
from installer.checks.preflight import probe as on_host
from installer.operations.checks import page
from installer.report import CheckResult, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _way(folder: Path, script: str) -> dict[str, list[str]]:
    """A stand-in for ssh to one host: runs its script with the command as arguments."""
    file = folder / "way"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {"one": [str(file)]}


@contextmanager
def _peer(answers: Callable[[bytes, int], list[bytes]]) -> Iterator[int]:
    """A peer on this machine that answers the n-th datagram as told; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            number = 0
            while not over.is_set():
                try:
                    datagram, caller = sock.recvfrom(65535)
                except TimeoutError:
                    continue
                for answer in answers(datagram, number):
                    sock.sendto(answer, caller)
                number += 1

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(sock.getsockname()[1])
        over.set()
        thread.join()


def _echo(datagram: bytes) -> list[bytes]:
    return [on_host.arrived(datagram), datagram]


@contextmanager
def _listening(folder: Path) -> Iterator[int]:
    """A real probe that listens on this machine, on one port for both protocols; the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    with hosts.Probes(_way(folder, 'shift 4; eval "exec $*"'), PROBE) as probes:
        listen = {"do": "listen", "address": "127.0.0.1", "ports": [port], "mtu_port": port}
        assert probes.ask({"one": listen})["one"].data["opened"] == [port]
        yield port


def test_full_packet_crosses_to_the_real_echo_and_back(tmp_path: Path) -> None:
    with _listening(tmp_path) as port:
        assert on_host.crossing("127.0.0.1", port, 9000) == {"answered": True, "size": 9000, "got": "back"}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        # A router that swallows what is too big without a word.
        (lambda data, _: _echo(data) if len(data) <= 1400 - 28 else [], {"answered": True, "size": 1400, "got": ""}),
        # The same router, on the way back only.
        (
            lambda data, _: _echo(data) if len(data) <= 1280 - 28 else [on_host.arrived(data)],
            {"answered": True, "size": 1280, "got": "there"},
        ),
        # A busy peer: the first five packets are lost, whatever their size.
        (lambda data, number: _echo(data) if number > 4 else [], {"answered": True, "size": 1500, "got": "back"}),
        # Only large ones are lost, twice: bad luck, not size.
        (
            lambda data, number: _echo(data) if number > 3 or len(data) < 100 else [],
            {"answered": True, "size": 1500, "got": "back"},
        ),
        (lambda *_: [], {"answered": False, "size": 0, "got": ""}),
    ],
)
def test_too_big_is_told_from_no_answer_in_time_and_lost_packets_are_sent_again(
    monkeypatch: pytest.MonkeyPatch, answers: Any, found: dict[str, Any]
) -> None:
    monkeypatch.setattr(on_host, "ECHO_SECONDS", (0.2, 0.2, 0.2, 0.4, 0.4))
    with _peer(answers) as port:
        assert on_host.crossing("127.0.0.1", port, 1500) == found


def test_kernel_that_says_too_big_is_believed_at_once(tmp_path: Path) -> None:
    with _listening(tmp_path) as port:
        before = time.monotonic()
        # No IPv4 packet is this large, so the kernel refuses it as it refuses what a router has told to be too big.
        assert on_host.crossing("127.0.0.1", port, 70000) == {"answered": True, "size": 9000, "got": ""}
    assert time.monotonic() - before < 5


def test_caller_that_hangs_up_at_once_does_not_silence_a_listener(tmp_path: Path) -> None:
    with _listening(tmp_path) as port:
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as caller:
            assert caller.recv(64) == on_host.GREETING


def test_no_more_hosts_are_asked_at_a_time_than_allowed(tmp_path: Path) -> None:
    script = f'echo + >> {tmp_path}/log; sleep 0.2; echo - >> {tmp_path}/log; shift 4; eval "exec $*"'
    way = _way(tmp_path, script)["one"]
    order = {"do": "connect", "targets": [], "peers": [], "mtu_port": 0, "mtu": 1500}
    with hosts.Probes({str(number): way for number in range(7)}, PROBE) as probes:
        answers = probes.ask({str(number): order for number in range(7)}, at_once=2)
    assert not any(answer.step for answer in answers.values())
    steps = (tmp_path / "log").read_text().split()
    most = max(steps[:end].count("+") - steps[:end].count("-") for end in range(len(steps) + 1))
    assert most == 2


def _verdict_on(mtu: dict[str, Any]) -> list[CheckResult]:
    known = {f"10.0.0.{number}": f"app{number}" for number in range(len(mtu))}
    answer = hosts.Answer(host="one", data={"reached": [], "mtu": dict(zip(known, mtu.values(), strict=True))})
    return list(network._mtu("one", answer, {"mtu": 1500}, known))


def test_no_answer_and_too_big_have_each_their_own_words_and_advice() -> None:
    silent, small = {"answered": False, "size": 0, "got": ""}, {"answered": True, "size": 1400, "got": "there"}
    first, second = _verdict_on({"a": silent, "b": small})
    assert (first.check, second.check) == ("network.mtu", "network.mtu")
    assert "app1 (1400 B, lost on the way back)" in first.measured
    assert "set one MTU" in first.fix
    assert second.measured == "1 of 2 hosts gave no answer in time on UDP port 33499: app0"
    assert "MTU" not in second.fix


def test_long_list_is_short_in_the_table_and_whole_in_the_report(tmp_path: Path) -> None:
    (result,) = _verdict_on({str(number): {"answered": False, "size": 0, "got": ""} for number in range(34)})
    assert result.measured.endswith(": app0, app1, app2, ... (whole list in the report)")
    assert len(result.measured) < 160
    whole = Report(title="Preflight", site="s", started=datetime.now(UTC), seconds=1.0, results=(result,))
    assert "app33" not in str(whole.rows)
    for file in page.write(whole, tmp_path, "preflight"):
        assert "app33" in file.read_text()
