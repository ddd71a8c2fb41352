"""What was asked, what was wanted, what was found: the facts behind every table and page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# Entries of a long list that a table shows; a cell of a site of forty hosts had 600 characters.
_SHOWN: Final = 3


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check on one host, or on the site as a whole.

    Attributes:
        check: Stable id, documented in docs/checks.md.
        host: Host it was asked of; the site's name for what belongs to no single host.
        measured: What was found, with its unit.
        wanted: What is allowed, with its unit.
        verdict: How it ended.
        about: What of the host it is about (a port, a unit, a path), where one check gives several results.
        fix: What to do; empty when nothing is to be done.
        note: A waiver's reason and expiry, or what a reader should know.
        details: The whole of a list that `measured` shortens; empty when it is whole there.
    """

    check: str
    host: str
    measured: str
    wanted: str
    verdict: Verdict
    about: str = ""
    fix: str = ""
    note: str = ""
    details: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether an installation may go on."""
        return self.verdict is not Verdict.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results of one preflight or verification.

    Attributes:
        title: What was done.
        site: Name of the site.
        started: When, in UTC.
        seconds: How long it took.
        results: In the order in which they are shown.
        facts: Measured values that are no verdict (versions, sizes), by section.
        answers: What each host answered, for those who decide by it; no part of the page or the JSON.
    """

    title: str
    site: str
    started: datetime
    seconds: float
    results: tuple[CheckResult, ...]
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(result.ok for result in self.results)

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The results that stop an installation."""
        return tuple(result for result in self.results if not result.ok)

    @property
    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """Table rows: check, host, measured, wanted, verdict, what to do or to know."""
        return [
            (result.check, result.host, result.measured, result.wanted, str(result.verdict), result.fix or result.note)
            for result in self.results
        ]

    def counts(self) -> dict[str, int]:
        """How many results ended with each verdict."""
        return {str(verdict): sum(1 for result in self.results if result.verdict is verdict) for verdict in Verdict}

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, the same facts as the page."""
        return {
            "title": self.title,
            "site": self.site,
            "ok": self.ok,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "counts": self.counts(),
            "results": [
                asdict(result) | {"verdict": str(result.verdict), "details": list(result.details)}
                for result in self.results
            ],
            "facts": self.facts,
        }


def passed_if(condition: bool, **values: Any) -> CheckResult:
    """A result that passed or failed; the fix is kept only when it is needed."""
    if condition:
        values.pop("fix", None)
    return CheckResult(verdict=Verdict.PASSED if condition else Verdict.FAILED, **values)


def listed(items: Sequence[str], *, total: int | None = None, what: str = "") -> dict[str, Any]:
    """`measured` and `details` of a result that is a list: a long one is shortened, its whole goes to the report.

    Args:
        items: What was found, one text each.
        total: Of how many, when that is to be said.
        what: A word or two about the entries.
    """
    shown = ", ".join(items[:_SHOWN])
    head = "" if total is None else f"{len(items)} of {total}{what and ' '}{what}: "
    if len(items) <= _SHOWN:
        return {"measured": head + shown}
    return {"measured": f"{head}{shown}, ... (whole list in the report)", "details": tuple(items)}
