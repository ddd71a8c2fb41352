"""Which release and bundle worked on each host last, by the host's own file."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.report import CheckResult, passed_if
from installer.services.health.answers import no_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.services.health.subject import Subject

RELEASE_FILE: Final = "/etc/sitewright/release"
_PARTS: Final = ("site", "release", "bundle")


def check(subject: Subject) -> list[CheckResult]:
    """Every host must name what the journal names; what the journal does not know must be the same on all of them."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        hosts = [host.name for host in subject.group("all")]
        found = dict(zip(hosts, pool.map(lambda host: _read(subject, host), hosts), strict=True))
    answered = {host: said for host, said in found.items() if not isinstance(said, CheckResult)}
    wanted = {**next(iter(answered.values()), {}), **subject.release}
    silent = [said for said in found.values() if isinstance(said, CheckResult)]
    return silent + [_compare(host, said, wanted) for host, said in answered.items()]


def parse(text: str) -> dict[str, str]:
    """The file's `name=value` lines."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs if name in _PARTS}


def _read(subject: Subject, host: str) -> dict[str, str] | CheckResult:
    try:
        return parse(subject.run(host, [f"cat {RELEASE_FILE} || test ! -e {RELEASE_FILE}"]))
    except (OSError, subprocess.SubprocessError) as error:
        return no_answer(subject.host(host), error, name="release", port=0, unit="")


def _compare(host: str, said: Mapping[str, str], wanted: Mapping[str, str]) -> CheckResult:
    return passed_if(
        bool(said) and all(said.get(part) == value for part, value in wanted.items()),
        check="release.hosts",
        host=host,
        measured=_in_words(said) if said else f"no {RELEASE_FILE}",
        wanted=_in_words(wanted),
        fix="another controller, or an operation that did not reach this host, worked on it: compare the journals,"
        " then run the installation again",
    )


def _in_words(release: Mapping[str, str]) -> str:
    return ", ".join(f"{part} {release[part] or 'unknown'}" for part in _PARTS if part in release)
