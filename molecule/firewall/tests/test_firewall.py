"""What a host lets in and out, what becomes of rules that were flushed, and of rules that lock the controller out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

GATEWAY, CACHE = "10.250.0.11", "10.250.0.12"
REPOSITORY_PORT, CACHE_PORT = 8543, 6379
_SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
_INVENTORY = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "inventory"
_LISTENER = "sudo systemd-run --quiet --collect --unit=listener python3 -m http.server {port} --bind {address}"
_GO_BACK_SECONDS = 60.0


def _connect(host: Host, address: str, port: int, protocol: str = "tcp") -> str:
    """Connect from a host; `open`, or how it failed and whether that took time."""
    done = host.run(f"timeout 2 bash -c '</dev/{protocol}/{address}/{port}'")
    if done.rc == 0:
        return "open"
    return "no answer" if done.rc == 124 else "refused" if "refused" in done.stderr else done.stderr


def _is(host: Host, name: str) -> bool:
    return bool(host.check_output("hostname --short") == name)


def _play(name: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [program, "--inventory", str(_INVENTORY), str(_SCENARIO / name)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(  # noqa: S603 - our own playbook
        argv, capture_output=True, text=True, check=False, env=environment
    )


def _counted(host: Host, counter: str) -> int:
    listing = host.check_output(f"sudo nft list counter inet sitewright {counter}")
    return int(re.findall(r"packets (\d+)", listing)[0])


def test_everything_is_dropped_that_no_rule_names(host: Host) -> None:
    listing = host.check_output("sudo nft list table inet sitewright")
    assert listing.count("policy drop;") == 3
    assert listing.count("hook") == 3
    assert "accept comment" in listing
    assert host.service("nftables").is_enabled
    assert "network-pre.target" in host.check_output("systemctl show --property Before --value nftables.service")


def test_what_the_model_needs_goes_through(host: Host) -> None:
    if _is(host, "svc1"):
        assert _connect(host, GATEWAY, REPOSITORY_PORT) == "open"


def test_what_it_does_not_need_is_refused_by_the_caller_itself_and_at_once(host: Host) -> None:
    target = CACHE if _is(host, "gw1") else GATEWAY
    port = CACHE_PORT if _is(host, "gw1") else 22
    before = _counted(host, "denied_out")
    assert _connect(host, target, port) == "refused"
    assert _connect(host, "10.250.0.254", 22) == "refused"
    assert _counted(host, "denied_out") >= before + 2
    assert "Operation not permitted" in host.run(f"bash -c 'echo x >/dev/udp/{target}/53'").stderr


def test_it_is_refused_by_the_one_who_is_called_as_well(host: Host) -> None:
    """A caller who has thrown its own rules away gets no further."""
    if not _is(host, "gw1"):
        return
    cache = host.get_host("ansible://svc1", ansible_inventory=str(_INVENTORY))
    cache.check_output(_LISTENER.format(port=CACHE_PORT, address=CACHE))
    host.check_output("sudo nft delete table inet sitewright")
    try:
        before = _counted(cache, "denied_in")
        assert _connect(host, CACHE, CACHE_PORT) == "no answer"
        assert _connect(host, CACHE, 22) == "no answer"
        assert _counted(cache, "denied_in") >= before + 2
        # It does listen: the host reaches itself.
        assert _connect(cache, CACHE, CACHE_PORT) == "open"
    finally:
        host.check_output("sudo nft -f /etc/nftables.conf")
        cache.check_output("sudo systemctl stop listener.service")


def test_flushed_rules_are_loaded_again_by_the_next_run_which_says_so(host: Host) -> None:
    if not _is(host, "svc1"):
        return
    host.check_output("sudo nft flush ruleset")
    played = _play("converge.yml")
    assert played.returncode == 0, played.stdout
    assert played.stdout.count("changed=1") == 1, played.stdout
    assert host.check_output("sudo nft list table inet sitewright").count("policy drop;") == 3
    assert _play("converge.yml").stdout.count("changed=0") == 2


def test_rules_that_lock_the_controller_out_are_taken_back_by_the_host(host: Host) -> None:
    if not _is(host, "svc1"):
        return
    wanted = host.check_output("sudo nft --stateless list table inet sitewright")
    file = host.check_output("sudo cat /etc/nftables.conf")
    began = time.monotonic()
    played = _play("locked_out.yml")
    waited = time.monotonic() - began
    assert played.returncode != 0, played.stdout
    assert "let no new SSH connection of this controller in" in played.stdout, played.stdout
    assert "went back to its old rules by itself" in played.stdout, played.stdout
    assert waited < _GO_BACK_SECONDS
    assert host.check_output("sudo nft --stateless list table inet sitewright") == wanted
    assert host.check_output("sudo cat /etc/nftables.conf") == file
    assert host.run("systemctl is-active sitewright-firewall-revert.timer").stdout.strip() == "inactive"


def test_rules_come_back_at_boot(host: Host) -> None:
    """What the unit does at boot, without one: it begins from nothing."""
    listing = host.check_output("sudo nft --stateless list table inet sitewright")
    host.check_output("sudo nft flush ruleset")
    host.check_output("sudo systemctl restart nftables.service")
    assert host.check_output("sudo nft --stateless list table inet sitewright") == listing


@pytest.mark.parametrize("counter", ["denied_in", "denied_out"])
def test_what_was_refused_is_counted_by_name(host: Host, counter: str) -> None:
    assert _counted(host, counter) >= 0
