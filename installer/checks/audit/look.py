"""Ask a site's hosts part by part, some at a time, and collect what the auditors say."""

from __future__ import annotations

import base64
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.checks import hosts, verify
from installer.checks.audit import packages, tls
from installer.checks.audit.catalog import PARTS, checks
from installer.checks.audit.model import Question, UnreadableError
from installer.checks.waivers import waived
from installer.report import CheckResult, Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from installer.checks.audit.model import Bundled, Part
    from installer.services.health.subject import Subject
    from installer.site.model import Waiver

PROBE: Final = Path(__file__).with_name("probe.py")
_UNPACK_SECONDS: Final = 120.0


def run(
    subject: Subject,
    *,
    bundled: Bundled,
    waivers: Sequence[Waiver],
    report: Callable[[str], None],
    password: Callable[[], str | None] = lambda: None,
) -> Report:
    """Ask what a verification asks, without starting anything, then let the auditors look at every host.

    Args:
        subject: The site.
        bundled: The auditors, and what the bundle knows of Debian's security suite.
        waivers: What may fail, and until when.
        report: Told of each part as it ends.
        password: Gives sudo's password, or None; asked only when a host's sudo asks for it.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    results: list[CheckResult] = []
    for name, found in verify.ask(verify.undisturbing_checks(subject), subject):
        results += found
        report(_progress(name, found, clock))
    results.append(packages.feed(_question(subject, bundled, next(iter(subject.site["hosts"])))))
    with hosts.Probes(subject.ssh, PROBE, password=password) as probes:
        for name, found in _look(subject, bundled, probes):
            results += found
            report(_progress(name, found, clock))
    return Report(
        title="Audit",
        site=subject.name,
        started=started,
        seconds=time.monotonic() - clock,
        results=tuple(_waived(result, waivers, started) for result in results),
        facts={"Programs from the bundle": dict(sorted(bundled.versions.items()))},
    )


def _look(subject: Subject, bundled: Bundled, probes: hosts.Probes) -> Iterator[tuple[str, list[CheckResult]]]:
    """Each part with its results; a host that took no programs is not asked further."""
    unpack = {
        "do": "unpack",
        "archive": base64.b64encode(bundled.archive).decode(),
        "files": tls.files("".join(client.ca.read_text(encoding="ascii") for client in subject.clients.values())),
    }
    unpacked = probes.ask(dict.fromkeys(subject.site["hosts"], unpack), seconds=_UNPACK_SECONDS)
    yield "hosts", [_silent(answer, "the programs") for answer in unpacked.values() if answer.step]
    ready = [host for host, answer in unpacked.items() if not answer.step]
    cores = os.cpu_count() or 1
    for part in PARTS:
        questions = {host: _question(subject, bundled, host) for host in ready}
        orders = {host: order for host, each in questions.items() if (order := part.order(each)) is not None}
        if not orders:
            continue
        # The hosts of a rehearsal share this machine's cores.
        most = cores if part.heavy and subject.site["rehearsal"] else hosts.MOST_AT_ONCE
        answers = probes.ask(orders, at_once=most, seconds=max(map(part.seconds, orders.values())))
        yield part.name, [each for host in orders for each in _judged(part, questions[host], answers[host])]


def _question(subject: Subject, bundled: Bundled, host: str) -> Question:
    return Question(subject=subject, host=subject.host(host), bundled=bundled)


def _judged(part: Part, question: Question, answer: hosts.Answer) -> list[CheckResult]:
    """What a part makes of an answer; one that is none, or cannot be understood, is a failed check."""
    if answer.step:
        return [_silent(answer, part.name)]
    try:
        return part.judge(question, answer.data)
    except UnreadableError as error:
        return [_unanswered(question.host.name, part.name, str(error), "run the audit again; if it stays, report it")]


def _silent(answer: hosts.Answer, about: str) -> CheckResult:
    return _unanswered(answer.host, about, answer.error, hosts.STEP_FIXES[answer.step])


def _unanswered(host: str, about: str, why: str, fix: str) -> CheckResult:
    return CheckResult(
        check="audit.answers",
        host=host,
        about=about,
        measured=f"{about}: {why}",
        wanted="an answer",
        verdict=Verdict.FAILED,
        fix=fix,
    )


def _waived(result: CheckResult, waivers: Sequence[Waiver], now: datetime) -> CheckResult:
    """Only what an audit alone asks can be waived: what a verification asks must be so."""
    return waived(result, waivers, now.date()) if result.check in checks() else result


def _progress(name: str, found: Sequence[CheckResult], clock: float) -> str:
    bad = sum(1 for each in found if not each.ok)
    return f"audit {name}: {len(found) - bad} of {len(found)} passed ({time.monotonic() - clock:.0f} s)"
