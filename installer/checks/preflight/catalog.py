"""Ids of all preflight checks: what a waiver may name and what docs/checks.md explains."""

from __future__ import annotations

from typing import Final

# Size and speed say how well a site will run, not whether it can: a rehearsal waives these by itself.
SIZES: Final = frozenset({"cpu.cores", "memory.size", "disk.size", "disk.ssd", "disk.fsync", "network.speed"})

CHECKS: Final[dict[str, str]] = {
    "connection.ssh": "the controller can log in",
    "connection.sudo": "the login may become root, without a password or with the one that was given",
    "connection.python": "Python 3 is there for Ansible's modules",
    "os.release": "Debian 13",
    "os.systemd": "systemd is the init system and answers",
    "cpu.cores": "cores for what the host carries",
    "memory.size": "memory for what the host carries",
    "memory.budget": "the services of a host together fit into its memory",
    "disk.size": "size of the volume under each data directory",
    "disk.ssd": "data directories are not on spinning disks",
    "disk.fsync": "99th percentile of a synchronous write under the services that wait for it",
    "clock.offset": "the host's clock agrees with the controller's",
    "clock.daemon": "no second time daemon beside chrony",
    "clock.timezone": "time zone of the site",
    "names.resolve": "a name that resolves already resolves to the inventory's address",
    "ports.free": "the platform's ports are not taken by others",
    "network.address": "the inventory's address is on an interface",
    "network.speed": "speed of that interface",
    "network.mtu": "full packets cross, there and back, between hosts that will talk",
    "network.reach": "each host reaches those it will talk to, on the ports that will be used",
    "data.existing": "data directories are empty or this site's own",
    "bundle.space": "room for the packages",
}
