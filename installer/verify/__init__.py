"""Proof from the user's side: every service is asked itself, over TLS, what it does."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from installer.report import CheckResult, Report, Verdict
from installer.verify import broker, cache, database, listeners, packages, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.verify.subject import Subject

    Check = Callable[[Subject], list[CheckResult]]

# What does not disturb the others runs beside the process instances.
CHECKS: Final[dict[str, Check]] = {
    "process": process.check,
    "database": database.check,
    "etcd": database.check_etcd,
    "cache": cache.check,
    "broker": broker.check,
    "listeners": listeners.check,
    "packages": packages.check,
}


def run(subject: Subject, *, report: Callable[[str], None]) -> Report:
    """Ask everything and collect the answers.

    A check that cannot be made is a failed check, with the reason as what was measured.

    Args:
        subject: The site.
        report: Told of each part as it ends.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    results: list[CheckResult] = []
    with ThreadPoolExecutor(max_workers=len(CHECKS)) as pool:
        futures = {name: pool.submit(_guarded, name, check, subject) for name, check in CHECKS.items()}
        for name, future in futures.items():
            found = future.result()
            results.extend(found)
            bad = sum(1 for each in found if not each.ok)
            report(f"verify {name}: {len(found) - bad} of {len(found)} as wanted")
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
