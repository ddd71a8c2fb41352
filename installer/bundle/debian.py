"""Solve and download Debian 13 packages in an apt of our own, whatever the controller itself runs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from debian.deb822 import Deb822

from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from installer.bundle.commands import Commands
    from installer.controller.debian_mirror import DebianMirror

# What a Debian 13 host has before we come. It is in the bundle too: a package we add may need a newer
# library than a host has, and then everything built from the library's source has to go along.
HOST_BASE: Final = (
    *("?essential", "?priority(required)", "?priority(important)"),
    *("ca-certificates", "dbus", "iproute2", "libpam-systemd", "nftables", "openssh-server", "procps"),
    *("python3", "python3-apt", "sudo", "systemd-sysv"),
)
_URI: Final = re.compile(r"^'(\S+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$")
_RETRY: Final = "see that this controller reaches its Debian mirror (or name one with --mirror), then run again"
_ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DebFile:
    """A package file as it came from Debian.

    Attributes:
        path: Where it lies.
        name: Its name in a pool: without the epoch, which is awkward in addresses.
        sha256: Hash that Debian's signed index gives.
    """

    path: Path
    name: str
    sha256: str


class PrivateApt:
    """An apt with its own lists, cache and an empty status: as if nothing were installed."""

    def __init__(self, folder: Path, *, mirror: DebianMirror, architecture: str, commands: Commands) -> None:
        """Write the configuration; nothing is fetched yet."""
        self._folder = folder
        self._commands = commands
        self._config = folder / "apt.conf"
        for name in ("state/lists/partial", "debs/partial", "none/partial", "etc/parts", "etc/preferences.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state/status").write_text("", encoding="utf-8")
        # From a mirror on a disk apt would use packages in place; we need every one in the cache.
        sources = mirror.sources().replace("] file:", "] copy:")
        (folder / "etc/sources.list").write_text(sources, encoding="utf-8")
        self._config.write_text(_configuration(folder, mirror, architecture), encoding="utf-8")

    def update(self) -> dict[str, datetime]:
        """Fetch the package lists; return the date of each suite."""
        self._run(["apt-get", "update"], "fetching Debian's package lists")
        dates = {}
        for release in sorted((self._folder / "state/lists").glob("*Release")):
            with release.open(encoding="utf-8") as stream:
                fields = Deb822(stream)
            dates[_suite_name(fields)] = parsedate_to_datetime(fields["Date"])
        return dates

    def download(self, packages: Iterable[str]) -> list[DebFile]:
        """Fetch these packages and all they need; what the cache has already is not fetched again.

        Raises:
            BundleError: If a package does not exist, the closure has no solution, or a file is not
                what Debian's signed index says.
        """
        wanted = sorted({*packages, *HOST_BASE})
        listing = self._run(
            # Against an empty cache, because apt lists only what it would still fetch.
            ["apt-get", "install", "--print-uris", "-o", f"Dir::Cache::archives={self._folder}/none", *wanted],
            "solving the packages' dependencies",
        )
        files = sorted((self._file(match) for match in map(_URI.match, listing.splitlines()) if match), key=_by_name)
        for _ in range(_ATTEMPTS):
            self._run(["apt-get", "install", "--download-only", *wanted], "downloading Debian packages")
            damaged = [file for file in files if _sha256(file.path) != file.sha256]
            if not damaged:
                return files
            for file in damaged:  # apt itself looks only at the size of what it finds in its cache
                file.path.unlink(missing_ok=True)
        raise BundleError(f"{damaged[0].path} is not what Debian's index says", hint=_RETRY)

    def _file(self, match: re.Match[str]) -> DebFile:
        uri, cached, _, sha256 = match.groups()
        return DebFile(path=self._folder / "debs" / cached, name=unquote(PurePosixPath(uri).name), sha256=sha256)

    def _run(self, argv: list[str], doing: str) -> str:
        quiet = ["--quiet=2", "--yes"]
        environment = {"APT_CONFIG": str(self._config), "DEBIAN_FRONTEND": "noninteractive"}
        return self._commands.run([argv[0], *quiet, *argv[1:]], doing=doing, hint=_RETRY, environment=environment)


def _configuration(folder: Path, mirror: DebianMirror, architecture: str) -> str:
    """The apt.conf: everything of its own but the way to the mirror and the keys to it."""
    settings = {
        "Dir::State": f"{folder}/state",
        "Dir::State::status": f"{folder}/state/status",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Cache::archives": f"{folder}/debs",
        "Dir::Etc": f"{folder}/etc",
        "Dir::Etc::sourcelist": f"{folder}/etc/sources.list",
        "Dir::Etc::sourceparts": f"{folder}/etc/parts",
        "Dir::Etc::parts": f"{folder}/etc/parts",
        "Dir::Etc::netrc": "/etc/apt/auth.conf",
        "Dir::Etc::netrcparts": "/etc/apt/auth.conf.d",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Update::Error-Mode": "any",
        "APT::Sandbox::User": "root",  # the cache may be in a folder that only its owner may enter
        "Acquire::Languages": "none",
        "Acquire::ForceHash": "SHA256",
        "Debug::NoLocking": "true",  # the build holds a lock of its own
    }
    own = [f'{name} "{value}";' for name, value in settings.items()]
    return "\n".join([*mirror.apt_options, *own, ""])


def _suite_name(release: Deb822) -> str:
    """The suite by its code name: `stable-updates` and `trixie-updates` are one."""
    name: str = release.get("Codename", release["Suite"])
    return name


def _by_name(file: DebFile) -> str:
    return file.name


def _sha256(path: Path) -> str:
    """The file's hash; empty when there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
