"""Each process engine asked itself, past the gateway, whether it is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3

from installer.report import CheckResult, passed_if
from installer.services.health.answers import in_words
from installer.services.health.subject import HTTP_OK

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject


def check(subject: Subject) -> list[CheckResult]:
    """Every engine of the site is up, its database included."""
    return [_engine(subject, host) for host in subject.group("engine")]


def _engine(subject: Subject, host: Host) -> CheckResult:
    """One engine; one that does not answer leaves the others to be asked."""
    port = subject.setting("engine_port")
    try:
        answer = subject.https(host.address, port, name=host.fqdn).request("GET", "/actuator/health", retries=False)
        said = f"{answer.status} {answer.data[:200].decode(errors='replace')}"
        good = answer.status == HTTP_OK
    except (OSError, urllib3.exceptions.HTTPError) as error:
        said, good = f"no answer: {in_words(error)}", False
    return passed_if(
        good,
        check="engine.up",
        host=host.name,
        measured=f"port {port}: {said}",
        wanted="200, up",
        fix="journalctl --unit engine on this host says why; without a database no engine is up",
    )
