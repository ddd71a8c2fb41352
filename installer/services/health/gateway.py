"""The gateways asked at the users' address and at their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3

from installer.report import CheckResult, passed_if
from installer.services.health.answers import in_words
from installer.services.health.subject import HTTP_OK, HTTP_UNAUTHORIZED, HTTPS_PORT

if TYPE_CHECKING:
    from installer.services.health.subject import Subject


def check(subject: Subject) -> list[CheckResult]:
    """The virtual address answers under the public name, and so does each gateway, which may have to take it over.

    Where people log in, a machine's user gets no further than somebody unknown, its right password or not.
    """
    virtual = str(subject.site["virtual_ip"])
    results = [_answers(subject, "gateway.address", subject.name, virtual)]
    results += [_answers(subject, "gateway.up", host.name, host.address) for host in subject.group("gateway")]
    return [*results, _machines_apart(subject)]


def _answers(subject: Subject, check: str, host: str, address: str) -> CheckResult:
    """One address; one that does not answer leaves the others to be asked."""
    pool = subject.https(address, HTTPS_PORT, name=subject.site["public_name"])
    try:
        answer = pool.request("GET", "/healthz", retries=False)
        said, good = f"{answer.status}", answer.status == HTTP_OK
    except (OSError, urllib3.exceptions.HTTPError) as error:
        said, good = f"no answer: {in_words(error)}", False
    return passed_if(
        good,
        check=check,
        host=host,
        measured=f"{address}:{HTTPS_PORT}: {said}",
        wanted="200",
        fix="journalctl --unit gateway --unit keepalived on the gateways says why",
    )


def _machines_apart(subject: Subject) -> CheckResult:
    """Log in as the probe, with its password, where people do."""
    login = urllib3.make_headers(basic_auth=f"probe:{subject.secrets['engine_probe_password']}")
    pool = subject.gateway()
    try:
        answer = pool.request("GET", "/engine-rest/process-definition/count", headers={**pool.headers, **login})
        said, good = f"{answer.status}", answer.status == HTTP_UNAUTHORIZED
    except (OSError, urllib3.exceptions.HTTPError) as error:
        said, good = f"no answer: {in_words(error)}", False
    return passed_if(
        good,
        check="gateway.apart",
        host=subject.name,
        measured=f"login as probe on port {HTTPS_PORT}: {said}",
        wanted=f"{HTTP_UNAUTHORIZED}, although the password is right",
        fix="run the installation again: an engine does not know which users are machines",
    )
