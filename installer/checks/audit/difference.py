"""What is different from the audit before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from installer.report import Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


def difference(before: Mapping[str, Any], now: Report) -> dict[str, list[str]]:
    """What an audit found that the one before did not, and the other way round.

    Args:
        before: The report of the audit before, as it was kept.
        now: The report.

    Returns:
        `new`: what fails now and did not; `gone`: what failed and does not; `waived`: what is waived now and failed.
    """
    old = {_key(each): each for each in before["results"]}
    new = {_key(each): each for each in now.to_json()["results"]}
    failed, waived_now = str(Verdict.FAILED), str(Verdict.WAIVED)
    return {
        "new": [
            _line(each) for key, each in new.items() if each["verdict"] == failed and not _is(old.get(key), failed)
        ],
        "gone": [
            _line(each)
            for key, each in old.items()
            if each["verdict"] == failed and not _is(new.get(key), failed) and not _is(new.get(key), waived_now)
        ],
        "waived": [
            _line(each)
            for key, each in new.items()
            if each["verdict"] == waived_now and not _is(old.get(key), waived_now)
        ],
    }


def with_difference(report: Report, before: Mapping[str, Any] | None) -> Report:
    """The report with a section on what is different from the audit before."""
    if before is None:
        return replace(report, facts={"Since the last audit": {"": "this is the first"}, **report.facts})
    found = difference(before, report)
    words = {"new": "fails now", "gone": "fails no longer", "waived": "waived since"}
    section = {words[kind]: "; ".join(lines) or "nothing" for kind, lines in found.items()}
    return replace(report, facts={f"Since the audit of {before['started']}": section, **report.facts})


def _key(result: Mapping[str, Any]) -> tuple[str, str, str]:
    return (result["check"], result["host"], result.get("about", ""))


def _is(result: Mapping[str, Any] | None, verdict: str) -> bool:
    return result is not None and result["verdict"] == verdict


def _line(result: Mapping[str, Any]) -> str:
    return f"{result['check']} on {result['host']}: {result['measured']}"
