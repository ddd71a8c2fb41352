"""Each process engine asked itself, past the gateway, whether it is up and whether the directory answers it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import urllib3

from installer.report import CheckResult, Verdict, passed_if
from installer.services.health.answers import in_words
from installer.services.health.subject import HTTP_OK

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject


def check(subject: Subject) -> list[CheckResult]:
    """Every engine of the site is up, its database included, and reaches the directory if the site names one."""
    engines = subject.group("engine")
    up = [_engine(subject, host) for host in engines]
    return [*up, *(_directory(subject, host) for host in engines)] if subject.setting("engine_ldap_servers") else up


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


def _directory(subject: Subject, host: Host) -> CheckResult:
    """Whether one engine's own client gets into the directory; people of it cannot log in there otherwise."""
    wanted = "the hospital's directory answers this engine"
    if subject.site["rehearsal"]:
        return CheckResult(
            check="engine.directory",
            host=host.name,
            measured="not asked: nothing of the hospital is there in a rehearsal",
            wanted=wanted,
            verdict=Verdict.INFORMATION,
        )
    login = urllib3.make_headers(basic_auth=f"probe:{subject.secrets['engine_probe_password']}")
    engine = subject.https(host.address, subject.setting("engine_port"), name=host.fqdn)
    try:
        answer = engine.request("GET", "/actuator/directory", headers=login, retries=False)
        said = json.loads(answer.data) if answer.status == HTTP_OK else {"said": f"the engine says {answer.status}"}
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        said = {"said": f"no answer of the engine: {in_words(error)}"}
    return passed_if(
        said.get("answers") is True,
        check="engine.directory",
        host=host.name,
        measured="it answers" if said.get("answers") is True else str(said.get("said")),
        wanted=wanted,
        fix="see that engine_ldap_servers let this host in and vault_engine_ldap_bind_password is right",
    )
