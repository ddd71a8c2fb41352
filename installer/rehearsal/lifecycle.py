"""Bring a site's throwaway hosts up, look at them, and leave nothing of them behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.controller.commands import Job, ensure_commands
from installer.controller.logins import close_logins, sockets_folder
from installer.errors import ConfigurationError
from installer.rehearsal import cgroups, hosts
from installer.rehearsal.accelerator import accelerator, kernel_of
from installer.rehearsal.access import ensure_login_key, wait_for_login, write_known_hosts
from installer.rehearsal.image import ensure_image
from installer.rehearsal.model import Machine, Rehearsal, RehearsalSpec, namespace_of
from installer.rehearsal.network import ensure_network, raise_inotify_limit, remove_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from installer.controller.paths import Paths

# Which folder a site's namespace and control groups belong to; forgotten at reboot, as they are.
_OWNERS: Final = Path("/run/sitewright/rehearsals")
_RECORD: Final = "rehearsal.json"
# The second is for a processor in software, on a controller that has other work.
_BOOT_SECONDS: Final[Mapping[Machine, float]] = {Machine.CONTAINER: 180.0, Machine.VIRTUAL_MACHINE: 900.0}
_JOBS: Final[Mapping[Machine, Sequence[Job]]] = {
    Machine.CONTAINER: (Job.REHEARSAL, Job.SSH),
    Machine.VIRTUAL_MACHINE: (Job.REHEARSAL, Job.VIRTUAL_MACHINES, Job.SSH),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalState:
    """What is known of one rehearsal on this machine."""

    site: str
    folder: Path
    machine: Machine
    running: dict[str, bool]


def up(spec: RehearsalSpec, paths: Paths, say: Callable[[str], None], *, mirror: str = "") -> Rehearsal:
    """Have every host of the site running and ready for a login.

    Hosts that run are kept as they are, hosts that died are booted again from their own disk.

    Raises:
        ConfigurationError: If this machine or the inventory does not allow it.
        PlaybookError: If a host does not come up.
    """
    _require_root()
    ensure_commands(jobs_of(spec.machine), say)
    image = ensure_image(paths.base_images, say, mirror=mirror, machine=spec.machine)
    if spec.machine is Machine.VIRTUAL_MACHINE:
        accelerator(kernel_of(image), say)
    folder = paths.rehearsal(spec.site)
    with _locked(paths.rehearsals):
        _finish_removals(paths.rehearsals)
        _take_ownership(spec.site, folder)
        rehearsal = Rehearsal(spec=_merge(spec, folder), folder=folder)
        _write_record(rehearsal)
        raise_inotify_limit(say)
        ensure_network(rehearsal)
        login_key = ensure_login_key(rehearsal)
        for name in rehearsal.spec.hosts:
            hosts.prepare_host(rehearsal, name, image=image, login_key=login_key)
        write_known_hosts(rehearsal)
        _boot_all(rehearsal, list(spec.hosts), say)
    return replace(rehearsal, spec=spec)


def down(site: str, paths: Paths, say: Callable[[str], None]) -> bool:
    """Remove every process, mount, namespace, interface and file of a rehearsal.

    Works on one that is half up, half down, or hanging; true when there was something.

    Raises:
        ConfigurationError: If the rehearsal belongs to another checkout.
        PlaybookError: If a process cannot be ended.
    """
    _require_root()
    folder = paths.rehearsal(site)
    with _locked(paths.rehearsals):
        _finish_removals(paths.rehearsals)
        owner = _OWNERS / site
        if not folder.exists() and not owner.is_symlink():
            return False
        _take_ownership(site, folder)
        say(f"removing the rehearsal of {site}")
        close_logins(sockets_folder(folder))
        cgroups.kill_group(cgroups.site_group(site))
        remove_network(namespace_of(site))
        if folder.exists():
            folder.rename(paths.rehearsals / f".removing-{site}")
        _finish_removals(paths.rehearsals)
        owner.unlink()
        with suppress(OSError):  # other rehearsals are registered there, too
            _OWNERS.rmdir()
            _OWNERS.parent.rmdir()
    with suppress(OSError):  # other rehearsals are kept there, too
        paths.rehearsals.rmdir()
    return True


def jobs_of(machine: Machine) -> Sequence[Job]:
    """What the controller needs programs for."""
    return _JOBS[machine]


def machine_of(site: str, paths: Paths) -> Machine | None:
    """What the hosts of a site's rehearsal are; None when there is no rehearsal."""
    rehearsal = _read_record(paths.rehearsal(site))
    return None if rehearsal is None else rehearsal.spec.machine


def find(site: str, paths: Paths) -> Rehearsal:
    """The rehearsal of a site, as it was last brought up.

    Raises:
        ConfigurationError: If there is none.
    """
    folder = paths.rehearsal(site)
    rehearsal = _read_record(folder)
    if rehearsal is None:
        raise ConfigurationError(
            f"there is no rehearsal of {site}",
            hint=f"bring it up with: ./install rehearse up --inventory {site}",
        )
    return rehearsal


def list_rehearsals(paths: Paths) -> list[RehearsalState]:
    """Every rehearsal of this checkout, and those of others that run on this machine."""
    folders = {path.parent.resolve() for path in paths.rehearsals.glob(f"*/{_RECORD}")}
    if _OWNERS.is_dir():
        folders |= {link.resolve() for link in _OWNERS.iterdir() if link.exists()}
    found = [rehearsal for f in sorted(folders) if (rehearsal := _read_record(f)) is not None]
    return [
        RehearsalState(
            site=rehearsal.spec.site,
            folder=rehearsal.folder,
            machine=rehearsal.spec.machine,
            running={name: hosts.runs(rehearsal, name) for name in rehearsal.spec.hosts},
        )
        for rehearsal in found
    ]


def boot(rehearsal: Rehearsal, name: str) -> None:
    """Switch one host on again and wait until it can be logged into."""
    _require_root()
    rehearsal.host_folder(name)
    if not hosts.runs(rehearsal, name):
        close_logins(sockets_folder(rehearsal.folder))
        hosts.boot_host(rehearsal, name)
    wait_for_login(rehearsal, name, fresh=False, seconds=_BOOT_SECONDS[rehearsal.spec.machine])


def _boot_all(rehearsal: Rehearsal, names: list[str], say: Callable[[str], None]) -> None:
    """Boot at the same time whatever does not run; then wait for all of them."""
    started = time.monotonic()
    seconds = _BOOT_SECONDS[rehearsal.spec.machine]
    off = [name for name in names if not hosts.runs(rehearsal, name)]
    fresh = {name for name in off if hosts.is_fresh(rehearsal, name)}
    if off:
        close_logins(sockets_folder(rehearsal.folder))  # a login from before would wait for the host that died
    for name in off:
        hosts.boot_host(rehearsal, name)
    with ThreadPoolExecutor(max_workers=max(len(names), 1)) as pool:
        waits = [pool.submit(wait_for_login, rehearsal, name, fresh=name in fresh, seconds=seconds) for name in names]
        errors = [error for wait in waits if (error := wait.exception()) is not None]
    if errors:
        raise errors[0]
    if off:
        took = time.monotonic() - started
        say(f"{len(off)} rehearsal hosts of {rehearsal.spec.site} are up after {took:.1f} s")


def _merge(spec: RehearsalSpec, folder: Path) -> RehearsalSpec:
    """What is asked for, and hosts of before that the inventory no longer names.

    A host that left the inventory does not vanish from the server room either.
    """
    before = _read_record(folder)
    if before is None:
        return spec
    if before.spec.machine is not spec.machine:
        raise ConfigurationError(
            f"the rehearsal of {spec.site} was brought up as {before.spec.machine}, not as {spec.machine}",
            hint=f"start over with: ./install rehearse down --inventory {spec.site}",
        )
    changed = [name for name, address in before.spec.hosts.items() if spec.hosts.get(name, address) != address]
    if changed or before.spec.network != spec.network:
        what = f"the address of {changed[0]}" if changed else "the network"
        raise ConfigurationError(
            f"{what} changed since the rehearsal of {spec.site} was brought up",
            hint=f"start over with: ./install rehearse down --inventory {spec.site}",
        )
    return replace(spec, hosts={**before.spec.hosts, **spec.hosts})


def _register(link: Path, folder: Path) -> None:
    """Make the link, and the folder it lies in as often as the end of another rehearsal removes that."""
    while True:
        with suppress(FileNotFoundError):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder)
            return


def _take_ownership(site: str, folder: Path) -> None:
    """Register that a site's global names are this folder's; sweep what no host of another uses any more."""
    link = _OWNERS / site
    try:
        _register(link, folder)
    except FileExistsError:
        owner = link.readlink()
        if owner == folder:
            return
        if (owner / _RECORD).exists() and cgroups.is_populated(cgroups.site_group(site)):
            raise ConfigurationError(
                f"{site} is already being rehearsed from another checkout: {owner}",
                hint="end that rehearsal there first: ./install rehearse down",
            ) from None
        close_logins(sockets_folder(owner))
        cgroups.kill_group(cgroups.site_group(site))
        remove_network(namespace_of(site))
        link.unlink()
        link.symlink_to(folder)


def _write_record(rehearsal: Rehearsal) -> None:
    folder = rehearsal.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts").mkdir(exist_ok=True)
    new = folder / f"{_RECORD}.new"
    new.write_text(rehearsal.to_json(), encoding="utf-8")
    new.rename(folder / _RECORD)


def _read_record(folder: Path) -> Rehearsal | None:
    try:
        text = (folder / _RECORD).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Rehearsal.from_json(text, folder)


def _finish_removals(rehearsals: Path) -> None:
    """Delete what `down` has set aside, also when it was killed in the middle."""
    for folder in rehearsals.glob(".removing-*"):
        shutil.rmtree(folder)


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ConfigurationError(
            "rehearsal hosts need root: they have namespaces and mounts of their own",
            hint="run the same command with sudo",
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change rehearsals of this checkout; the folder is the lock."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(folder, handle):
                yield
                return
            # The last rehearsal went away while we waited, and the folder with it.
        finally:
            os.close(handle)


def _is_still(folder: Path, handle: int) -> bool:
    """Whether the folder of this name is the one that was opened."""
    try:
        return folder.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False
