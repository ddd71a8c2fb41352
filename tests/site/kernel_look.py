"""Runs on a rehearsal host, as root: what of its kernel's part is in force, as one JSON object."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path


def run(*argv: str) -> str:
    """What a program says, its complaints too; nothing when the host does not have it."""
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    return (done.stdout + done.stderr).strip()


def read(path: str) -> str:
    """A file of the kernel's; nothing when this kernel does not show it."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def settings() -> dict[str, list[str]]:
    """Each sysctl that our files want: what they want and what is."""
    found = {}
    for file in sorted(Path("/etc/sysctl.d").glob("*.conf")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if "=" in line and line.strip()[0] not in "#;":
                key, wanted = (part.strip() for part in line.split("=", 1))
                key = key.removeprefix("-")
                is_now = read("/proc/sys/" + key.replace(".", "/"))
                found[key] = [" ".join(wanted.split()), " ".join(is_now.split())]
    return found


def modules() -> dict[str, str]:
    """Each module that our files refuse: whether the kernel has it, and whether it comes when it is called."""
    found = {}
    for file in sorted(Path("/etc/modprobe.d").glob("*sitewright*.conf")):
        for name in re.findall(r"^install (\S+) /bin/false", file.read_text(encoding="utf-8"), re.MULTILINE):
            if shutil.which("modprobe") is None:
                found[name] = "no modprobe"
                continue
            known = subprocess.run(
                ["modprobe", "--ignore-install", "--dry-run", name], capture_output=True, check=False
            )
            called = subprocess.run(["modprobe", name], capture_output=True, check=False)
            is_in = Path("/sys/module", name.replace("-", "_")).exists()
            state = "refused" if called.returncode and not is_in else "LOADED"
            found[name] = state if known.returncode == 0 else f"{state}, not in this kernel"
    return found


def units() -> dict[str, list[str]]:
    """Every unit that the boot wants: state, microsecond of its start, and what keeps it from it."""
    listed = run("systemctl", "list-dependencies", "--all", "--plain").splitlines()
    names = sorted({line.strip("● ") for line in listed} - {""})
    shown = run("systemctl", "show", "--property=Id,ActiveState,InactiveExitTimestampMonotonic", "--", *names)
    found = {}
    for block in shown.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines())
        name, state = unit["Id"], unit["ActiveState"]
        # systemd forgets a unit that it did not start.
        said = run("systemd-analyze", "condition", f"--unit={name}") if state == "inactive" else ""
        failed = [line for line in said.splitlines() if line.endswith(" failed.")]
        found[name] = [state, unit["InactiveExitTimestampMonotonic"], *failed]
    return found


def watchdogs() -> dict[str, str]:
    """Each watchdog of the kernel: who it is and whether somebody feeds it."""
    found = {}
    for folder in sorted(Path("/sys/class/watchdog").glob("*")):
        shown = [f"{name} {read(f'{folder}/{name}')}" for name in ("identity", "state", "timeout")]
        found[folder.name] = ", ".join(shown)
    return found


def openers(path: str) -> list[str]:
    """Programs that hold a device."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == path:
                found.append(read(f"/proc/{link.parts[2]}/comm"))
        except OSError:
            continue
    return sorted(found)


def profiles() -> list[str]:
    """AppArmor's profiles that are enforced."""
    shown = read("/sys/kernel/security/apparmor/profiles").splitlines()
    return sorted(line.rsplit(" ", 1)[0] for line in shown if line.endswith("(enforce)"))


def confined() -> list[str]:
    """Programs that run under an enforced profile."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        profile = read(f"{folder}/attr/apparmor/current") or read(f"{folder}/attr/current")
        if profile.endswith("(enforce)"):
            found.add(read(f"{folder}/comm"))
    return sorted(found)


json.dump(
    {
        "kernel": os.uname().release,
        "virtualization": run("systemd-detect-virt"),
        "boot": read("/proc/sys/kernel/random/boot_id"),
        "system": run("systemctl", "is-system-running"),
        "failed": run("systemctl", "--failed", "--plain", "--no-legend"),
        "sysctl": settings(),
        "modules": modules(),
        "units": units(),
        "tracking": run("chronyc", "-n", "-c", "tracking"),
        "clock": run("timedatectl", "show", "--property=NTPSynchronized", "--value"),
        "watchdogs": watchdogs(),
        "watchdog held by": sorted({*openers("/dev/watchdog"), *openers("/dev/watchdog0")}),
        "huge pages": read("/proc/sys/vm/nr_hugepages"),
        "transparent huge pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "apparmor": read("/sys/module/apparmor/parameters/enabled"),
        "profiles": profiles(),
        "confined": confined(),
        "audit": run("auditctl", "-s"),
        "audit rules": run("auditctl", "-l").splitlines(),
        "rule set": run("nft", "--stateless", "list", "ruleset"),
    },
    sys.stdout,
)
