"""Every TLS listener of the model looked at by testssl.sh.

On its own host, at the address others use: what answers is the same, and no firewall has to be opened for it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.manifests.shared import listeners_of
from installer.report import CheckResult, Verdict, passed_if

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.manifests.shared import Listener

_SECONDS: Final = 600
_CA: Final = "ca.pem"
# From 50 on its exit code counts findings below which there is an error; see its manual page.
_FIRST_ERROR: Final = 242
_HARMLESS: Final = frozenset({"OK", "INFO", "LOW"})
_PROTOCOLS: Final = {"SSLv2": "", "SSLv3": "", "TLS1": "", "TLS1_1": "", "TLS1_2": "", "TLS1_3": "offered"}
# It warns that it could not look for what does not exist with TLS 1.3, or what its own openssl lacks, and says that it
# cannot tell what a listener is which is no web server. Whether sessions are resumed it only tells; now and then its
# client hangs up before TLS 1.3's ticket came, and it takes its own empty file for a failed connection.
_NOT_OF_THE_LISTENER: Final = frozenset(
    {"engine_problem", "NPN", "optimal_proto", "service", "sessionresumption_ID", "sessionresumption_ticket"}
)
# Without revocation lists a stolen key is good until its certificate ends; a short life is the answer to that.
SHORT_LIVED_DAYS: Final = 100
_REVOCATION: Final = "cert_revocation"
_TIME: Final = "%Y-%m-%d %H:%M"
# testssl.sh insists on a program that resolves names, although it is given addresses.
RESOLVER: Final = {"bin/drill": "#!/bin/sh\nexit 1\n"}


def files(ca: str) -> dict[str, str]:
    """What lies beside the auditors on a host."""
    return {_CA: ca, **RESOLVER}


def order(question: Question) -> dict[str, Any] | None:
    """One run for each listener: protocols and what the server says of itself and its certificate."""
    host = question.host
    wanted = {str(each.port): _job(question, each) for each in _listeners(question)}
    return jobs(**wanted) if wanted and host.address else None


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """For each listener one result; a listener that could not be looked at is a failed one."""
    return [_judged(question, each, answer) for each in _listeners(question)]


def _judged(question: Question, listener: Listener, answer: Mapping[str, Any]) -> CheckResult:
    port = listener.port
    common: dict[str, Any] = {"check": "audit.tls", "host": question.host.name, "about": str(port)}
    wanted = "TLS 1.3 only, nothing found above low"
    try:
        said(answer, str(port), codes=tuple(range(_FIRST_ERROR)))
        found = parse(str(answer[str(port)].get(_report(port), "")))
    except UnreadableError as error:
        return CheckResult(
            **common,
            measured=f"{port} could not be looked at: {error}",
            wanted=wanted,
            verdict=Verdict.FAILED,
            fix=f"{listener.purpose}: `status` shows whether its unit runs",
        )
    bad, answered = objections(found)
    return passed_if(
        not bad,
        **common,
        measured=f"{port}: " + ("; ".join(bad) or "TLS 1.3 only, nothing above low"),
        wanted=wanted,
        fix=f"{listener.purpose}: testssl.sh's names of findings are explained at its -h and in its manual",
        note="; ".join(answered),
    )


def objections(found: Mapping[str, tuple[str, str]]) -> tuple[list[str], list[str]]:
    """What testssl.sh objects to in a listener, and what it would object to but has an answer.

    Args:
        found: Severity and finding by its name for it, see `parse`.

    Raises:
        UnreadableError: If its dates of the certificate cannot be understood.
    """
    protocols = [name for name, offered in _PROTOCOLS.items() if found[name][1].startswith("offered") != bool(offered)]
    bad = [f"{name} {found[name][1]}" for name in protocols]
    answered = []
    for name, (severity, finding) in found.items():
        if severity in _HARMLESS or name in _NOT_OF_THE_LISTENER or name in protocols:
            continue
        if name == _REVOCATION and (days := _lifetime_days(found)) <= SHORT_LIVED_DAYS:
            answered.append(f"no revocation, but the certificate lives {days} days")
            continue
        bad.append(f"{severity.lower()} {name}: {finding}")
    return bad, answered


def parse(text: str) -> dict[str, tuple[str, str]]:
    """Severity and finding by testssl.sh's name for it.

    Raises:
        UnreadableError: If it is not its JSON, or it did not come to the end of what it was to do.
    """
    try:
        found = {str(row["id"]): (str(row["severity"]), str(row["finding"])) for row in json.loads(text)}
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableError(f"testssl.sh's report is none: {text[:120]!r}") from error
    lacking = [name for name in (*_PROTOCOLS, "cert_notAfter", "cert_notBefore", "scanTime") if name not in found]
    if lacking:
        ended = next((finding for severity, finding in found.values() if severity == "FATAL"), "")
        raise UnreadableError(f"testssl.sh did not look at {', '.join(lacking)}" + (f": {ended}" if ended else ""))
    return found


def _lifetime_days(found: Mapping[str, tuple[str, str]]) -> int:
    """How long the certificate lives, in days."""
    try:
        begins, ends = (
            datetime.strptime(found[name][1], _TIME).replace(tzinfo=UTC) for name in ("cert_notBefore", "cert_notAfter")
        )
    except ValueError as error:
        raise UnreadableError(f"testssl.sh's dates of the certificate: {error}") from error
    return (ends - begins).days


def _listeners(question: Question) -> list[Listener]:
    site, manifests = question.subject.site, question.subject.manifests
    found = {each.port: each for each in listeners_of(site, question.host.name, manifests)}
    return [each for _, each in sorted(found.items()) if each.protocol == "tcp" and each.tls == "1.3"]


def _report(port: int) -> str:
    return f"testssl-{port}.json"


def _job(question: Question, listener: Listener) -> dict[str, Any]:
    name = question.subject.site[listener.server_name] if listener.server_name else question.host.fqdn
    argv = ["bash", "{tools}/usr/bin/testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none"]
    argv += ["--protocols", "--server-defaults", "--add-ca", f"{{tools}}/{_CA}", "--ip", question.host.address]
    argv += ["--connect-timeout", "30", "--openssl-timeout", "30", "--jsonfile", f"{{tools}}/{_report(listener.port)}"]
    if listener.starttls:
        argv += ["--starttls", {"postgresql": "postgres"}[listener.starttls]]
    environment = {"TESTSSL_INSTALL_DIR": "{tools}/etc/testssl"}
    report = _report(listener.port)
    return {
        "argv": [*argv, f"{name}:{listener.port}"],
        "environment": environment,
        "files": [report],
        "seconds": _SECONDS,
    }


PART: Final = Part(
    name="tls",
    checks={"tls": "testssl.sh finds TLS 1.3 only, and nothing above low, on every TLS listener of the model"},
    order=order,
    judge=judge,
    seconds=longest,
    heavy=True,
)
