"""sshd asked by ssh-audit which algorithms it offers.

On the host itself: asked from the controller, sshd would take the many connections without a login for an attack
(PerSourcePenalties, OpenSSH 9.8) and shut the controller out for a while.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.report import CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECONDS: Final = 90
_SCRIPT: Final = (
    'port=$(/usr/sbin/sshd -T | sed -n "s/^port //p" | head -n 1);'
    ' exec python3 -m ssh_audit --json --skip-rate-test --timeout 10 --port "$port" "$1"'
)
# Its exit codes: nothing to say, warnings, failures.
_CODES: Final = (0, 2, 3)
_KINDS: Final = {"kex": "key exchange", "key": "host key", "enc": "cipher", "mac": "message authentication"}


def order(question: Question) -> dict[str, Any]:
    """Ask the host's sshd at the address others use."""
    return jobs(
        ssh_audit={
            "argv": ["sh", "-c", _SCRIPT, "sh", question.host.address],
            "environment": {"PYTHONPATH": "{tools}/python", "PYTHONDONTWRITEBYTECODE": "1"},
            "seconds": _SECONDS,
        }
    )


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """A failed result for each algorithm that ssh-audit fails, and what it warns of."""
    report = parse(said(answer, "ssh_audit", codes=_CODES))
    host, banner = question.host.name, str(report["banner"].get("raw", ""))
    algorithms = list(_algorithms(report))
    failed = [(what, notes["fail"]) for what, notes in algorithms if notes.get("fail")]
    warned = [f"{what} ({'; '.join(notes['warn'])})" for what, notes in algorithms if notes.get("warn")]
    wanted = "no algorithm that ssh-audit fails"
    results = [
        CheckResult(
            check="audit.ssh",
            host=host,
            about=what,
            measured=f"{what}: {'; '.join(reasons)}",
            wanted=wanted,
            verdict=Verdict.FAILED,
            fix="take it out of sshd's configuration (sshd -T shows what is in force)",
        )
        for what, reasons in failed
    ] or [
        CheckResult(
            check="audit.ssh",
            host=host,
            measured=f"{banner}: {len(algorithms)} algorithms offered, none failed",
            wanted=wanted,
            verdict=Verdict.PASSED,
        )
    ]
    return [
        *results,
        CheckResult(
            check="audit.ssh_warnings",
            host=host,
            measured=f"{len(warned)} of {len(algorithms)} algorithms with a warning",
            wanted="as few as the clients allow",
            verdict=Verdict.INFORMATION,
            details=tuple(warned),
        ),
    ]


def parse(text: str) -> dict[str, Any]:
    """ssh-audit's JSON.

    Raises:
        UnreadableError: If it is not, or tells of no algorithms.
    """
    try:
        report = json.loads(text)
        for kind in _KINDS:
            if not report[kind] or not all(isinstance(entry["algorithm"], str) for entry in report[kind]):
                raise UnreadableError(f"ssh-audit names no {kind}")
        if not isinstance(report["banner"], dict):
            raise UnreadableError("ssh-audit names no banner")
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"ssh-audit's answer is no report of its: {text[:200]!r}") from error
    return dict(report)


def _algorithms(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, list[str]]]]:
    for kind, name in _KINDS.items():
        for entry in report[kind]:
            yield f"{name} {entry['algorithm']}", entry.get("notes", {})


PART: Final = Part(
    name="ssh",
    checks={
        "ssh": "sshd offers no algorithm that ssh-audit fails",
        "ssh_warnings": "what ssh-audit warns of, for information",
    },
    order=order,
    judge=judge,
    seconds=longest,
)
