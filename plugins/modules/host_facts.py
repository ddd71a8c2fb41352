#!/usr/bin/python
"""Read the few facts the roles plan with, in the shape Ansible's own setup gives them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_facts
short_description: Memory, processors, file systems and addresses of a host
description:
  - A part of what V(ansible.builtin.setup) finds, under the same names, so a role can be used with either. All that
    setup looks at costs a second run of ten hosts two seconds, and its answers are copied for every task after it.
author:
  - Sitewright
"""

EXAMPLES = r"""
- sitewright.platform.host_facts:
"""

RETURN = r"""
ansible_facts:
  description:
    - "C(memtotal_mb) is physical memory in MiB, C(processor_vcpus) the processors that are online, C(mounts) a list of
      C(mount), C(device), C(fstype) and C(size_total) in bytes."
    - "Each network interface stands under its name: C(device), and C(ipv4) with its first C(address)."
  returned: always
  type: dict
"""

MEMORY = Path("/proc/meminfo")
MOUNTS = Path("/proc/mounts")
KIB_PER_MIB = 1024


def memory_mb() -> int:
    """Physical memory in MiB, rounded down."""
    total = next(line for line in MEMORY.read_text().splitlines() if line.startswith("MemTotal:"))
    return int(total.split()[1]) // KIB_PER_MIB


def mounts() -> list[dict[str, Any]]:
    """File systems on a device or on another machine, each once by its mount point; sizes in bytes."""
    found = {}
    for line in MOUNTS.read_text().splitlines():
        device, point, fstype = (word.encode().decode("unicode_escape") for word in line.split()[:3])
        if not device.startswith("/") and ":/" not in device:
            continue
        try:
            size = os.statvfs(point)
        except OSError:  # a dead network mount, or one root may not look at, holds nothing of ours
            continue
        total = size.f_blocks * size.f_frsize
        found[point] = {"mount": point, "device": device, "fstype": fstype, "size_total": total}
    return list(found.values())


def interfaces(answer: str) -> dict[str, Any]:
    """What `ip -json` says of interfaces with an IPv4 address; a fact's name has no dash."""
    found = {}
    for link in json.loads(answer):
        addresses = [entry["local"] for entry in link.get("addr_info", []) if entry.get("family") == "inet"]
        if addresses:
            name = link["ifname"]
            found[name.replace("-", "_")] = {"device": name, "ipv4": {"address": addresses[0]}}
    return found


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    _, answer, _ = module.run_command(["ip", "-json", "-4", "address", "show"], check_rc=True)
    facts = {
        **interfaces(answer),
        "memtotal_mb": memory_mb(),
        "processor_vcpus": os.cpu_count(),
        "mounts": mounts(),
    }
    module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
