"""How much of a host each service could reach, as `systemd-analyze security` scores it (0 nothing, 10 everything)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.report import CheckResult, Verdict, passed_if
from installer.services import known_services
from installer.services.model import ALL_HOSTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 60
MOST: Final = 1.6
# What must do more than others, with what it cannot do without.
ALLOWED: Final[Mapping[str, float]] = {
    "keepalived.service": 2.5,  # sets addresses, sends raw packets
    "auditd.service": 1.9,  # takes the kernel's records
    "chrony.service": 1.9,  # sets the clock
    "ssh.service": 6.0,  # lets people in, who may become root
}
# Debian's own that no service of ours names.
_ALSO_OURS: Final = (r"ssh\.service", r"epmd\.service", r"epmd@.*\.service", r"sitewright-.*\.service")
_NOT_OURS: Final = re.compile(r"systemd-.*")


def order(_question: Question) -> dict[str, Any]:
    """All units that are loaded, in one go."""
    argv = ["systemd-analyze", "security", "--no-pager", "--json=short"]
    return jobs(systemd_analyze={"argv": argv, "seconds": _SECONDS})


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """A result for each unit of ours, and one about the others."""
    units = parse(said(answer, "systemd_analyze"))
    patterns = [re.compile(pattern) for pattern in _patterns(question)]
    ours = {
        unit: score
        for unit, score in sorted(units.items())
        if any(pattern.fullmatch(unit) for pattern in patterns) and not _NOT_OURS.fullmatch(unit)
    }
    if not ours:
        raise UnreadableError(f"systemd-analyze names none of our units among {len(units)}")
    host = question.host.name
    results = [
        passed_if(
            score <= ALLOWED.get(unit, MOST),
            check="audit.exposure",
            host=host,
            about=unit,
            measured=f"{unit}: {score:.1f}",
            wanted=f"at most {ALLOWED.get(unit, MOST):.1f}",
            fix=f"systemd-analyze security {unit} on the host says what it may do and need not",
        )
        for unit, score in ours.items()
    ]
    others = sorted(((score, unit) for unit, score in units.items() if unit not in ours), reverse=True)
    return [
        *results,
        CheckResult(
            check="audit.exposure_others",
            host=host,
            measured=f"{len(others)} units of Debian's, the most exposed {others[0][1]}: {others[0][0]:.1f}"
            if others
            else "no other unit",
            wanted="known",
            verdict=Verdict.INFORMATION,
            details=tuple(f"{unit} {score:.1f}" for score, unit in others),
        ),
    ]


def parse(text: str) -> dict[str, float]:
    """Score by unit.

    Raises:
        UnreadableError: If it is not the JSON of systemd-analyze, or a unit has no score.
    """
    try:
        return {str(row["unit"]): float(row["exposure"]) for row in json.loads(text)}
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"systemd-analyze's answer is no table of its: {text[:200]!r}") from error


def _patterns(question: Question) -> list[str]:
    """What the units of the host's services are called."""
    groups = (*question.subject.site["hosts"][question.host.name]["groups"], ALL_HOSTS)
    services = (service for service in known_services().values() if service.group in groups)
    return [*_ALSO_OURS, *(unit.name for service in services for unit in service.units)]


PART: Final = Part(
    name="exposure",
    checks={
        "exposure": f"a service of ours could reach little of its host: at most {MOST}, "
        + ", ".join(f"{unit.removesuffix('.service')} {score}" for unit, score in ALLOWED.items()),
        "exposure_others": "how exposed Debian's own services are, for information",
    },
    order=order,
    judge=judge,
    seconds=longest,
)
