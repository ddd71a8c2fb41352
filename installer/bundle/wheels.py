"""The controller's own software for an offline start: the lock file's distributions."""

from __future__ import annotations

import hashlib
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.utils import parse_sdist_filename, parse_wheel_filename

from installer.bundle.manifest import WheelEntry

if TYPE_CHECKING:
    from installer.bundle.commands import Commands

LOCK_FILE: Final = "requirements.txt"
_RETRY: Final = "see that pip works on this controller, then run the same command again"


def python_tag() -> str:
    """The Python and platform the downloaded wheels fit."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{sysconfig.get_platform()}"


def download_wheels(lock: Path, *, cache: Path, commands: Commands) -> Path:
    """Fetch all distributions of the lock file, each checked against its hash; return their folder."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    folder = cache / f"{python_tag()}-{digest[:16]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=cache) as scratch:
        fresh = Path(scratch, "python")
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
        argv += ["--prefer-binary", "--dest", str(fresh), "--requirement", str(lock)]
        environment = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        commands.run(argv, doing="downloading the controller's wheels", hint=_RETRY, environment=environment)
        fresh.rename(folder)
    return folder


def copy_wheels(source: Path, destination: Path) -> list[WheelEntry]:
    """Put the distributions into the bundle; return what they are."""
    destination.mkdir()
    entries = []
    for path in sorted(source.iterdir()):
        shutil.copyfile(path, destination / path.name)
        if path.suffix == ".whl":
            name, version, *_ = parse_wheel_filename(path.name)
        else:
            name, version = parse_sdist_filename(path.name)
        entries.append(WheelEntry(name=name, version=str(version), file=f"{destination.name}/{path.name}"))
    return sorted(entries, key=lambda entry: entry.name)
