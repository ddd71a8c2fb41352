"""Proof from the user's side: every service is asked itself, over TLS, what it does."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from installer.checks.verify import firewall, hardening, listeners, packages, process, release
from installer.report import CheckResult, Report, Verdict
from installer.services import known_services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from installer.services.health.subject import Subject

    Check = Callable[[Subject], list[CheckResult]]

# Not of one service: what an application does, what listens anywhere, what is installed anywhere.
_PROOF: Final[dict[str, Check]] = {"process": process.check}
_LISTENERS: Final[dict[str, Check]] = {"listeners": listeners.check}
_INSTALLED: Final[dict[str, Check]] = {
    "packages": packages.check,
    "release": release.check,
    "hardening": hardening.check,
    "firewall": firewall.check,
}
# First parts of the ids of what is of no single service.
PARTS: Final = (*_PROOF, *_LISTENERS, *_INSTALLED)


def health_checks(subject: Subject) -> dict[str, Check]:
    """What every service of the site is asked, and what listens on its hosts: all that starts nothing."""
    checks = {
        check.name: check.load()
        for service in known_services().values()
        for check in service.health
        if subject.group(service.group)
    }
    return checks | _LISTENERS


def all_checks(subject: Subject) -> dict[str, Check]:
    """The whole verification; what does not disturb the others runs beside the process instances."""
    return _PROOF | undisturbing_checks(subject)


def undisturbing_checks(subject: Subject) -> dict[str, Check]:
    """All of the verification that starts nothing; an audit asks it as well."""
    return health_checks(subject) | _INSTALLED


def ask(checks: Mapping[str, Check], subject: Subject) -> Iterator[tuple[str, list[CheckResult]]]:
    """Ask all at the same time; the answers come in the order of the questions.

    A check that cannot be made is a failed check, with the reason as what was measured.
    """
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        futures = {name: pool.submit(_guarded, name, check, subject) for name, check in checks.items()}
        for name, future in futures.items():
            yield name, future.result()


def run(subject: Subject, *, report: Callable[[str], None]) -> Report:
    """Ask everything and collect the answers.

    Args:
        subject: The site.
        report: Told of each part as it ends.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    results: list[CheckResult] = []
    for name, found in ask(all_checks(subject), subject):
        results.extend(found)
        bad = sum(1 for each in found if not each.ok)
        report(f"verify {name}: {len(found) - bad} of {len(found)} passed")
    return Report(
        title="Verification",
        site=subject.name,
        started=started,
        seconds=time.monotonic() - clock,
        results=tuple(results),
        facts={"Versions from the bundle": dict(sorted(packages.platform_versions(subject).items()))},
    )


def _guarded(name: str, check: Check, subject: Subject) -> list[CheckResult]:
    """Turn an exception of a check into a failed result: an unanswered question is not a pass."""
    try:
        return check(subject)
    except Exception as error:  # each client raises its own kinds; all of them are a failed check, in its words
        return [
            CheckResult(
                check=f"{name}.answers",
                host=subject.name,
                measured=f"{type(error).__name__}: {str(error).strip()[:400]}",
                wanted="an answer",
                verdict=Verdict.FAILED,
                fix="look at the service's journal on its hosts; `status` shows which units run",
            )
        ]
