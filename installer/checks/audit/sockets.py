"""What a host listens on, TCP and UDP, with the program behind it, against the model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.manifests.shared import listeners_of
from installer.report import CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 20
_PROGRAM: Final = re.compile(r'\(\("([^"]+)"')
_PORT: Final = re.compile(r"^port (\d+)$", re.MULTILINE)
_FIELDS: Final = 6


@dataclass(frozen=True, slots=True, order=True)
class Socket:
    """An open port beyond loopback."""

    protocol: str
    port: int
    program: str


def order(_question: Question) -> dict[str, Any]:
    """Root sees the programs; where sshd listens is the hospital's to say."""
    return jobs(
        ss={"argv": ["ss", "--no-header", "--listening", "--numeric", "--tcp", "--udp", "--processes"], "seconds": 20},
        sshd={"argv": ["/usr/sbin/sshd", "-T"], "seconds": _SECONDS},
    )


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """A failed result for each port that is open and not in the model."""
    site, host = question.subject.site, question.host.name
    ssh = {("tcp", int(port)) for port in _PORT.findall(said(answer, "sshd"))}
    declared = {(each.protocol, each.port) for each in listeners_of(site, host, question.subject.manifests)} | ssh
    sockets = parse(said(answer, "ss"))
    surplus = [each for each in sockets if (each.protocol, each.port) not in declared]
    wanted = "no open port outside of the model"
    return [
        CheckResult(
            check="audit.sockets",
            host=host,
            about=f"{each.port}/{each.protocol}",
            measured=f"{each.port}/{each.protocol} is open: {each.program or 'no program named'}",
            wanted=wanted,
            verdict=Verdict.FAILED,
            fix="end the program and find out who started it; docs/ports.md is the model",
        )
        for each in surplus
    ] or [
        CheckResult(
            check="audit.sockets",
            host=host,
            measured=f"{len(sockets)} open: {', '.join(f'{each.port}/{each.protocol}' for each in sockets)}",
            wanted=wanted,
            verdict=Verdict.PASSED,
        )
    ]


def parse(text: str) -> list[Socket]:
    """What listens beyond loopback.

    Raises:
        UnreadableError: If a line is none of `ss`, or there is none at all: sshd listens where we log in.
    """
    found: set[Socket] = set()
    for line in text.splitlines():
        fields = line.split(maxsplit=_FIELDS)
        address, _, port = fields[4].rpartition(":") if len(fields) >= _FIELDS else ("", "", "")
        if not port.isdigit() or fields[0] not in {"tcp", "udp"}:
            raise UnreadableError(f"a line of ss that is none: {line!r}")
        if not address.strip("[]").partition("%")[0].startswith(("127.", "::1", "::ffff:127.")):
            program = _PROGRAM.search(line)
            found.add(Socket(fields[0], int(port), program[1] if program else ""))
    if not found:
        raise UnreadableError("ss names no listener at all")
    return sorted(found)


PART: Final = Part(
    name="sockets",
    checks={"sockets": "a host has no open port, TCP or UDP, that is not in the model"},
    order=order,
    judge=judge,
    seconds=longest,
)
