"""What the controller itself needs from Debian: said, and installed when we may."""

from __future__ import annotations

import os
import shutil
import subprocess
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Job(StrEnum):
    """A kind of work that calls programs of the controller."""

    SSH = "reach hosts"
    REHEARSAL = "rehearse"
    VIRTUAL_MACHINES = "run virtual machines"
    BUNDLE = "build a bundle"


_COMMANDS: Final[Mapping[Job, Mapping[str, str]]] = {
    Job.SSH: {
        "ssh": "openssh-client",
        "ssh-keygen": "openssh-client",
    },
    Job.REHEARSAL: {
        "mmdebstrap": "mmdebstrap",
        "systemd-nspawn": "systemd-container",
        "nsenter": "util-linux",
        "ip": "iproute2",
        "mount": "mount",
        "sysctl": "procps",
        "curl": "curl",
    },
    Job.VIRTUAL_MACHINES: {
        "mkfs.ext4": "e2fsprogs",
        "qemu-system-x86_64": "qemu-system-x86",
    },
    Job.BUNDLE: {
        "apt-ftparchive": "apt-utils",
        "dpkg-deb": "dpkg",
        "gpg": "gnupg",
        "gpg-agent": "gnupg",
        "javac": "default-jdk-headless",
        "mvn": "maven",
        "node": "nodejs",
        "npm": "npm",
        "unzip": "unzip",
        "xz": "xz-utils",
    },
}
# An ordinary user's PATH lacks the folders where ip and sysctl may live.
_SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
_INSTALL_SECONDS: Final = 1800


def commands_for(jobs: Iterable[Job]) -> dict[str, str]:
    """The programs these jobs call, each with the Debian package it comes from."""
    return {command: package for job in jobs for command, package in _COMMANDS[job].items()}


def missing_packages(jobs: Iterable[Job], *, search_path: str | None = None) -> list[str]:
    """The Debian packages whose programs these jobs call and this controller lacks."""
    own = os.environ.get("PATH", os.defpath) if search_path is None else search_path
    folders = own if search_path is not None else os.pathsep.join([own, *_SYSTEM_FOLDERS])
    absent = {package for command, package in commands_for(jobs).items() if shutil.which(command, path=folders) is None}
    return sorted(absent)


def ensure_commands(jobs: Iterable[Job], say: Callable[[str], None]) -> list[str]:
    """Install what these jobs need and the controller lacks; return what was installed.

    Raises:
        ConfigurationError: If something is missing and cannot be installed from here.
    """
    wanted = list(jobs)
    packages = missing_packages(wanted)
    if not packages:
        return []
    purpose = " and ".join(wanted)
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ConfigurationError(
            f"this controller lacks what it takes to {purpose}: {', '.join(packages)}",
            hint=f"run as root: {command}",
        )
    say(f"installing on this controller, to {purpose}: {', '.join(packages)}")
    problem = _install(packages)
    if problem:
        say("refreshing this controller's package lists")
        _apt_get(["update"])
        problem = _install(packages)
    still_missing = missing_packages(wanted)
    if problem or still_missing:
        raise ConfigurationError(
            f"apt could not install {', '.join(still_missing or packages)}: {problem or 'not found afterwards'}",
            hint=f"run as root and read what apt says: {command}",
        )
    return packages


def _install(packages: list[str]) -> str:
    return _apt_get(["install", "--no-install-recommends", "--yes", *packages])


def _apt_get(arguments: list[str]) -> str:
    """Run apt-get; return its last complaint, empty when it succeeded."""
    lock = ["-o", "DPkg::Lock::Timeout=120"]  # another apt may be at work; wait for it
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the arguments are our own table
            ["apt-get", *lock, *arguments],  # noqa: S607 - found on PATH, as everywhere
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get {arguments[0]} took more than {_INSTALL_SECONDS} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"apt-get {arguments[0]} ended with {done.returncode}"
