"""The facts the roles plan with have the names and values Ansible's own setup gives them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import host_facts

ADDRESSES = json.dumps(
    [
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1"}]},
        {
            "ifname": "br-lan",
            "addr_info": [{"family": "inet", "local": "10.0.0.5"}, {"family": "inet", "local": "10.0.0.9"}],
        },
        {"ifname": "eth1", "addr_info": []},
        {},
    ]
)


def test_an_interface_is_found_by_its_first_address() -> None:
    found = host_facts.interfaces(ADDRESSES)
    assert found == {
        "lo": {"device": "lo", "ipv4": {"address": "127.0.0.1"}},
        "br_lan": {"device": "br-lan", "ipv4": {"address": "10.0.0.5"}},
    }


def test_only_file_systems_with_a_size_of_their_own_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = tmp_path / "with space"
    spaced.mkdir()
    table = tmp_path / "mounts"
    escaped = str(spaced).replace(" ", r"\040")
    table.write_text(
        f"proc /proc proc rw 0 0\noverlay / overlay rw 0 0\n/dev/x {escaped} ext4 rw 0 0\n"
        f"nas:/share {tmp_path} nfs4 rw 0 0\n/dev/y /does/not/exist ext4 rw 0 0\n"
    )
    monkeypatch.setattr(host_facts, "MOUNTS", table)
    assert [(each["mount"], each["fstype"]) for each in host_facts.mounts()] == [
        (str(spaced), "ext4"),
        (str(tmp_path), "nfs4"),
    ]
    assert all(each["size_total"] > 0 for each in host_facts.mounts())


def test_setup_says_the_same_of_this_machine() -> None:
    argv = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.setup"]
    argv += ["-a", "gather_subset=!all,!min,hardware"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(ended.stdout.split("=>", 1)[1])["ansible_facts"]
    assert host_facts.memory_mb() == said["ansible_memtotal_mb"]
    assert os.cpu_count() == said["ansible_processor_vcpus"]
    sizes = {each["mount"]: each["size_total"] for each in said["ansible_mounts"]}
    assert {each["mount"]: each["size_total"] for each in host_facts.mounts()} == sizes
