"""Real throwaway hosts: booted, logged into, killed, repaired, and gone without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from installer import rehearsal
from installer.controller.logins import sockets_folder
from installer.controller.paths import Paths
from installer.errors import ConfigurationError, PlaybookError
from installer.rehearsal import cgroups, hosts
from installer.rehearsal.access import options_from_outside, ssh_argv

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE = f"unit-{os.getpid()}"
SPEC = rehearsal.RehearsalSpec(
    site=SITE, network="10.97.0.0/24", hosts={"one": "10.97.0.11", "two": "10.97.0.12"}, virtual_ip="10.97.0.10"
)


def quiet(_line: str) -> None:
    """Say nothing; pytest shows what matters."""


@pytest.fixture(scope="module")
def paths() -> Iterator[Paths]:
    """A state folder of our own, where `tests/run` finds it should we be killed, and the machine's base images."""
    usual = Paths.from_environment()
    usual.state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unit-", dir=usual.state) as state:
        yield replace(usual, state=Path(state))


@pytest.fixture(scope="module")
def running(paths: Paths) -> Iterator[rehearsal.Rehearsal]:
    """Two hosts that run; whatever a test did to them, the next one gets them repaired."""
    try:
        yield rehearsal.up(SPEC, paths, quiet)
    finally:
        rehearsal.down(SITE, paths, quiet)


def on(site: rehearsal.Rehearsal, host: str, *argv: str, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    assert rehearsal.exec_on(site, host, argv) == 0
    return capfd.readouterr().out


def traces(site: str, folder: Path) -> list[str]:
    """Whatever of a rehearsal is still on this machine."""
    found = [
        str(path)
        for path in (
            folder,
            sockets_folder(folder),
            Path("/run/netns", f"sw-{site}"),
            Path("/run/sitewright/rehearsals", site),
        )
        if path.exists()
    ]
    # In every hierarchy of control groups that this machine has.
    for hierarchy in ("", "*/"):
        found += [str(group) for group in Path("/sys/fs/cgroup").glob(f"{hierarchy}sitewright/{site}")]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if site in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if site in (process / "cgroup").read_text():
                found.append(str(process))
        except OSError:
            continue
    return found


def test_login_is_an_ordinary_admin_with_sudo_and_checked_host_keys(running: rehearsal.Rehearsal) -> None:
    argv = [*running.enter_argv(), *ssh_argv(running, "one"), "id -un; sudo -n id -un; hostname; date +%Z"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sitewright", "root", "one", "UTC"]


def test_a_host_with_another_key_is_refused(running: rehearsal.Rehearsal, tmp_path: Path) -> None:
    swapped = tmp_path / "known_hosts"
    swapped.write_text(f"10.97.0.11 {hosts.host_key(running, 'two')}\n")
    ssh, *options = (word.replace(str(running.known_hosts), str(swapped)) for word in ssh_argv(running, "one"))
    argv = [ssh, "-o", "ControlPath=none", *options]  # a login that is there already was checked when it was made
    done = subprocess.run([*running.enter_argv(), *argv, "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_only_with_the_options_does_an_ssh_outside_of_the_network_get_in(running: rehearsal.Rehearsal) -> None:
    ssh, *options = ssh_argv(running, "one")
    alone = [ssh, "-o", "ControlPath=none", *options[:-2]]  # a login that is there already would be taken
    destination = [*options[-2:], "hostname"]
    assert subprocess.run([*alone, *destination], capture_output=True, check=False).returncode == 255
    led = subprocess.run(
        [*alone, *options_from_outside(running), *destination], capture_output=True, text=True, check=True
    )
    assert led.stdout.strip() == "one"


def test_there_is_no_way_out_and_nothing_leaks_in(
    running: rehearsal.Rehearsal, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example")
    assert rehearsal.exec_on(running, "one", ["ip", "route", "get", "198.51.100.1"]) != 0
    assert rehearsal.run_inside(running, ["ip", "route", "get", "198.51.100.1"]) != 0
    assert "proxy" not in on(running, "one", "env", capfd=capfd).lower()
    assert on(running, "one", "cat", "/etc/resolv.conf", capfd=capfd) == ""
    assert rehearsal.run_inside(running, ["sh", "-c", 'test -z "${http_proxy:-}"']) == 0


def test_exit_codes_pass_through(running: rehearsal.Rehearsal) -> None:
    assert rehearsal.exec_on(running, "one", ["sh", "-c", "exit 7"]) == 7
    assert rehearsal.run_inside(running, ["sh", "-c", "exit 9"]) == 9
    assert rehearsal.run_inside(running, ["sh", "-c", "kill -TERM $$"]) == 143


def test_hosts_reach_each_other_and_the_controller(running: rehearsal.Rehearsal) -> None:
    probe = "import socket,sys; socket.create_connection((sys.argv[1], 22), 3).close()"
    assert rehearsal.exec_on(running, "one", ["python3", "-c", probe, "10.97.0.12"]) == 0
    assert rehearsal.run_inside(running, [sys.executable, "-c", probe, "10.97.0.12"]) == 0


def test_each_host_has_service_groups_of_its_own(running: rehearsal.Rehearsal) -> None:
    for name in ("one", "two"):
        inside = set(cgroups.processes(hosts.group_of(running, name)))
        assert hosts.leader(running, name) in inside
    one, two = (set(cgroups.processes(hosts.group_of(running, name))) for name in ("one", "two"))
    assert not one & two


def test_a_second_up_keeps_what_runs(running: rehearsal.Rehearsal, paths: Paths) -> None:
    before = {name: hosts.leader(running, name) for name in SPEC.hosts}
    said: list[str] = []
    rehearsal.up(SPEC, paths, said.append)
    assert {name: hosts.leader(running, name) for name in SPEC.hosts} == before
    assert said == []


def test_a_dead_host_boots_again_with_its_own_disk(
    running: rehearsal.Rehearsal, paths: Paths, capfd: pytest.CaptureFixture[str]
) -> None:
    identity = on(running, "two", "sh", "-c", "echo kept >/srv/mark; cat /etc/machine-id", capfd=capfd)
    neighbour = hosts.leader(running, "one")
    rehearsal.cut_power(running, "two")
    assert hosts.leader(running, "two") is None
    with pytest.raises(PlaybookError, match="two does not run"):
        rehearsal.exec_on(running, "two", ["true"])
    rehearsal.up(SPEC, paths, quiet)
    assert on(running, "two", "cat", "/srv/mark", "/etc/machine-id", capfd=capfd) == f"kept\n{identity}"
    assert hosts.leader(running, "one") == neighbour


def test_a_supervisor_is_seen_also_while_it_moves_to_a_group_of_its_own(tmp_path: Path) -> None:
    site = f"{SITE}-m"
    moving = rehearsal.Rehearsal(spec=replace(SPEC, site=site), folder=tmp_path)
    group = hosts.group_of(moving, "one")
    own = group / "supervisor"
    cgroups.create_group(group)
    seen: list[bool] = []
    with subprocess.Popen(["sleep", "300"]) as supervisor:

        def move() -> None:
            time.sleep(0.0003)
            own.mkdir()
            (own / "cgroup.procs").write_text(str(supervisor.pid))

        try:
            for _round in range(300):
                (group / "cgroup.procs").write_text(str(supervisor.pid))
                if own.exists():
                    own.rmdir()
                mover = threading.Thread(target=move)
                mover.start()
                while mover.is_alive():
                    seen.append(hosts.is_supervised(moving, "one"))
                mover.join()
        finally:
            supervisor.kill()
            cgroups.kill_group(cgroups.site_group(site))
    assert len(seen) > 30
    assert all(seen)


def test_a_host_that_shut_down_can_be_switched_on(running: rehearsal.Rehearsal) -> None:
    rehearsal.power_off(running, "two")
    assert not hosts.runs(running, "two")
    rehearsal.boot(running, "two")
    assert hosts.runs(running, "two")


def test_a_host_without_its_supervisor_is_repaired(running: rehearsal.Rehearsal, paths: Paths) -> None:
    for pid in cgroups.processes(hosts.group_of(running, "two") / "supervisor"):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while hosts.runs(running, "two") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not hosts.runs(running, "two")
    rehearsal.up(SPEC, paths, quiet)
    assert hosts.runs(running, "two")


def test_an_address_that_changed_under_a_rehearsal_is_refused(running: rehearsal.Rehearsal, paths: Paths) -> None:
    moved = rehearsal.RehearsalSpec(site=running.spec.site, network=SPEC.network, hosts={"one": "10.97.0.21"})
    with pytest.raises(ConfigurationError, match="the address of one changed"):
        rehearsal.up(moved, paths, quiet)


def test_another_checkout_cannot_take_a_rehearsal_over(
    running: rehearsal.Rehearsal, paths: Paths, tmp_path: Path
) -> None:
    elsewhere = Paths(root=paths.root, state=tmp_path, cache=paths.cache)
    with pytest.raises(ConfigurationError, match="from another checkout"):
        rehearsal.up(SPEC, elsewhere, quiet)
    assert hosts.runs(running, "one")


def test_two_rehearsals_with_the_same_addresses_live_side_by_side(running: rehearsal.Rehearsal, paths: Paths) -> None:
    site = f"{SITE}-b"
    other = rehearsal.up(
        rehearsal.RehearsalSpec(site=site, network=SPEC.network, hosts={"one": "10.97.0.11"}), paths, quiet
    )
    assert hosts.leader(other, "one") != hosts.leader(running, "one")
    states = {state.site: state.running for state in rehearsal.list_rehearsals(paths)}
    assert states[site] == {"one": True}
    assert rehearsal.down(site, paths, quiet)
    assert traces(site, other.folder) == []
    assert hosts.runs(running, "one")


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.2])
def test_an_up_killed_half_way_is_finished_by_the_next_and_leaves_nothing(paths: Paths, seconds: float) -> None:
    site = f"{SITE}-k"
    program = (
        "import sys; from pathlib import Path; from installer import rehearsal\n"
        "from installer.controller.paths import Paths\n"
        "paths = Paths(root=Path(sys.argv[1]), state=Path(sys.argv[2]), cache=Path(sys.argv[3]))\n"
        "spec = rehearsal.RehearsalSpec(site=sys.argv[4], network='10.98.0.0/24', hosts={'one': '10.98.0.11'})\n"
        "rehearsal.up(spec, paths, lambda line: None)\n"
    )
    argv = [sys.executable, "-c", program, str(paths.root), str(paths.state), str(paths.cache), site]
    child = subprocess.Popen(argv, cwd=paths.root)
    time.sleep(seconds)
    child.kill()
    child.wait()
    spec = rehearsal.RehearsalSpec(site=site, network="10.98.0.0/24", hosts={"one": "10.98.0.11"})
    finished = rehearsal.up(spec, paths, quiet)
    assert rehearsal.exec_on(finished, "one", ["true"]) == 0
    assert rehearsal.down(site, paths, quiet)
    assert traces(site, finished.folder) == []


def test_another_checkout_may_take_the_names_when_no_host_runs(paths: Paths, tmp_path: Path) -> None:
    site = f"{SITE}-o"
    spec = rehearsal.RehearsalSpec(site=site, network="10.98.0.0/24", hosts={"one": "10.98.0.11"})
    rehearsal.cut_power(rehearsal.up(spec, paths, quiet), "one")
    elsewhere = Paths(root=paths.root, state=tmp_path, cache=paths.cache)
    other = rehearsal.up(spec, elsewhere, quiet)
    with pytest.raises(ConfigurationError, match="from another checkout"):
        rehearsal.up(spec, paths, quiet)
    assert rehearsal.down(site, elsewhere, quiet)
    assert rehearsal.down(site, paths, quiet)
    assert traces(site, other.folder) == []


def test_down_removes_a_rehearsal_whose_checkout_was_deleted(paths: Paths, tmp_path: Path) -> None:
    site = f"{SITE}-d"
    gone = Paths(root=paths.root, state=tmp_path / "state", cache=paths.cache)
    spec = rehearsal.RehearsalSpec(site=site, network="10.98.0.0/24", hosts={"one": "10.98.0.11"})
    deleted = rehearsal.up(spec, gone, quiet)
    subprocess.run([*deleted.enter_argv(), *ssh_argv(deleted, "one"), "true"], check=True)
    (deleted.folder / "rehearsal.json").unlink()
    assert rehearsal.down(site, paths, quiet)
    assert traces(site, paths.rehearsal(site)) == []
    assert not sockets_folder(deleted.folder).exists()


def test_down_ends_what_still_runs_inside_the_network(paths: Paths) -> None:
    site = f"{SITE}-n"
    spec = rehearsal.RehearsalSpec(site=site, network="10.98.0.0/24", hosts={"one": "10.98.0.11"})
    up = rehearsal.up(spec, paths, quiet)
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
    argv = [*up.enter_argv(), *stubborn]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "ready\n"
        assert rehearsal.down(site, paths, quiet)
        assert inside.wait(timeout=5) == -signal.SIGKILL
    assert traces(site, up.folder) == []


def test_down_of_nothing_says_so(paths: Paths) -> None:
    assert rehearsal.down("never-was", paths, quiet) is False
