"""Preflight's rules, tried on this machine's own measurements and on spoiled copies of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from installer.checks import hosts, preflight
from installer.checks.preflight import PROBE, network
from installer.checks.preflight.catalog import CHECKS
from installer.checks.preflight.evaluate import Expectation, evaluate
from installer.checks.preflight.thresholds import threshold
from installer.manifests import load_manifests
from installer.report import CheckResult, Verdict

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).resolve().parents[2]
SITE: dict[str, Any] = {
    "name": "here",
    "site_class": "production",
    "domain": "here.internal",
    "public_name": "workflow.here.internal",
    "network": "127.0.0.0/8",
    "virtual_ip": "127.0.0.9",
    "timezone": "UTC",
    "rehearsal": False,
    "hosts": {
        "one": {
            "address": "127.0.0.1",
            "fqdn": "one.here.internal",
            "groups": ["engine"],
            "memory_mb": None,
            "cores": None,
            "settings": {},
        },
        "two": {
            "address": "127.0.0.2",
            "fqdn": "two.here.internal",
            "groups": ["postgresql", "etcd"],
            "memory_mb": None,
            "cores": None,
            "settings": {
                "postgresql_data_directory": "/data/own",
                "postgresql_wal_directory": "",
                "etcd_data_directory": "/e",
            },
        },
    },
    "settings": {
        "engine_port": 8443,
        "postgresql_port": 15432,
        "postgresql_rest_port": 8008,
        "etcd_client_port": 2379,
        "etcd_peer_port": 2380,
    },
}


def probe(order: dict[str, Any]) -> dict[str, Any]:
    """The probe as a host would run it, on this machine."""
    argv = [sys.executable, "-c", hosts._LOADER]
    orders = hosts.program(PROBE).decode() + json.dumps(order) + "\n"
    ended = subprocess.run(argv, input=orders, capture_output=True, text=True, check=True)
    ready, answered = ended.stdout.splitlines()
    assert ready.encode() == hosts._READY
    answer: dict[str, Any] = json.loads(answered)
    return answer


@pytest.fixture
def facts(tmp_path: Path) -> dict[str, Any]:
    """Real measurements, with what this machine happens to be replaced by what a good host is."""
    measured = probe(
        {
            "do": "facts",
            "address": "127.0.0.1",
            "directories": ["/", str(tmp_path / "data")],
            "data_directories": [str(tmp_path / "data")],
            "fsync_directories": [str(tmp_path)],
            "names": ["localhost"],
        }
    )
    del measured["time"]  # measuring the disk takes a while; the tests are about another clock
    measured |= {"os": "debian", "os_version": "13", "init": "systemd", "system_state": "running", "timezone": "UTC"}
    measured |= {"cores": 8, "memory_mb": 15900, "listening": {}, "fsync_p99_ms": {"/data": 1.0}, "time_daemons": []}
    measured["disks"] = {"/": {"free_mb": 9000}, "/data": {"total_mb": 512 * 1024, "rotational": False}}
    return measured


def verdicts(facts: dict[str, Any], host: str = "one") -> dict[str, Verdict]:
    now = time.time()
    expectation = Expectation(site=SITE, host=host, ports=[8443], time_span=(now - 2, now + 2))
    return {result.check: result.verdict for result in evaluate({**facts, "time": facts.get("time", now)}, expectation)}


def test_probe_measures_this_machine(tmp_path: Path) -> None:
    measured = probe(
        {
            "do": "facts",
            "address": "127.0.0.1",
            "directories": [str(tmp_path)],
            "data_directories": [str(tmp_path)],
            "fsync_directories": [str(tmp_path / "not" / "there")],
            "names": ["localhost", "no-such-name.invalid"],
        }
    )
    assert measured["cores"] >= 1
    assert measured["memory_mb"] > 100
    assert next(iter(measured["fsync_p99_ms"].values())) > 0
    assert measured["interface"]["name"] == "lo"
    assert measured["names"] == {"localhost": "127.0.0.1", "no-such-name.invalid": ""}
    assert abs(measured["time"] - time.time()) < 60


def _way(folder: Path, script: str) -> dict[str, list[str]]:
    """A stand-in for ssh to one host: runs its script with the command as arguments."""
    file = folder / "way"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {"one": [str(file)]}


def test_one_probe_answers_all_questions_and_ends_with_the_block(tmp_path: Path) -> None:
    # What ssh does with a command: a shell on the other side reads it; here without sudo.
    way = _way(tmp_path, f'echo $$ >> {tmp_path}/pids; shift 4; eval "exec $*"')
    listen = {"do": "listen", "address": "127.0.0.1", "ports": [], "mtu_port": 0}
    connect = {"do": "connect", "targets": [], "peers": [], "mtu_port": 0, "mtu": 1500}
    with hosts.Probes(way, PROBE) as probes:
        assert probes.ask({"one": listen})["one"].data == {"opened": [], "taken": []}
        assert probes.ask({"one": connect})["one"].data == {"reached": [], "mtu": {}}
        (pid,) = (tmp_path / "pids").read_text().split()
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("script", "step", "error"),
    [
        ("echo Permission denied >&2; exit 255", "ssh", "Permission denied"),
        ("echo 'sudo: a password is required' >&2; exit 1", "sudo", "sudo: a password is required"),
        ("echo 'sudo: /usr/bin/python3: command not found' >&2; exit 1", "python", "command not found"),
        ("echo 'OSError: [Errno 98]' >&2; exit 1", "probe", "OSError: [Errno 98]"),
        ("echo This account is currently not available.; exit 1", "ssh", "not available"),
        ("echo Welcome; cat > /dev/null", "ssh", "Welcome"),
        ("exec sleep 30", "ssh", "no answer within 3 s"),
    ],
)
def test_host_that_cannot_be_asked_says_at_which_step_each_time(
    tmp_path: Path, script: str, step: str, error: str
) -> None:
    with hosts.Probes(_way(tmp_path, script), PROBE) as probes:
        first, second = (probes.ask({"one": {"do": "facts"}}, seconds=3)["one"] for _ in range(2))
    assert first.step == step
    assert error in first.error
    assert second == first


# What sudo does with `-S -p PROMPT`: asks on standard error, reads one line, and asks again when it was wrong.
_SUDO = """
echo "$*" >> {folder}/argv; prompt=$4; shift 4
for _ in 1 2 3; do
  printf %s "$prompt" >&2; read -r said || {{ echo 'sudo: a password is required' >&2; exit 1; }}
  echo + >> {folder}/tries
  if [ "$said" = s3cret ]; then eval "exec $*"; fi
  echo 'Sorry, try again.' >&2
done
exit 1
"""


@pytest.mark.parametrize(("password", "step"), [("s3cret", ""), ("wrong", "password"), (None, "sudo")])
def test_sudo_is_told_its_password_once_and_only_over_standard_input(
    tmp_path: Path, password: str | None, step: str
) -> None:
    order = {"do": "connect", "targets": [], "peers": [], "mtu_port": 0, "mtu": 1500}
    with hosts.Probes(_way(tmp_path, _SUDO.format(folder=tmp_path)), PROBE, password=lambda: password) as probes:
        first, second = (probes.ask({"one": order})["one"] for _ in range(2))
    assert (first.step, second.step) == (step, step)
    assert first.check == ("connection.sudo" if step else first.check)
    tries = tmp_path / "tries"
    assert (tries.read_text() if tries.exists() else "") == ("" if password is None else "+\n")
    assert "s3cret" not in (tmp_path / "argv").read_text()


def test_password_is_not_looked_for_where_sudo_asks_for_none(tmp_path: Path) -> None:
    def refuse() -> str:
        raise AssertionError("nobody asked for it")

    order = {"do": "connect", "targets": [], "peers": [], "mtu_port": 0, "mtu": 1500}
    way = _way(tmp_path, 'shift 4; eval "exec $*"')
    with hosts.Probes(way, PROBE, password=refuse) as probes:
        assert probes.ask({"one": order})["one"].step == ""


def test_good_host_passes_every_check(facts: dict[str, Any]) -> None:
    facts["interface"]["speed_mbit"] = 10000
    assert set(verdicts(facts).values()) == {Verdict.PASSED}


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        ({"os_version": "12"}, "os.release"),
        ({"init": "init"}, "os.systemd"),
        ({"cores": 2}, "cpu.cores"),
        ({"memory_mb": 8000}, "memory.size"),
        ({"memory_mb": 1200}, "memory.budget"),
        ({"disks": {"/": {"free_mb": 100}}}, "bundle.space"),
        ({"disks": {"/data": {"total_mb": 1000, "rotational": False}}}, "disk.size"),
        ({"disks": {"/data": {"total_mb": 600000, "rotational": True}}}, "disk.ssd"),
        ({"fsync_p99_ms": {"/data": 40.0}}, "disk.fsync"),
        ({"time": 1.0}, "clock.offset"),
        ({"time_daemons": ["ntpsec"]}, "clock.daemon"),
        ({"names": {"two": "10.0.0.1"}}, "names.resolve"),
        ({"listening": {"8443": ["java"]}}, "ports.free"),
        ({"data": {"/data": True}}, "data.existing"),
        ({"marker": "elsewhere"}, "data.existing"),
        ({"interface": {"name": "", "mtu": 0, "speed_mbit": -1}}, "network.address"),
        ({"interface": {"name": "e0", "mtu": 1500, "speed_mbit": 100}}, "network.speed"),
    ],
)
def test_bad_host_fails_the_check_that_is_about_it(facts: dict[str, Any], spoil: dict[str, Any], check: str) -> None:
    assert verdicts(facts)[check] is Verdict.PASSED if check in verdicts(facts) else True
    assert verdicts({**facts, **spoil})[check] is Verdict.FAILED


def test_second_run_finds_its_own_ports_and_data_in_order(facts: dict[str, Any]) -> None:
    spoiled = {**facts, "marker": "here", "listening": {"8443": ["java"]}, "data": {"/data": True}}
    found = verdicts(spoiled)
    assert found["ports.free"] is Verdict.PASSED
    assert found["data.existing"] is Verdict.PASSED


def test_every_verdict_is_about_a_known_check(facts: dict[str, Any]) -> None:
    assert set(verdicts(facts)) <= set(CHECKS)


@dataclass(frozen=True)
class _Waiver:
    check: str
    host: str | None
    expires: date
    reason: str = "new disks ordered"
    source: str = "site.yml:12"
    about: str | None = None


@pytest.mark.parametrize(
    ("waiver", "verdict"),
    [
        (_Waiver("disk.size", None, date(2026, 12, 31)), Verdict.WAIVED),
        (_Waiver("disk.size", "one", date(2026, 12, 31)), Verdict.WAIVED),
        (_Waiver("disk.size", "two", date(2026, 12, 31)), Verdict.FAILED),
        (_Waiver("disk.ssd", "one", date(2026, 12, 31)), Verdict.FAILED),
        (_Waiver("disk.size", "one", date(2026, 1, 1)), Verdict.FAILED),
    ],
)
def test_waiver_covers_its_check_and_host_until_it_expires(waiver: Any, verdict: Verdict) -> None:
    failed = CheckResult(check="disk.size", host="one", measured="1", wanted="2", verdict=Verdict.FAILED)
    waived = preflight.waive(failed, [waiver], date(2026, 6, 1), rehearsal=False)
    assert waived.verdict is verdict
    assert ("new disks ordered" in waived.note) is (verdict is Verdict.WAIVED)


def test_rehearsal_waives_size_but_not_a_taken_port() -> None:
    small = CheckResult(check="cpu.cores", host="one", measured="2", wanted="4", verdict=Verdict.FAILED)
    taken = CheckResult(check="ports.free", host="one", measured="443", wanted="free", verdict=Verdict.FAILED)
    today = date(2026, 6, 1)
    assert preflight.waive(small, [], today, rehearsal=True).verdict is Verdict.WAIVED
    assert preflight.waive(taken, [], today, rehearsal=True).verdict is Verdict.FAILED


def test_hosts_are_asked_to_reach_exactly_the_ports_declared_for_them() -> None:
    manifests = load_manifests(ROOT)
    targets = network.targets_of(SITE, manifests, "one")
    assert {target["host"] for target in targets} == {"two"}
    assert {target["port"] for target in targets} >= {15432}
    assert 2380 not in {target["port"] for target in targets}


def test_the_disks_looked_at_are_those_the_site_names() -> None:
    order = preflight._order(SITE, load_manifests(ROOT), "two")
    assert order["data_directories"] == order["fsync_directories"] == ["/data/own", "/e"]


def test_production_asks_more_than_development() -> None:
    large, small = threshold("production", ["engine"]), threshold("development", ["engine"])
    assert (large.cores, large.memory_mb, large.disk_mb, large.speed_mbit) == (4, 16384, 512000, 1000)
    assert small.cores < large.cores
    assert small.memory_mb < large.memory_mb
