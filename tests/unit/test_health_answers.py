"""A host that does not answer is a failed check that names it, and hides no other host's answer."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import urllib3

from installer.checks.verify import listeners, packages, process, release
from installer.manifests import load_manifests
from installer.pki import ensure_authority, issue_client
from installer.report import CheckResult, Verdict, passed_if
from installer.services import known_services
from installer.services.health import engine, rabbitmq
from installer.services.health.answers import in_words, of_each
from installer.services.health.subject import Host, Subject
from installer.site import load_site

ROOT = Path(__file__).resolve().parents[2]
SERVICES = [service for service in known_services().values() if service.health]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """hospital-a, as if all its hosts were this machine, on whose addresses nothing listens."""
    folder = tmp_path_factory.mktemp("pki")
    ensure_authority(folder, "c4nary", name="hospital-a")
    manifests = load_manifests(ROOT)
    site = dict(load_site(ROOT / "inventories" / "hospital-a", manifests=manifests).resolved())
    site["hosts"] = {
        name: {**host, "address": f"127.77.0.{number}"} for number, (name, host) in enumerate(site["hosts"].items(), 1)
    }
    site["virtual_ip"] = "127.77.0.99"
    with issue_client(folder, "c4nary", "verify") as client:
        yield Subject(
            site=site,
            secrets=defaultdict(lambda: "c4nary"),
            manifests=manifests,
            clients={"site": client, "database": client},
            ssh={name: ["sh", "-c", "echo No route to host >&2; exit 255"] for name in site["hosts"]},
            carried={},
            release={},
        )


@pytest.mark.parametrize(
    ("status", "body", "verdict", "measured"),
    [
        (200, b'{"answers": true, "said": ""}', Verdict.PASSED, "it answers"),
        (
            200,
            b'{"answers": false, "said": "ad1:636 (Connection refused)"}',
            Verdict.FAILED,
            "ad1:636 (Connection refused)",
        ),
        (404, b"{}", Verdict.FAILED, "the engine says 404"),
        (200, b"<html>", Verdict.FAILED, "no answer of the engine"),
    ],
)
def test_the_directory_is_asked_through_each_engine_and_only_where_there_is_one(
    subject: Subject, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, verdict: Verdict, measured: str
) -> None:
    def answer(*_: Any, **__: Any) -> urllib3.HTTPResponse:
        return urllib3.HTTPResponse(body=body, status=status)

    monkeypatch.setattr(urllib3.HTTPSConnectionPool, "request", answer)
    assert {each.check for each in engine.check(subject)} == {"engine.up"}
    servers = [{"name": "ad1.hospital.example", "address": "10.1.0.61"}]
    named = {**subject.site, "settings": {**subject.site["settings"], "engine_ldap_servers": servers}}
    found = [each for each in engine.check(replace(subject, site=named)) if each.check == "engine.directory"]
    assert [each.host for each in found] == ["app1", "app2"]
    assert {each.verdict for each in found} == {verdict}
    assert all(measured in each.measured for each in found)
    rehearsed = [*engine.check(replace(subject, site={**named, "rehearsal": True}))]
    assert {each.verdict for each in rehearsed if each.check == "engine.directory"} == {Verdict.INFORMATION}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_silent_host_of_a_service_is_named_with_what_to_do(subject: Subject, service: Any) -> None:
    hosts = subject.group(service.group)
    for health in service.health:
        failed = [each for each in import_module(health.module).check(subject) if not each.ok]
        assert {each.host for each in failed} - {subject.name} == {host.name for host in hosts}
        assert all(each.fix and len(each.measured) < 400 for each in failed)
        assert "object at 0x" not in str(failed)
        for each in failed:
            if each.check == f"{health.name}.answers":
                address = re.escape(subject.host(each.host).address)
                assert re.match(rf"no answer from {each.host}, {address}:\d+: ", each.measured)
                assert "refused" in each.measured
                assert "start it; else see there: systemctl status " in each.fix


def test_listeners_and_release_name_each_silent_host(subject: Subject) -> None:
    found = listeners.check(subject)
    assert {each.check for each in found} == {"listeners.answers"}
    assert {each.host for each in found if "ssh to" in each.measured} == set(subject.site["hosts"])
    assert any("10.20" not in each.measured and ":5432: " in each.measured for each in found)
    assert [each.check for each in release.check(subject)] == ["release.answers"] * len(subject.site["hosts"])


def test_packages_names_each_silent_host_and_judges_the_others(subject: Subject, tmp_path: Path) -> None:
    dpkg = tmp_path / "ssh"
    dpkg.write_text("#!/bin/sh\necho 'installed redis 5:8.0.2-3'\n")
    dpkg.chmod(0o755)
    one = replace(subject, ssh={**subject.ssh, "svc1": [str(dpkg)]}, carried={"redis": {"redis": "5:8.0.2-3"}})
    found = {each.host: each.check for each in packages.check(one)}
    assert found.pop("svc1") == "packages.versions"
    assert found == dict.fromkeys(found, "packages.answers")
    assert len(found) == len(subject.site["hosts"]) - 1


def test_a_proof_names_each_silent_node_of_broker_and_cache(subject: Subject) -> None:
    asked = ((rabbitmq.waiting, "claims"), (process._keys, "app:*"))
    for ask, what in asked:
        with pytest.raises(LookupError, match=r"no answer from svc1 \(.+\), svc2 \(.+\), svc3 \(.+\)") as error:
            ask(subject, what)
        assert "object at 0x" not in str(error.value)


def test_a_tier_without_an_answer_is_a_failed_check_that_says_what_was_asked(subject: Subject) -> None:
    [result] = process._answered(subject, "keys app:* in the cache", lambda: process._cached(subject, "app:*", 1))
    assert (result.check, result.ok) == ("process.answers", False)
    assert result.measured.startswith("keys app:* in the cache: no Redis master; no answer from svc1 (")


def test_one_silent_host_hides_no_other() -> None:
    def ask(host: Host) -> list[CheckResult]:
        if host.name == "b":
            raise ConnectionRefusedError(111, "Connection refused")
        return [passed_if(True, check="x.y", host=host.name, measured="1", wanted="1")]

    hosts = [Host(name=name, address=f"10.0.0.{number}", fqdn=name) for number, name in enumerate("abc")]
    found = of_each(hosts, ask, name="x", port=7, unit="x.service")
    assert [(each.host, each.check, each.ok) for each in found] == [
        ("a", "x.y", True),
        ("b", "x.answers", False),
        ("c", "x.y", True),
    ]
    assert found[1].measured == "no answer from b, 10.0.0.1:7: [Errno 111] Connection refused"


def test_cause_is_told_without_its_wrapping() -> None:
    with pytest.raises(urllib3.exceptions.MaxRetryError) as caught:
        urllib3.HTTPConnectionPool("127.77.0.1", 1, retries=urllib3.Retry(0)).request("GET", "/")
    assert "MaxRetryError" not in in_words(caught.value)
    assert in_words(caught.value).endswith("Connection refused")
    assert len(in_words(OSError("x" * 5000))) <= 300
    assert in_words(TimeoutError()) == "TimeoutError"
