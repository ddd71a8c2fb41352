"""What a container cannot show, on a host with a kernel of its own: in force, and again after a reboot.

One host with etcd, PostgreSQL and Redis, put there by the playbooks of an install: first as a container, then as a
virtual machine. The same look at both is the table of what a container skips: `-s` shows it, a dated one is in
docs/measured/virtual-machine.md.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from installer.controller.logins import control_path, sockets_folder
from installer.controller.paths import Paths
from installer.manifests.controls import known_controls
from installer.operations.from_outside import FromOutside, bring_up
from installer.operations.request import MachineChoice
from installer.site import GROUPS
from installer.stages.install import INSTALL
from tests.site.conftest import ROOT, Operator, alone_with

SITE: Final = "virtual-machine"
HOST: Final = "one"
HERE: Final = ("etcd", "postgresql", "redis", "repository")
STAGES: Final = ("facts", "certificates", "repository", "base", "hardening", "firewall", "etcd", "database", "cache")
PLAYED: Final = {stage.name: stage.playbook for stage in INSTALL.stages if stage.name in STAGES}
SERVICES: Final = {f"{name}.service" for name in ("chrony", "etcd", "patroni", "redis-server", "redis-sentinel", "ssh")}
# The controller's own address in the rehearsal's network; what answers there is `clock`.
CLOCK: Final = "10.251.0.254"
DESCRIBED: Final = {
    "name": SITE,
    "site_class": "development",
    "domain": "kernel.internal",
    "public_name": "workflow.kernel.internal",
    "network": "10.251.0.0/24",
    "virtual_ip": "10.251.0.10",
    "applications": ["revenue-cycle"],
}
# PostgreSQL asks for huge pages from 2 GB of buffers on, which this host does not have: an operator's file does it.
HUGE_PAGES: Final = 64
HUGE: Final = f"echo vm.nr_hugepages = {HUGE_PAGES} >/etc/sysctl.d/61-huge.conf; systemctl restart systemd-sysctl"
TIME_SERVER: Final = """
import socket, struct, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], 123))
    while True:
        asked, whom = server.recvfrom(512)
        now = time.time() + 2208988800
        stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
        head = struct.pack("!BBbbIII", 0x24, 1, asked[2], -20, 0, 0, 0x4C4F434C)
        server.sendto(head + stamp + asked[40:48] + stamp + stamp, whom)
"""


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@contextmanager
def clock() -> Iterator[None]:
    """A time server at the controller's address, as a hospital has one."""
    argv = ["nsenter", f"--net=/run/netns/sw-{SITE}", "--", sys.executable, "-I", "-c", TIME_SERVER, CLOCK]
    with subprocess.Popen(argv) as server:
        try:
            yield
        finally:
            server.kill()


def write_inventory(folder: Path) -> Path:
    hosts = {HOST: {"ansible_host": "10.251.0.11"}, "elsewhere": {"ansible_host": "10.251.0.200"}}
    children = {group: {"hosts": {HOST if group in HERE else "elsewhere": None}} for group in GROUPS}
    (folder / "group_vars/all").mkdir(parents=True)
    everyone = {"all": {"hosts": hosts, "children": children}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(everyone))
    described = {"sitewright": DESCRIBED, "base_time_servers": [CLOCK]}
    (folder / "group_vars/all/site.yml").write_text(yaml.safe_dump(described))
    return folder


def install(site: FromOutside, scratch: Path) -> dict[str, float]:
    """Play the stages on the host, twice; seconds of each time."""
    scratch.mkdir()
    sockets = sockets_folder(Paths.from_environment().rehearsal(SITE))
    seconds = {}
    members = {group: said["hosts"] for group, said in site.inventory["children"].items()}
    options = shlex.join([*site.ssh_options, "-o", control_path(sockets), "-o", "ServerAliveCountMax=60"])
    variables = {**site.inventory["vars"], **site.inventory["hosts"][HOST], **site.secrets}
    written = {
        "all": {
            "hosts": {HOST: {**variables, "ansible_ssh_extra_args": options}},
            "children": {group: {"hosts": {HOST: None}} for group, hosts in members.items() if HOST in hosts},
        }
    }
    hosts = scratch / "hosts.yml"
    hosts.touch(mode=0o600)
    hosts.write_text(json.dumps(written))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_TIMEOUT": "300"}
    mitogen = find_spec("ansible_mitogen")
    if mitogen is not None and mitogen.origin is not None:
        plugins = Path(mitogen.origin).with_name("plugins") / "strategy"
        environment |= {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}
    playbook = scratch / "all.yml"
    books = [str(ROOT / "playbooks" / book) for book in PLAYED.values()]
    playbook.write_text(yaml.safe_dump([{"ansible.builtin.import_playbook": book} for book in books]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    for step in ("install", "second run"):
        began = time.monotonic()
        played = subprocess.run(
            [program, "--inventory", str(hosts), str(playbook)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert played.returncode == 0, played.stdout[-8000:] + played.stderr[-2000:]
        seconds[step] = time.monotonic() - began
    assert "changed=0 " in played.stdout, played.stdout[-8000:]
    return seconds


def look(operator: Operator) -> dict[str, Any]:
    """What of the kernel's part is in force, once the clock and the database are what they will be."""
    operator.on(
        HOST,
        "sh",
        "-c",
        "! systemctl is-active chrony || chronyc -n waitsync 30 1 0 2; systemctl is-system-running --wait || true",
    )
    wait = "until patronictl -c /etc/patroni/config.yml list 2>&1 | grep -q 'Leader.*running'; do sleep 2; done"
    operator.on(HOST, "timeout", "240", "sh", "-c", wait)
    said: dict[str, Any] = json.loads(
        operator.on(HOST, "python3", "-c", Path(__file__).with_name("kernel_look.py").read_text())
    )
    return said


def reboot(operator: Operator, before: str) -> float:
    """Reboot the host as its administrator would; seconds until it can be logged into."""
    began = time.monotonic()
    # Not at once: the session that asks would end before it has its answer.
    operator.on(HOST, "systemd-run", "--on-active=1", "systemctl", "reboot")
    ask = ("rehearse", "exec", "--inventory", operator.inventory, HOST, "--", "cat", "/proc/sys/kernel/random/boot_id")
    while time.monotonic() - began < 900:
        time.sleep(2)
        answer = operator.verb(*ask)
        if answer.returncode == 0 and answer.stdout.strip() != before:
            return time.monotonic() - began
    raise AssertionError(f"the host is not back: {answer.stderr}")


def unmet(seen: dict[str, Any]) -> set[str]:
    """Units that the boot wants and a condition of theirs forbids."""
    return {name for name, unit in seen["units"].items() if len(unit) > 2}


def active(seen: dict[str, Any]) -> set[str]:
    """Units that the boot wants and that run, mounts and devices apart."""
    kinds = (".service", ".timer", ".socket", ".path")
    return {name for name, unit in seen["units"].items() if unit[0] == "active" and name.endswith(kinds)}


def not_in_force(seen: dict[str, Any]) -> dict[str, list[str]]:
    return {key: both for key, both in seen["sysctl"].items() if both[0] != both[1]}


def summary(seen: dict[str, Any]) -> dict[str, str]:
    """What the table shows of a look."""
    wrong, refused = not_in_force(seen), [state for state in seen["modules"].values() if "refused" in state]

    def state(unit: str) -> str:
        return str(seen["units"].get(unit, ["not there"])[0])

    audit = dict(line.split(" ", 1) for line in seen["audit"].splitlines() if " " in line)
    return {
        "kernel": f"{seen['kernel']} ({seen['virtualization']})",
        "sysctls in force": f"{len(seen['sysctl']) - len(wrong)} of {len(seen['sysctl'])}",
        "clock": f"chrony {state('chrony.service')}, synchronized {seen['clock']}",
        "watchdog": f"{'; '.join(seen['watchdogs'].values()) or 'none'}; held by {', '.join(seen['watchdog held by'])}",
        "huge pages": seen["huge pages"],
        "transparent huge pages": seen["transparent huge pages"],
        "AppArmor": f"{seen['apparmor'] or 'not to be seen'}, {len(seen['profiles'])} enforced",
        "confined": ", ".join(seen["confined"]) or "nothing",
        "modules refused": f"{len(refused)} of {len(seen['modules'])}",
        "auditd": f"enabled {audit.get('enabled', 'not installed')}, {len(seen['audit rules'])} rules",
        "nftables": f"{state('nftables.service')}, {len(seen['rule set'].splitlines())} lines",
        "failed units": seen["failed"] or "none",
        "conditions not met": str(len(unmet(seen))),
    }


def holds(seen: dict[str, Any]) -> None:
    """All that is wanted of a kernel is so."""
    assert seen["system"] == "running", seen["failed"]
    assert active(seen) >= SERVICES
    assert not_in_force(seen) == {}
    assert seen["units"]["chrony.service"][0] == "active"
    fields = seen["tracking"].split(",")
    assert (fields[1], fields[2], fields[13]) == (CLOCK, "2", "Normal"), seen["tracking"]
    assert any("state active" in watchdog for watchdog in seen["watchdogs"].values()), seen["watchdogs"]
    assert seen["watchdog held by"] == ["patroni"], seen["watchdog held by"]
    assert seen["huge pages"] == str(HUGE_PAGES)
    assert "[never]" in seen["transparent huge pages"]
    assert seen["apparmor"] == "Y"
    assert seen["profiles"], "AppArmor enforces no profile"
    assert "chronyd" in seen["confined"]
    assert [name for name, state in seen["modules"].items() if "refused" not in state] == []
    assert seen["modules"] or "hardening" not in PLAYED
    keys = [rule.rpartition(" -F key=")[2] for rule in seen["audit rules"]]
    wanted = {control.id: control.audit_rules for control in known_controls().values() if control.audit_rules}
    assert {name: keys.count(name) for name in wanted} == wanted, seen["audit rules"]
    assert "enabled 2" in seen["audit"], seen["audit"]
    assert active(seen) >= {"auditd.service", "audit-rules.service"}
    assert seen["rule set"] or "firewall" not in PLAYED


def guarded_before_connected(seen: dict[str, Any]) -> None:
    """A host that boots has its rules before its network; an installation loads them without the unit."""
    guarded, connected = (int(seen["units"][name][1]) for name in ("nftables.service", "rehearsal-network.service"))
    assert 0 < guarded < connected


@pytest.mark.long
def test_what_a_container_skips_is_in_force_on_a_machine_and_again_after_a_reboot(bundle: Path, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path / "inventories" / SITE)
    looks: dict[str, dict[str, Any]] = {}
    seconds: dict[str, float] = {}
    kinds: tuple[MachineChoice, ...] = ("container", "vm")
    for machine in kinds:
        with alone_with(SITE, inventory) as operator:
            began = time.monotonic()
            hosts = bring_up(inventory, absent={"elsewhere"}, machine=machine)
            seconds[f"{machine}, up"] = time.monotonic() - began
            with clock():
                for step, took in install(hosts, tmp_path / machine).items():
                    seconds[f"{machine}, {step}"] = took
                if machine == "container":
                    looks["container"] = look(operator)
                    continue
                operator.on(HOST, "sh", "-c", HUGE)
                began = time.monotonic()
                looks["machine"] = look(operator)
                seconds["vm, look"] = time.monotonic() - began
                seconds["vm, reboot"] = reboot(operator, looks["machine"]["boot"])
                looks["after a reboot"] = look(operator)
                disk = ROOT / ".sitewright/rehearsal" / SITE / "hosts" / HOST / "disk"
                show(f"disk: {disk.stat().st_blocks * 512 / 2**20:.0f} MB of {disk.stat().st_size / 2**30:.0f} GB")
    show(table(looks))
    show("\n".join(f"{step}: {took:.0f} s" for step, took in seconds.items()))
    skipped = active(looks["machine"]) - active(looks["container"])
    show("units that run on the machine only: " + ", ".join(sorted(skipped)))
    show("sysctls a container refuses: " + ", ".join(not_in_force(looks["container"])))
    for seen in (looks["machine"], looks["after a reboot"]):
        holds(seen)
    guarded_before_connected(looks["after a reboot"])
    assert looks["after a reboot"]["rule set"] == looks["machine"]["rule set"]
    assert looks["after a reboot"]["audit rules"] == looks["machine"]["audit rules"]
    # What is proven above is what the other kind of host could not show.
    assert not_in_force(looks["container"])
    assert "chrony.service" in skipped


def table(looks: dict[str, dict[str, Any]]) -> str:
    """The looks side by side."""
    rows = {name: summary(seen) for name, seen in looks.items()}
    lines = [["", *rows], ["---"] * (len(rows) + 1)]
    lines += [[aspect, *(row[aspect] for row in rows.values())] for aspect in next(iter(rows.values()))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
