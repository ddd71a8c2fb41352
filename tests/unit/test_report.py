"""Reports: the page and the data say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from installer.operations.checks import page
from installer.report import CheckResult, Report, Verdict, passed_if


def sample() -> Report:
    """A report with each verdict and text that is dangerous in HTML."""
    results = (
        passed_if(True, check="a.good", host="one", measured="1 <b>bold</b>", wanted="1", fix="nothing"),
        passed_if(False, check="b.bad", host="two", measured="0 & less", wanted="1", fix="do this"),
        CheckResult(check="c.waived", host="two", measured="2", wanted="4", verdict=Verdict.WAIVED, note="until then"),
    )
    started = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
    return Report(
        title="Verification",
        site="here",
        started=started,
        seconds=3.21,
        results=results,
        facts={"Versions": {"x": "1"}},
    )


def test_one_failed_result_makes_the_report_fail() -> None:
    assert not sample().ok
    assert [result.check for result in sample().failed] == ["b.bad"]
    assert sample().counts() == {"passed": 1, "failed": 1, "waived": 1, "information": 0}


def test_passed_result_carries_no_fix() -> None:
    assert sample().results[0].fix == ""
    assert sample().results[1].fix == "do this"


def test_page_escapes_what_hosts_said_and_needs_nothing_from_elsewhere() -> None:
    text = page.render(sample())
    assert "1 &lt;b&gt;bold&lt;/b&gt;" in text
    assert "http" not in text.replace("<!doctype html>", "")
    assert all(check in text for check in ("a.good", "b.bad", "c.waived"))


def test_files_hold_the_same_facts_and_are_not_world_readable(tmp_path: Path) -> None:
    data, html = page.write(sample(), tmp_path / "reports", "evidence")
    assert json.loads(data.read_text()) == sample().to_json()
    assert data.stat().st_mode & 0o007 == 0
    assert html.read_text() == page.render(sample())
    assert sorted(path.name for path in data.parent.iterdir()) == ["evidence.html", "evidence.json"]
