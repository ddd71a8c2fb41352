"""What `status` reads out of a host's answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from installer.operations.status.operation import read

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HEAD = ["running", "2026-11-24 23:33:14", "0.10 0.20 0.30", "16000 12000 "]


def _ends(day: str, service: str) -> str:
    return f"notAfter={day} 15:00:00Z /etc/sitewright/tls/{service}/tls.crt"


def test_the_certificate_that_ends_first_is_named() -> None:
    state = read("db1", [*HEAD, _ends("2027-02-23", "patroni"), _ends("2027-01-30", "postgresql")], now=NOW)
    assert (state.certificate, state.certificate_days) == ("2027-01-30 (postgresql)", 66)
    assert state.ok
    assert state.memory == "12000/16000"


@pytest.mark.parametrize(("day", "ok"), [("2026-12-10", True), ("2026-12-09", True), ("2026-12-08", False)])
def test_a_certificate_in_its_last_two_weeks_is_a_health_problem(day: str, ok: bool) -> None:
    assert read("db1", [*HEAD, _ends(day, "etcd")], now=NOW).ok is ok


def test_a_certificate_that_cannot_be_read_is_a_health_problem_that_names_its_file() -> None:
    file = "unreadable /etc/sitewright/tls/etcd/tls.crt"
    state = read("svc1", [*HEAD, file, _ends("2027-02-23", "redis"), "chrony.service"], now=NOW)
    assert not state.ok
    assert state.failed_units == (file, "chrony.service")
