"""A host looked over by lynis: its index and its warnings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.report import CheckResult, Verdict, passed_if

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 900
GOAL: Final = 85
_REPORT: Final = "lynis-report.dat"
_INDEX: Final = re.compile(r"\d{1,3}")
_HIGHEST: Final = 100
_HEAD: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What lynis reports: its index, and warnings and suggestions with their ids."""

    index: int
    tests: int
    warnings: tuple[tuple[str, str], ...]
    suggestions: tuple[tuple[str, str], ...]


def order(_question: Question) -> dict[str, Any]:
    """Nothing of it goes to the host's own logs."""
    argv = ["sh", "{tools}/usr/sbin/lynis", "audit", "system", "--quick", "--no-colors", "--quiet"]
    argv += [
        "--profile",
        "{tools}/etc/lynis/default.prf",
        "--plugindir",
        "{tools}/etc/lynis/plugins",
        "--logfile",
        "{tools}/lynis.log",
    ]
    argv += ["--report-file", f"{{tools}}/{_REPORT}"]
    job = {"argv": argv, "folder": "{tools}/usr/share/lynis", "files": [_REPORT], "seconds": _SECONDS}
    return jobs(lynis=job)


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """The index, each warning, and what it suggests."""
    said(answer, "lynis")
    found = parse(str(answer["lynis"].get(_REPORT, "")))
    host = question.host.name
    return [
        passed_if(
            found.index >= GOAL,
            check="audit.lynis",
            host=host,
            measured=f"hardening index {found.index} of 100, {found.tests} tests",
            wanted=f"at least {GOAL}",
            fix="its suggestions are below; `hardening` applies or answers them",
        ),
        *(
            CheckResult(
                check="audit.lynis_warnings",
                host=host,
                about=test,
                measured=f"{test}: {text}",
                wanted="no warning",
                verdict=Verdict.FAILED,
                fix=f"lynis show details {test} on a host with lynis says more",
            )
            for test, text in found.warnings
        ),
        CheckResult(
            check="audit.lynis_suggestions",
            host=host,
            measured=f"{len(found.suggestions)} suggestions",
            wanted="applied or answered",
            verdict=Verdict.INFORMATION,
            details=tuple(f"{test} {text}" for test, text in found.suggestions),
        ),
    ]


def parse(text: str) -> Findings:
    """A report of lynis.

    Raises:
        UnreadableError: If it is not one, or lynis did not come to its end.
    """
    single: dict[str, str] = {}
    many: dict[str, list[tuple[str, str]]] = {"warning[]": [], "suggestion[]": []}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not equals or line.startswith("#"):
            continue
        single[name] = value
        if name in many:
            head = value.split("|")
            if len(head) < _HEAD:
                raise UnreadableError(f"lynis' report has a line that is none: {line!r}")
            many[name].append((head[0], head[1]))
    index = single.get("hardening_index", "")
    if not _INDEX.fullmatch(index) or int(index) > _HIGHEST or single.get("finish") != "true":
        raise UnreadableError(f"lynis' report is not finished: index {index!r}, {len(text)} characters")
    tests = [test for test in single.get("tests_executed", "").split("|") if test]
    if not tests:
        raise UnreadableError("lynis' report names no test that was made")
    return Findings(
        index=int(index),
        tests=len(tests),
        warnings=tuple(many["warning[]"]),
        suggestions=tuple(many["suggestion[]"]),
    )


PART: Final = Part(
    name="lynis",
    checks={
        "lynis": f"lynis' hardening index is at least {GOAL}",
        "lynis_warnings": "lynis warns of nothing",
        "lynis_suggestions": "what lynis suggests, for information",
    },
    order=order,
    judge=judge,
    seconds=longest,
    heavy=True,
)
