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

from installer.bundle.additions import (
    OPTION,
    Offer,
    completed,
    first_obstacle,
    preferences,
    require_offered,
    require_used,
)
from installer.bundle.security import read_index
from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from installer.bundle.additions import Addition
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
_NO_SUITE: Final = re.compile(r" (\S+) Release' does not have a Release file")


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

    def __init__(
        self,
        folder: Path,
        *,
        mirror: DebianMirror,
        architecture: str,
        commands: Commands,
        additions: Sequence[Addition] = (),
    ) -> None:
        """Write the configuration; nothing is fetched yet."""
        self._folder = folder
        self._archive = mirror.archive
        self._architecture = architecture
        self._additions = tuple(additions)
        self._commands = commands
        self._config = folder / "apt.conf"
        for name in ("state/lists/partial", "debs/partial", "none/partial", "etc/parts", "etc/preferences.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state/status").write_text("", encoding="utf-8")
        # From a mirror on a disk apt would use packages in place; we need every one in the cache.
        suites = [addition.suite for addition in additions]
        sources = mirror.sources(suites).replace("] file:", "] copy:")
        (folder / "etc/sources.list").write_text(sources, encoding="utf-8")
        self._config.write_text(_configuration(folder, mirror, architecture), encoding="utf-8")
        self._prefer(self._additions)

    def update(self) -> dict[str, datetime]:
        """Fetch the package lists; return the date of each suite.

        Raises:
            BundleError: If they cannot be had, or the mirror lacks a suite that was named.
        """
        try:
            self._run(["apt-get", "update"], "fetching Debian's package lists")
        except BundleError as error:
            lacking = _NO_SUITE.search(error.message)
            if lacking is None or lacking[1] not in {addition.suite for addition in self._additions}:
                raise
            raise BundleError(
                f"the Debian mirror {self._archive} has no suite {lacking[1]}",
                hint=f"correct {OPTION}, or name a mirror that has it with --mirror",
            ) from error
        dates = {}
        for release in sorted((self._folder / "state/lists").glob("*Release")):
            with release.open(encoding="utf-8") as stream:
                fields = Deb822(stream)
            dates[_suite_name(fields)] = parsedate_to_datetime(fields["Date"])
        return dates

    def security_versions(self) -> dict[str, str]:
        """What the security suite has of every package, as of the last `update`."""
        return read_index(self._folder / "state/lists", self._architecture)

    def download(self, packages: Iterable[str]) -> list[DebFile]:
        """Fetch these packages and all they need; what the cache has already is not fetched again.

        Raises:
            BundleError: If a package does not exist, the closure has no solution, a file is not what
                Debian's signed index says, or what was named of a further suite is of no use.
        """
        wanted = sorted({*packages, *HOST_BASE})
        taken = {name for addition in self._additions for name in addition.packages}
        require_offered(self._additions, self._offers(taken))
        listing = self._solve(wanted)
        files = sorted((self._file(match) for match in map(_URI.match, listing.splitlines()) if match), key=_by_name)
        for _ in range(_ATTEMPTS):
            self._run(["apt-get", "install", "--download-only", *wanted], "downloading Debian packages")
            damaged = [file for file in files if _sha256(file.path) != file.sha256]
            if not damaged:
                return files
            for file in damaged:  # apt itself looks only at the size of what it finds in its cache
                file.path.unlink(missing_ok=True)
        raise BundleError(f"{damaged[0].path} is not what Debian's index says", hint=_RETRY)

    def _solve(self, wanted: list[str]) -> str:
        """What apt would install.

        Raises:
            BundleError: If there is no solution; what more of the further suites would be one is named.
        """
        try:
            listing = self._listing(wanted)
        except BundleError as error:
            if not self._additions:
                raise
            complaints = self._complaints.read_text(encoding="utf-8")
            more = completed(self._additions, lambda tried: self._attempt(wanted, tried), self._offers)
            raise _incomplete(self._additions, more, complaints) from error
        names = {_package_name(match) for match in map(_URI.match, listing.splitlines()) if match}
        require_used(self._additions, names)
        return listing

    def _attempt(self, wanted: list[str], additions: tuple[Addition, ...]) -> str:
        """What apt complains of when it solves with these additions; empty when it can."""
        self._prefer(additions)
        try:
            self._listing(wanted)
        except BundleError:
            return self._complaints.read_text(encoding="utf-8")
        finally:
            self._prefer(self._additions)
        return ""

    def _listing(self, wanted: list[str]) -> str:
        return self._run(
            # Against an empty cache, because apt lists only what it would still fetch.
            ["apt-get", "install", "--print-uris", "-o", f"Dir::Cache::archives={self._folder}/none", *wanted],
            "solving the packages' dependencies",
            quiet=1,
            log=self._complaints,
        )

    def _offers(self, packages: Iterable[str]) -> dict[str, list[Offer]]:
        """Every version of these packages that the suites have."""
        found: dict[str, list[Offer]] = {}
        names = sorted(packages)
        lines = self._run(["apt-cache", "madison", *names], "reading Debian's package lists") if names else ""
        for line in lines.splitlines():
            name, version, source = (part.strip() for part in line.split("|"))
            found.setdefault(name, []).append(Offer(version=version, suite=source.split()[1].partition("/")[0]))
        return found

    def _prefer(self, additions: Iterable[Addition]) -> None:
        (self._folder / "etc/preferences.d/additions").write_text(preferences(additions), encoding="utf-8")

    @property
    def _complaints(self) -> Path:
        return self._folder / "solve.log"

    def _file(self, match: re.Match[str]) -> DebFile:
        uri, cached, _, sha256 = match.groups()
        return DebFile(path=self._folder / "debs" / cached, name=unquote(PurePosixPath(uri).name), sha256=sha256)

    def _run(self, argv: list[str], doing: str, *, quiet: int = 2, log: Path | None = None) -> str:
        options = [f"--quiet={quiet}", *(["--yes"] if argv[0] == "apt-get" else [])]
        environment = {"APT_CONFIG": str(self._config), "DEBIAN_FRONTEND": "noninteractive"}
        command = [argv[0], *options, *argv[1:]]
        return self._commands.run(command, doing=doing, hint=_RETRY, environment=environment, log=log)


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
        "APT::Solver": "internal",  # whichever is apt's own choice: one bundle, and complaints in one form
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


def _incomplete(additions: Sequence[Addition], more: Sequence[Addition] | None, complaints: str) -> BundleError:
    """Why the additions cannot be had, and what to do."""
    if more is None:
        return BundleError(
            f"what was named with {OPTION} does not go with the rest of Debian 13: {first_obstacle(complaints)}",
            hint=f"leave it out of {OPTION}",
        )
    given = {name for addition in additions for name in addition.packages}
    needed = sorted({name for addition in more for name in addition.packages} - given)
    return BundleError(
        f"what was named with {OPTION} needs more of its suite in a newer version: {', '.join(needed)}",
        hint=f"to take these as well: {' '.join(f'{OPTION} {addition}' for addition in more)}",
    )


def _package_name(match: re.Match[str]) -> str:
    return match[2].partition("_")[0]


def _by_name(file: DebFile) -> str:
    return file.name


def _sha256(path: Path) -> str:
    """The file's hash; empty when there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
