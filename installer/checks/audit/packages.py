"""Installed packages against what Debian's security suite had when the bundle was built."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.manifests.versions import installed_packages, is_older
from installer.report import CheckResult, Verdict, listed, passed_if

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 30
OLDEST_DAYS: Final = 35
_FORMAT: Final = "${db:Status-Status} ${Package} ${Version}\\n"
_BUILD: Final = "build a bundle where Debian's security archive can be reached (--refresh), and carry it over"


def order(_question: Question) -> dict[str, Any]:
    """The host's own dpkg is asked."""
    argv = ["dpkg-query", "--show", f"--showformat={_FORMAT}"]
    return jobs(dpkg_query={"argv": argv, "seconds": _SECONDS})


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """What has been mended in Debian and not on this host."""
    installed = _installed(said(answer, "dpkg_query"))
    security, date = question.bundled.security, question.bundled.security_date
    host = question.host.name
    if not security or date is None:
        return [
            CheckResult(
                check="audit.packages",
                host=host,
                measured="the bundle does not say what Debian's security suite has",
                wanted="a bundle that was built with a security archive",
                verdict=Verdict.FAILED,
                fix=_BUILD,
            )
        ]
    behind = [
        f"{package} {version}, mended in {security[package]}"
        for package, version in sorted(installed.items())
        if package in security and is_older(version, security[package])
    ]
    known = sum(1 for package in installed if package in security)
    stated = f"{len(behind)} of {len(installed)} packages behind Debian's security suite of {date:%Y-%m-%d}"
    shown = listed(behind) if behind else {"measured": f"{known} of them are in it"}
    shown["measured"] = f"{stated}: {shown['measured']}"
    return [
        passed_if(
            not behind,
            check="audit.packages",
            host=host,
            wanted="none behind",
            fix="install the bundle's packages; when they are as old, build a newer bundle and upgrade the site",
            **shown,
        )
    ]


def feed(question: Question) -> CheckResult:
    """How old the bundle's knowledge of Debian's security suite is."""
    date = question.bundled.security_date
    days = None if date is None else (datetime.now(UTC) - date).days
    return passed_if(
        days is not None and days <= OLDEST_DAYS,
        check="audit.feed",
        host=question.subject.name,
        measured="no security suite in the bundle" if date is None else f"of {date:%Y-%m-%d}, {days} days old",
        wanted=f"at most {OLDEST_DAYS} days old",
        fix=_BUILD,
    )


def _installed(text: str) -> dict[str, str]:
    try:
        installed = installed_packages(text.splitlines())
    except ValueError as error:
        raise UnreadableError(f"dpkg-query's answer is no list of packages: {text[:200]!r}") from error
    if not installed:
        raise UnreadableError("dpkg-query names no package")
    return installed


PART: Final = Part(
    name="packages",
    checks={
        "packages": "no package is older than what Debian's security suite had when the bundle was built",
        "feed": f"the bundle knows Debian's security suite as of at most {OLDEST_DAYS} days ago",
    },
    order=order,
    judge=judge,
    seconds=longest,
)
