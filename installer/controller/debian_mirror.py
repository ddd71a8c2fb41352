"""Which Debian mirror this controller uses: its own apt knows, nobody has to say it twice."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

SUITE: Final = "trixie"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_SUITES: Final = (
    *("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
)
_BASE: Final = re.compile(rf"^({'|'.join(_SUITES)})$")
_UPDATES: Final = re.compile(rf"^({'|'.join(_SUITES)})-updates$")
_SECURITY: Final = re.compile(rf"^({'|'.join(_SUITES)})-security$")
_FORMAT: Final = "$(SITE)|$(RELEASE)|$(ORIGIN)"
_INDEX: Final = re.compile(r"^'(\S+?)/+dists/([^/]+)/main/binary-", re.MULTILINE)
# It stands in a line of a sources.list, whose options are in brackets.
_ADDRESS: Final = re.compile(r"(https?://|(file|copy):/|ftp://)[^\s\[\]\"'\\]{1,500}")
_MIRROR_LIST: Final = "mirror+file:"
_DEBIAN: Final = "Debian"
# How this controller reaches its mirror and what it lets pass; apt inside an image needs the same.
_OPTION: Final = re.compile(r'^(Acquire::(?:https?(?:::.+)?|Check-Valid-Until|Check-Date|Retries)) "(.+)";$')


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianMirror:
    """The archive Debian 13 packages are taken from.

    Attributes:
        archive: Address of the main archive.
        security: Address of the security archive; empty when the controller has none.
        keyring: The keys the archive's signatures are checked with.
        apt_options: `Name "value";` lines by which the controller's apt reaches the mirror.
    """

    archive: str
    security: str
    keyring: Path
    apt_options: tuple[str, ...]

    def sources(self, further: Iterable[str] = ()) -> str:
        """The `sources.list` text for Debian 13 main, its updates and its security fixes.

        Args:
            further: Names of more suites of the main archive.
        """
        option = f"[signed-by={self.keyring}]"
        lines = [
            f"deb {option} {self.archive} {SUITE} main",
            f"deb {option} {self.archive} {SUITE}-updates main",
        ]
        lines += [f"deb {option} {self.archive} {suite} main" for suite in further]
        if self.security:
            lines.append(f"deb {option} {self.security} {SUITE}-security main")
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class _Source:
    """One line of what apt says it reads."""

    site: str
    release: str
    origin: str


def read_debian_mirror(*, archive: str = "", security: str = "", apt_config: Iterable[str] = ()) -> DebianMirror:
    """Find the controller's Debian mirror, unless the operator names one.

    Args:
        archive: Address of a mirror to use instead of the controller's own.
        security: Address of its security archive; only looked at together with `archive`.
        apt_config: Further `-o` options for apt, for example another `Dir::Etc`.

    Raises:
        ConfigurationError: If there is no apt, no Debian among its sources, or no Debian keys.
    """
    for address in filter(None, (archive, security)):
        if not _ADDRESS.fullmatch(address):
            raise ConfigurationError(
                f"the mirror {address!r} is no address of a Debian archive",
                hint="write it like https://mirror.example/debian or file:///srv/debian, without spaces or brackets",
            )
    if not KEYRING.is_file():
        raise ConfigurationError(
            f"Debian's archive keys are missing: {KEYRING}",
            hint="run: apt-get install debian-archive-keyring",
        )
    options = [argument for option in apt_config for argument in ("-o", option)]
    if not archive:
        archive, security = _choose(_read_sources(options))
    dump = _apt(["apt-config", *options, "dump"])
    return DebianMirror(
        archive=archive,
        security=security,
        keyring=KEYRING,
        apt_options=tuple(line for line in dump.splitlines() if _OPTION.match(line)),
    )


def _read_sources(options: list[str]) -> list[_Source]:
    """The enabled archives with a `main`; who is behind them is known after an `apt-get update`."""
    origins = {}
    labels = _apt(["apt-get", *options, "indextargets", "--format", _FORMAT])
    for line in labels.splitlines():
        site, release, origin = line.split("|")
        if not origin.startswith("$("):
            origins[site.rstrip("/"), release] = origin
    found = _INDEX.findall(_apt(["apt-get", *options, "--print-uris", "update"]))
    return [
        _Source(_first_mirror(site), release, origins.get((site, release), ""))
        for site, release in dict.fromkeys(found)
    ]


def _first_mirror(site: str) -> str:
    """The address itself, or the first one of a mirror list as cloud images have them."""
    if not site.startswith(_MIRROR_LIST):
        return site
    lines = Path(site.removeprefix(_MIRROR_LIST)).read_text(encoding="utf-8").splitlines()
    addresses = [line.split()[0] for line in lines if line.strip() and line[0] != "#"]
    return next(iter(addresses), site).rstrip("/")


def _choose(sources: list[_Source]) -> tuple[str, str]:
    """The archive and the security archive; what is labelled Debian's wins over what may be."""
    candidates = [source for source in sources if source.origin in {"", _DEBIAN}]
    candidates.sort(key=lambda source: source.origin != _DEBIAN)
    with_updates = [s.site for s in candidates if _UPDATES.match(s.release)]
    bases = [s.site for s in candidates if _BASE.match(s.release)]
    bases.sort(key=lambda site: site not in with_updates)
    if not bases:
        raise ConfigurationError(
            "none of this controller's apt sources is a Debian archive",
            hint="name one with --mirror, or add a Debian 13 source to /etc/apt/sources.list.d",
        )
    securities = [s.site for s in candidates if _SECURITY.match(s.release)]
    return bases[0], next(iter(securities), "")


def _apt(argv: list[str]) -> str:
    """What one of apt's read-only commands prints."""
    try:
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - fixed program, no shell
    except FileNotFoundError as error:
        raise ConfigurationError(
            "this controller has no apt",
            hint="rehearsals and bundles are made on Debian 12 or newer",
        ) from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        detail = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        raise ConfigurationError(
            f"apt cannot read its sources: {' '.join(detail)}",
            hint="run: apt-get update",
        ) from error
    return done.stdout
