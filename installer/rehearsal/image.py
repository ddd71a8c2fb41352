"""The base image of rehearsal hosts: a minimal Debian 13, built once per recipe."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.controller.debian_mirror import SUITE, DebianMirror, read_debian_mirror
from installer.errors import ConfigurationError
from installer.rehearsal.model import LOGIN_USER, Machine
from installer.rehearsal.tools import call, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PACKAGES: Final = (
    *("ca-certificates", "dbus", "iproute2", "libpam-systemd", "nftables", "openssh-server"),
    *("procps", "python3", "python3-apt", "sudo", "systemd", "systemd-sysv"),
)
# Masked: keys and consoles the hosts get otherwise, or never use; each costs time at every boot.
_MASKED: Final = ("sshd-keygen.service", "console-getty.service", "getty@tty1.service")
_NETWORK_UNIT: Final = """\
[Unit]
Description=Address of a rehearsal host
DefaultDependencies=no
Before=network.target shutdown.target
Wants=network.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=/etc/rehearsal-address
ExecStart=/usr/bin/ip address replace ${ADDRESS} dev host0
ExecStart=/usr/bin/ip link set dev host0 up

[Install]
WantedBy=multi-user.target
"""
_FILES: Final = {
    f"etc/sudoers.d/{LOGIN_USER}": (f"{LOGIN_USER} ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440),
    "etc/systemd/system/rehearsal-network.service": (_NETWORK_UNIT, 0o644),
    # Only the key we make per host; a missing RSA key would be a warning at each login.
    "etc/ssh/sshd_config.d/rehearsal.conf": ("HostKey /etc/ssh/ssh_host_ed25519_key\n", 0o644),
    # Without lingering a login after an idle minute waits for the old user manager to end.
    f"var/lib/systemd/linger/{LOGIN_USER}": ("", 0o644),
    "etc/resolv.conf": ("", 0o644),
    "etc/hostname": ("", 0o644),
    "etc/machine-id": ("", 0o444),
}
# What a machine has and a container has not. Debian recommends apparmor with its kernels, so a server has it.
_MACHINE_PACKAGES: Final = ("apparmor", "initramfs-tools", "kmod", "linux-image-cloud-amd64", "udev", "zstd")
_LINK: Final = """\
[Match]
Driver=virtio_net

[Link]
Name=host0
"""
_CARD: Final = """\
[Unit]
Wants=sys-subsystem-net-devices-host0.device
After=sys-subsystem-net-devices-host0.device network-pre.target
"""
_MACHINE_FILES: Final = {
    # The name systemd-nspawn gives a container's card.
    "etc/systemd/network/10-rehearsal.link": (_LINK, 0o644),
    # A card is found some time after the start; and as with every network, what guards it comes before it.
    "etc/systemd/system/rehearsal-network.service.d/card.conf": (_CARD, 0o644),
}
# What mmdebstrap and package scripts leave behind and no two hosts may share.
_REMOVED: Final = (
    *("etc/ssh/ssh_host_*", "etc/apt/apt.conf.d/99mmdebstrap", "var/lib/dbus/machine-id"),
    *("var/log/apt/*", "var/log/dpkg.log", "var/log/alternatives.log", "var/cache/ldconfig/*"),
)
_RECIPE: Final = 1
_BUILD_SECONDS: Final = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a base image is made of.

    Attributes:
        purpose: What hosts it is for, as the operator reads it.
        packages: Debian's packages, without what they depend on.
        masked: Units that never start.
        files: Content and mode by path.
    """

    purpose: str
    packages: tuple[str, ...]
    masked: tuple[str, ...]
    files: Mapping[str, tuple[str, int]] = field(repr=False)


RECIPES: Final[Mapping[Machine, Recipe]] = {
    Machine.CONTAINER: Recipe(
        purpose="the rehearsal hosts (once, about half a minute)", packages=PACKAGES, masked=_MASKED, files=_FILES
    ),
    Machine.VIRTUAL_MACHINE: Recipe(
        purpose="the virtual machines (once, about a minute)",
        packages=(*PACKAGES, *_MACHINE_PACKAGES),
        masked=(*_MASKED, "serial-getty@ttyS0.service"),
        files={**_FILES, **_MACHINE_FILES},
    ),
}


def ensure_image(
    images: Path, say: Callable[[str], None], *, mirror: str = "", machine: Machine = Machine.CONTAINER
) -> Path:
    """The folder of the base image, built first if this recipe's is not there yet.

    Raises:
        ConfigurationError: If there is no mirror, or it does not give what the image needs.
    """
    recipe = RECIPES[machine]
    image = images / recipe_hash(recipe)
    if image.is_dir():
        return image
    images.mkdir(parents=True, exist_ok=True)
    with _locked(images):
        if image.is_dir():
            return image
        for leftover in images.glob(".building-*"):
            shutil.rmtree(leftover)
        say(f"building the base image of {recipe.purpose}")
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=images))
        building.chmod(0o755)
        _bootstrap(building, recipe, read_debian_mirror(archive=mirror), images / "build.log")
        _finish(building, recipe)
        building.rename(image)
    return image


def recipe_hash(recipe: Recipe) -> str:
    """Changes whenever the image would come out different."""
    architecture = call(["dpkg", "--print-architecture"], purpose="learn the architecture")
    inputs = [_RECIPE, SUITE, architecture.strip(), recipe.packages, recipe.masked, sorted(recipe.files.items())]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]


def _bootstrap(target: Path, recipe: Recipe, mirror: DebianMirror, log: Path) -> None:
    """Fill a folder with Debian; mounts made on the way vanish with the process."""
    argv = [
        *("unshare", "--mount", "--propagation", "private"),
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
        f"--include={','.join(recipe.packages)}",
        *[f"--aptopt={option.removesuffix(';')}" for option in mirror.apt_options],
        "--dpkgopt=force-unsafe-io",  # throwaway hosts: what a crash loses can be made again
        *(SUITE, str(target), "-"),
    ]
    with log.open("w", encoding="utf-8") as output:
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the arguments are ours
                argv,
                check=False,
                input=mirror.sources(),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                env=clean_environment(**_proxies(), SOURCE_DATE_EPOCH="0"),
                timeout=_BUILD_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise ConfigurationError(
                f"building the base image took more than {_BUILD_SECONDS} s (see {log})",
                hint="see whether the Debian mirror answers, then run the same command again",
            ) from error
    if done.returncode != 0:
        complaints = [line for line in log.read_text().splitlines() if line.startswith("E:")]
        detail = next(iter(complaints), f"mmdebstrap ended with {done.returncode}")
        raise ConfigurationError(
            f"the base image could not be built: {detail} (see {log})",
            hint="see whether the Debian mirror answers, then run the same command again",
        )


def _proxies() -> dict[str, str]:
    """The way to the mirror may be a proxy; it is used for the build, not kept in the image."""
    names = ("http_proxy", "https_proxy", "no_proxy")
    return {name: os.environ[name] for name in names if name in os.environ}


def _finish(root: Path, recipe: Recipe) -> None:
    """Make the minimal Debian a host that can be logged into, and that has nobody's identity."""
    purpose = "prepare the base image"
    chroot = ["chroot", str(root)]
    call(
        [*chroot, "useradd", "--create-home", "--uid=1000", "--shell=/bin/bash", LOGIN_USER],
        purpose=purpose,
    )
    for pattern in _REMOVED:
        for path in root.glob(pattern):
            path.unlink()
    for name, (content, mode) in recipe.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
    call([*chroot, "systemctl", "enable", "ssh.service", "rehearsal-network.service"], purpose=purpose)
    call([*chroot, "systemctl", "mask", *recipe.masked], purpose=purpose)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time build images; the lock is the folder itself."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
