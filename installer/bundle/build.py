"""Build a bundle: download, build and assemble at the same time, sign, and put it into place at once."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout
from minisign import PublicKey

from installer.bundle.commands import Commands
from installer.bundle.debian import DebFile, PrivateApt
from installer.bundle.inputs import BuildInputs, read_inputs
from installer.bundle.keys import SigningKeys, ensure_keys, sign_manifest
from installer.bundle.manifest import (
    ARCHIVE_KEY_FILE,
    BUNDLE_KEY_FILE,
    FORMAT,
    MANIFEST_FILE,
    SBOM_FILE,
    SIGNATURE_FILE,
    Manifest,
    format_date,
)
from installer.bundle.payloads import BuiltPayload, build_payload
from installer.bundle.repository import write_repository
from installer.bundle.sbom import write_sbom
from installer.bundle.security import SECURITY_FILE, to_bytes
from installer.bundle.trust import remember_key, trusted_folder
from installer.bundle.verify import describe_files, verify
from installer.bundle.wheels import (
    LOCK_FILE,
    copy_wheels,
    download_wheels,
    python_tag,
)
from installer.controller.debian_mirror import read_debian_mirror
from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from installer.bundle.additions import Addition
    from installer.controller.paths import Paths

ARCHITECTURE: Final = "amd64"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ingredients:
    """What has been downloaded and built, before it is put together."""

    suites: dict[str, datetime]
    security: dict[str, str]
    debs: list[DebFile]
    payloads: list[BuiltPayload]
    wheels: Path

    @property
    def snapshot(self) -> datetime:
        return max(self.suites.values())


def keys_folder(paths: Paths) -> Path:
    """Where this controller's signing keys and its accepted publishers' keys are."""
    return paths.state / "keys"


def build(
    paths: Paths,
    *,
    out: Path,
    report: Callable[[str], None],
    mirror: str = "",
    security_mirror: str = "",
    additions: tuple[Addition, ...] = (),
    refresh: bool = False,
    architecture: str = ARCHITECTURE,
) -> Manifest:
    """Make the bundle of this checkout, or keep the one that is there when it holds the same.

    Args:
        paths: The checkout, the state with the signing keys, and the cache of downloads.
        out: The bundle's folder.
        report: Takes lines for the operator.
        mirror: Debian archive to use instead of the controller's own.
        security_mirror: Its security archive.
        additions: Packages to take from further Debian suites.
        refresh: Ask Debian for newer packages even if a bundle of the same inputs is there.
        architecture: Debian architecture of the hosts.

    Raises:
        BundleError: If something could not be had, built or signed.
    """
    commands = Commands()
    out = out.absolute()
    with _alone(paths.cache / "bundle.lock", report):
        keys = ensure_keys(keys_folder(paths), commands)
        remember_key(PublicKey.from_bytes(keys.bundle_public), trusted_folder(keys_folder(paths)))
        inputs = read_inputs(paths, keys=keys, architecture=architecture, additions=additions)
        _finish_interrupted_swap(out)
        present = _present_bundle(out, inputs, paths, report)
        if present is not None and not refresh:
            report(f"the bundle in {out} is up to date (Debian of {format_date(present.snapshot)})")
            return present
        apt = PrivateApt(
            paths.downloads / "debian",
            mirror=read_debian_mirror(archive=mirror, security=security_mirror),
            architecture=architecture,
            commands=commands,
            additions=additions,
        )
        ingredients = _gather(paths, inputs, apt, commands, report)
        if present is not None and present.suites == ingredients.suites:
            report(f"Debian has nothing newer than {format_date(present.snapshot)}; the bundle in {out} stays")
            return present
        partial = out.with_name(f"{out.name}.partial")
        report("assembling and signing the bundle")
        manifest = _assemble(partial, inputs, ingredients, keys, architecture, commands)
        _swap(partial, out)
        report(f"bundle of {manifest.size / 1e6:.0f} MB in {out} (Debian of {format_date(manifest.snapshot)})")
        return manifest


def _gather(
    paths: Paths, inputs: BuildInputs, apt: PrivateApt, commands: Commands, report: Callable[[str], None]
) -> _Ingredients:
    """Downloads and builds side by side; when one fails, all end."""
    with ThreadPoolExecutor() as pool:
        debian = pool.submit(_fetch_debian, apt, inputs, report)
        lock, wheel_cache = paths.root / LOCK_FILE, paths.downloads / "python"
        wheels = pool.submit(download_wheels, lock, cache=wheel_cache, commands=commands)
        payloads: list[Future[BuiltPayload]] = []
        for payload in inputs.payloads:
            report(f"building {payload.package} {payload.version}")
            job = pool.submit(build_payload, payload, cache=paths.downloads / "payloads", commands=commands)
            payloads.append(job)
        jobs: list[Future[Any]] = [debian, wheels, *payloads]
        try:
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
            for finished in done:
                finished.result()
        except BaseException:
            commands.stop()
            raise
        suites, security, debs = debian.result()
        return _Ingredients(
            suites=suites,
            security=security,
            debs=debs,
            payloads=[job.result() for job in payloads],
            wheels=wheels.result(),
        )


def _fetch_debian(
    apt: PrivateApt, inputs: BuildInputs, report: Callable[[str], None]
) -> tuple[dict[str, datetime], dict[str, str], list[DebFile]]:
    report(f"solving and downloading {len(inputs.debian_packages)} Debian packages with all they need")
    for addition in inputs.additions:
        report(f"of {addition.suite}: {', '.join(addition.packages)}, and nothing else")
    suites = apt.update()
    debs = apt.download(inputs.debian_packages)
    report(f"{len(debs)} Debian packages are here")
    return suites, apt.security_versions(), debs


def _assemble(
    folder: Path,
    inputs: BuildInputs,
    ingredients: _Ingredients,
    keys: SigningKeys,
    architecture: str,
    commands: Commands,
) -> Manifest:
    """Lay the bundle down, list it, sign the list."""
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "keys").mkdir(parents=True)
    (folder / ARCHIVE_KEY_FILE).write_bytes(keys.archive_public)
    (folder / BUNDLE_KEY_FILE).write_bytes(keys.bundle_public)
    if ingredients.security:
        (folder / SECURITY_FILE).write_bytes(to_bytes(ingredients.security))
    ours = {built.payload.file_name: built.deb for built in ingredients.payloads}
    packages = write_repository(
        folder / "apt",
        debs={deb.name: deb.path for deb in ingredients.debs} | ours,
        payloads=ours,
        architecture=architecture,
        keys=keys,
        moment=ingredients.snapshot,
        commands=commands,
    )
    wheels = copy_wheels(ingredients.wheels, folder / "python")
    (folder / SBOM_FILE).write_bytes(
        write_sbom(
            packages=packages,
            wheels=wheels,
            components=[part for built in ingredients.payloads for part in built.components],
            files=describe_files(folder),
            inputs=inputs.digest,
            moment=ingredients.snapshot,
        )
    )
    manifest = Manifest(
        format=FORMAT,
        release=inputs.release,
        inputs=inputs.digest,
        snapshot=ingredients.snapshot,
        suites=ingredients.suites,
        additions={addition.suite: list(addition.packages) for addition in inputs.additions},
        architecture=architecture,
        python=python_tag(),
        archive_key=keys.archive_fingerprint,
        bundle_key=keys.bundle_id,
        packages=packages,
        wheels=wheels,
        files=describe_files(folder),
    )
    data = manifest.to_bytes()
    (folder / MANIFEST_FILE).write_bytes(data)
    (folder / SIGNATURE_FILE).write_bytes(sign_manifest(data, keys=keys, moment=ingredients.snapshot))
    return manifest


def _present_bundle(out: Path, inputs: BuildInputs, paths: Paths, report: Callable[[str], None]) -> Manifest | None:
    """The bundle that is there, if it is whole and made of the same inputs."""
    if not (out / MANIFEST_FILE).exists():
        return None
    try:
        manifest = verify(out, trusted=trusted_folder(keys_folder(paths)), report=report)
    except BundleError as error:
        report(f"building anew: {error.message}")
        return None
    return manifest if manifest.inputs == inputs.digest else None


def _swap(partial: Path, out: Path) -> None:
    """Put the finished bundle where the old one was; what is in place is whole at any moment."""
    previous = out.with_name(f"{out.name}.previous")
    if out.exists():
        out.rename(previous)
    partial.rename(out)
    if previous.exists():
        shutil.rmtree(previous)


def _finish_interrupted_swap(out: Path) -> None:
    """After a power loss between the two renames the old bundle is still there under another name."""
    previous = out.with_name(f"{out.name}.previous")
    if not previous.exists():
        return
    if out.exists():
        shutil.rmtree(previous)
    else:
        previous.rename(out)


@contextmanager
def _alone(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other build uses this cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        report(f"waiting for another bundle build on this controller (lock {path}, mine is process {os.getpid()})")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
