"""What an audit makes of what programs of others said; the samples are their own words on a rehearsed clinic."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from installer.checks.audit import cis, exposure, lynis, postgresql, probe, sockets, ssh, tls
from installer.checks.audit.difference import difference
from installer.checks.audit.model import UnreadableError
from installer.checks.waivers import waived
from installer.documents import Source
from installer.report import CheckResult, Report, Verdict
from installer.site.model import Waiver

SS = """\
udp   UNCONN 0      0          127.0.0.1:323        0.0.0.0:*    users:(("chronyd",pid=88,fd=5))
tcp   LISTEN 0      128       10.21.0.11:2379       0.0.0.0:*    users:(("etcd",pid=1201,fd=7))
tcp   LISTEN 0      4096       127.0.0.1:4369       0.0.0.0:*    users:(("epmd",pid=300,fd=3),("systemd",pid=1,fd=44))
tcp   LISTEN 0      128            [::1]:6010          [::]:*
"""
LYNIS = """\
# Lynis Report
lynis_version=3.1.4
warning[]=PKGS-7392|Found one or more vulnerable packages.|-|-|
suggestion[]=AUTH-9282|When possible set expire dates for all password protected accounts|-|-|
suggestion[]=LOGG-2154|Enable logging to an external logging host|-|-|
tests_executed=CORE-1000|KRNL-5622|AUTH-9282|
hardening_index=81
finish=true
"""
TESTSSL = [
    *(
        {"id": name, "severity": "OK", "finding": "not offered"}
        for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2")
    ),
    {"id": "TLS1_3", "severity": "OK", "finding": "offered with final"},
    {"id": "cert_notBefore", "severity": "INFO", "finding": "2026-11-25 15:44"},
    {"id": "cert_notAfter", "severity": "OK", "finding": "2027-02-23 16:44"},
    {"id": "cert_revocation", "severity": "HIGH", "finding": "Neither CRL nor OCSP URI provided"},
    {"id": "service", "severity": "DEBUG", "finding": "Couldn't determine service, skipping all HTTP checks"},
    {"id": "scanTime", "severity": "INFO", "finding": "9"},
]


def test_only_what_listens_beyond_loopback_counts_and_its_program_is_named() -> None:
    assert sockets.parse(SS) == [sockets.Socket("tcp", 2379, "etcd")]


@pytest.mark.parametrize("text", ["", "Netid State Recv-Q\n", "tcp LISTEN 0 128 127.0.0.1:22 0.0.0.0:*\n"])
def test_an_answer_without_any_listener_is_none(text: str) -> None:
    with pytest.raises(UnreadableError):
        sockets.parse(text)


def test_lynis_index_warnings_and_suggestions_are_read() -> None:
    found = lynis.parse(LYNIS)
    assert (found.index, found.tests) == (81, 3)
    assert found.warnings == (("PKGS-7392", "Found one or more vulnerable packages."),)
    assert [test for test, _ in found.suggestions] == ["AUTH-9282", "LOGG-2154"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("finish=true\n", ""),
        ("hardening_index=81", "hardening_index="),
        ("tests_executed=CORE-1000|KRNL-5622|AUTH-9282|", ""),
    ],
)
def test_a_report_of_lynis_that_was_cut_off_is_no_pass(old: str, new: str) -> None:
    with pytest.raises(UnreadableError):
        lynis.parse(LYNIS.replace(old, new))


def test_findings_of_testssl_are_read_by_name() -> None:
    found = tls.parse(json.dumps(TESTSSL))
    assert found["TLS1_3"] == ("OK", "offered with final")
    assert tls._lifetime_days(found) <= tls.SHORT_LIVED_DAYS


def test_what_testssl_says_of_itself_is_no_objection_to_a_listener_and_an_old_protocol_is() -> None:
    found = tls.parse(json.dumps(TESTSSL))
    hung_up = {"sessionresumption_ticket": ("WARN", "check failed because of connect problem")}
    assert tls.objections({**found, **hung_up}) == ([], ["no revocation, but the certificate lives 90 days"])
    weak = {"TLS1": ("LOW", "offered (deprecated)"), "cert_signatureAlgorithm": ("HIGH", "SHA1 with RSA")}
    assert tls.objections({**found, **weak})[0] == [
        "TLS1 offered (deprecated)",
        "high cert_signatureAlgorithm: SHA1 with RSA",
    ]
    a_year = {"cert_notAfter": ("OK", "2027-11-25 16:44")}
    assert tls.objections({**found, **a_year})[0] == ["high cert_revocation: Neither CRL nor OCSP URI provided"]


@pytest.mark.parametrize("lacking", ["TLS1_2", "cert_notAfter", "scanTime"])
def test_a_run_of_testssl_that_did_not_look_at_everything_is_no_pass(lacking: str) -> None:
    with pytest.raises(UnreadableError, match=lacking):
        tls.parse(json.dumps([row for row in TESTSSL if row["id"] != lacking]))


def test_an_answer_of_ssh_audit_without_algorithms_is_no_pass() -> None:
    kinds: dict[str, Any] = {kind: [{"algorithm": "x", "notes": {}}] for kind in ("kex", "key", "enc", "mac")}
    report = {"banner": {"raw": "SSH-2.0-OpenSSH_10.0p2 Debian-7"}, **kinds}
    assert ssh.parse(json.dumps(report)) == report
    for text in ("", "[]", json.dumps({**report, "kex": []}), json.dumps({**report, "banner": None})):
        with pytest.raises(UnreadableError):
            ssh.parse(text)


def test_units_and_their_exposure_are_read() -> None:
    units = [{"unit": "etcd.service", "exposure": "1.1", "predicate": "OK"}]
    assert exposure.parse(json.dumps(units)) == {"etcd.service": 1.1}
    for text in ("", "{}x", json.dumps([{"unit": "etcd.service"}])):
        with pytest.raises(UnreadableError):
            exposure.parse(text)


def test_every_database_is_asked_and_a_select_that_failed_is_no_pass() -> None:
    script = postgresql.script(["postgres", 'strange"name'])
    assert '\\connect "strange""name"' in script
    assert script.count("\\echo @@sitewright ssl postgres") == 1
    said = "@@sitewright ssl postgres\non\n@@sitewright superusers postgres\n@@sitewright end\n"
    assert postgresql.parse(said) == {("ssl", "postgres"): "on"}
    with pytest.raises(UnreadableError, match="ended early"):
        postgresql.parse("@@sitewright ssl postgres\non\n")


def test_an_assertion_holds_for_the_wanted_value_alone() -> None:
    known = {each.name: each for each in cis.ASSERTIONS}
    assert len(known) == len(cis.ASSERTIONS) >= 30
    assert known["hba_methods"].holds("")
    assert not known["hba_methods"].holds("line 3: host all all 0.0.0.0/0 trust")
    assert known["listen_addresses"].holds("10.21.0.11,127.0.0.1")
    assert not known["listen_addresses"].holds("*")
    assert known["pgaudit"].holds("ddl, read, role, write")
    assert not known["pgaudit"].holds("none")


def _result(check: str, verdict: Verdict, about: str = "") -> CheckResult:
    return CheckResult(check=check, host="db1", about=about, measured="m", wanted="w", verdict=verdict)


def test_what_is_new_and_what_is_gone_since_the_last_audit_is_told() -> None:
    def report(*results: CheckResult) -> Report:
        return Report(title="Audit", site="s", started=datetime(2026, 11, 25, tzinfo=UTC), seconds=1, results=results)

    before = report(_result("audit.tls", Verdict.FAILED, "5432"), _result("audit.setid", Verdict.FAILED))
    now = report(
        _result("audit.tls", Verdict.PASSED, "5432"),
        _result("audit.setid", Verdict.WAIVED),
        _result("audit.lynis", Verdict.FAILED),
    )
    found = difference(before.to_json(), now)
    assert [len(found[kind]) for kind in ("new", "gone", "waived")] == [1, 1, 1]


def test_a_waiver_for_one_thing_covers_no_other() -> None:
    waiver = Waiver(
        check="audit.exposure",
        host=None,
        about="ssh.service",
        reason="sudo",
        expires=date(2027, 6, 30),
        source=Source(path=Path("site.yml"), line=3),
    )
    today = date(2026, 11, 25)
    assert waived(_result("audit.exposure", Verdict.FAILED, "ssh.service"), [waiver], today).verdict is Verdict.WAIVED
    assert waived(_result("audit.exposure", Verdict.FAILED, "etcd.service"), [waiver], today).verdict is Verdict.FAILED
    late = date(2027, 7, 1)
    assert waived(_result("audit.exposure", Verdict.FAILED, "ssh.service"), [waiver], late).verdict is Verdict.FAILED


def test_a_long_password_and_a_key_are_found_and_what_dpkg_lists_is_not_asked(tmp_path: Path) -> None:
    written = {
        "password": f"password = {'a1' * 16}\n",
        "key": "-----BEGIN EC PRIVATE KEY-----\n",
        "short": "password = changeit\n",
        "words": "secret: the-name-of-nothing-in-particular\n",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
    found = [name for name in written if probe.holds_secret(str(tmp_path / name), len(written[name]))]
    assert found == ["password", "key"]
    # The checksum of a configuration file looks like a password behind the word for one.
    (tmp_path / "status").write_text(f"Conffiles:\n /etc/pam.d/passwd {'0f' * 16}\n")
    assert probe.holds_secret(str(tmp_path / "status"), 60)
    assert {"/var/lib/dpkg/status", "/var/lib/dpkg/status-old"} <= probe.packaged()
