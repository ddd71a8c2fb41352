"""Single packages out of further Debian suites, as a newer curl from trixie-backports, and nothing else of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.controller.debian_mirror import SUITE
from installer.errors import BundleError, ConfigurationError
from installer.manifests.versions import is_older

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

OPTION: Final = "--from"
_ALWAYS_READ: Final = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
_SUITE: Final = re.compile(rf"{SUITE}(-[a-z0-9]+){{1,4}}")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{1,99}")
_LIKE: Final = f"write it like {OPTION} {SUITE}-backports:curl,libcurl4t64"
# What apt says of a package that it cannot have: `Depends: libcurl4t64 (= 8.21) but 8.14 is to be installed`.
_UNMET: Final = re.compile(r"(?:Pre-)?Depends: ([a-z0-9][a-z0-9+.-]+)")
_COMPLAINING: Final = re.compile(r"^ ([a-z0-9][a-z0-9+.-]+) : ", re.MULTILINE)
# A chain of packages that need each other's newer version is rarely longer than three.
_DEEPEST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A further suite, and what is taken from it.

    Attributes:
        suite: Its code name.
        packages: Names of binary packages, sorted.
    """

    suite: str
    packages: tuple[str, ...]

    def __str__(self) -> str:
        """As it is given on the command line."""
        return f"{self.suite}:{','.join(self.packages)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A version of a package that a suite has."""

    version: str
    suite: str


def parse_additions(given: Iterable[str]) -> tuple[Addition, ...]:
    """Read `SUITE:PACKAGE[,PACKAGE...]`, each as often as it was given.

    Raises:
        ConfigurationError: If one is something else, or cannot be meant.
    """
    found: dict[str, set[str]] = {}
    for text in given:
        suite, colon, names = text.partition(":")
        packages = names.split(",")
        if not colon or not all(_PACKAGE.fullmatch(name) for name in packages):
            raise ConfigurationError(f"{OPTION} {text!r} does not name a suite and its packages", hint=_LIKE)
        _require_suite(suite)
        twice = sorted({*packages} & {name for other in found.keys() - {suite} for name in found[other]})
        if twice:
            raise ConfigurationError(f"{OPTION} takes {twice[0]} from two suites", hint="name it in one of them")
        found.setdefault(suite, set()).update(packages)
    return tuple(Addition(suite=suite, packages=tuple(sorted(found[suite]))) for suite in sorted(found))


def preferences(additions: Iterable[Addition]) -> str:
    """The text for apt's preferences: of a further suite nothing is ever chosen but what was named.

    What was named has the priority of everything else, so that the newest version of it counts.
    """
    return "\n".join(
        f"Package: {names}\nPin: release n={addition.suite}\nPin-Priority: {priority}\n"
        for addition in additions
        for names, priority in (("*", -1), (" ".join(addition.packages), 500))
    )


def require_offered(additions: Iterable[Addition], offers: Mapping[str, Sequence[Offer]]) -> None:
    """Refuse what a suite does not have, or has not newer than what would be taken anyway.

    Args:
        additions: What was asked for.
        offers: For each package every version there is, with its suite.

    Raises:
        BundleError: Naming package, suite and versions.
    """
    for addition in additions:
        for package in addition.packages:
            own = [offer for offer in offers.get(package, ()) if offer.suite == addition.suite]
            if not own:
                raise BundleError(
                    f"{addition.suite} has no package {package}",
                    hint=f"correct {OPTION}; it takes names of binary packages, as `apt-cache policy` knows them",
                )
            others = [offer for offer in offers[package] if offer.suite != addition.suite]
            for other in others:
                if not is_older(other.version, own[0].version):
                    raise BundleError(
                        f"{addition.suite} has {package} {own[0].version}, which is not newer than"
                        f" {other.version} of {other.suite}",
                        hint=f"leave {package} out of {OPTION}: the bundle gets the newer one by itself",
                    )


def require_used(additions: Iterable[Addition], held: Collection[str]) -> None:
    """Refuse a package that a bundle would not hold.

    Raises:
        BundleError: Naming it.
    """
    for addition in additions:
        for package in addition.packages:
            if package not in held:
                raise BundleError(
                    f"no role needs {package}, so the bundle does not hold it",
                    hint=f"leave it out of {OPTION}; a bundle holds what its roles install, and what that needs",
                )


def first_obstacle(said: str) -> str:
    """The first line of what apt complains of; empty when it names no package."""
    _, _, listed = said.partition("unmet dependencies:\n")
    return " ".join(listed.partition("\n")[0].split())


def completed(
    additions: tuple[Addition, ...],
    attempt: Callable[[tuple[Addition, ...]], str],
    offers: Callable[[Collection[str]], Mapping[str, Sequence[Offer]]],
) -> tuple[Addition, ...] | None:
    """The additions with no more of their own suites than it takes to install them.

    Args:
        additions: What cannot be installed as it is.
        attempt: Tries to, and returns apt's complaints; nothing when it can be.
        offers: Tells of packages every version there is, with its suite.

    Returns:
        None when more of these suites does not help.
    """
    found = additions
    for _ in range(_DEEPEST):
        complaints = attempt(found)
        if not complaints:
            return _least(additions, found, attempt)
        # Who lacks something is at fault only if nothing of what it lacks is to be had.
        for names in (_UNMET.findall(complaints), _COMPLAINING.findall(complaints)):
            more = _extended(found, names, offers(names))
            if more != found:
                break
        else:
            return None
        found = more
    return None


def _least(
    additions: tuple[Addition, ...], found: tuple[Addition, ...], attempt: Callable[[tuple[Addition, ...]], str]
) -> tuple[Addition, ...]:
    """What was found without what apt named only because of something else."""
    given = _names(additions)
    for name in sorted(_names(found) - given):
        fewer = tuple(
            Addition(suite=each.suite, packages=tuple(package for package in each.packages if package != name))
            for each in found
        )
        if not attempt(fewer):
            found = fewer
    return found


def _names(additions: Iterable[Addition]) -> set[str]:
    return {name for addition in additions for name in addition.packages}


def _extended(
    additions: tuple[Addition, ...], names: Collection[str], offers: Mapping[str, Sequence[Offer]]
) -> tuple[Addition, ...]:
    """The additions and those of these packages that their suites have."""
    return tuple(
        Addition(
            suite=addition.suite,
            packages=tuple(sorted({*addition.packages, *_of(addition.suite, names, offers)})),
        )
        for addition in additions
    )


def _of(suite: str, names: Collection[str], offers: Mapping[str, Sequence[Offer]]) -> set[str]:
    return {name for name in names if any(offer.suite == suite for offer in offers.get(name, ()))}


def _require_suite(suite: str) -> None:
    if suite in _ALWAYS_READ:
        raise ConfigurationError(
            f"{OPTION} names {suite}, which is read anyway",
            hint="its newest packages are in every bundle: ./install bundle build --refresh"
            " (with --mirror, name the security archive with --security-mirror)",
        )
    if not _SUITE.fullmatch(suite):
        raise ConfigurationError(
            f"{OPTION} names {suite!r}, which is no suite of Debian 13",
            hint=f"hosts run Debian 13, and packages of another release need its libraries; {_LIKE}",
        )
