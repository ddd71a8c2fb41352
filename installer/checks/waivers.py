"""A site's leave for a check to fail: the result stays, with the reason and the day it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from installer.report import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from installer.report import CheckResult
    from installer.site.model import Waiver


def waived(result: CheckResult, waivers: Sequence[Waiver], today: date) -> CheckResult:
    """A failed result with the verdict of the first waiver that covers it and has not expired; else the result."""
    if result.ok:
        return result
    for waiver in waivers:
        if _covers(waiver, result) and waiver.expires >= today:
            note = f"waived until {waiver.expires}: {waiver.reason} ({waiver.source})"
            return replace(result, verdict=Verdict.WAIVED, note=note)
    return result


def _covers(waiver: Waiver, result: CheckResult) -> bool:
    return waiver.check == result.check and waiver.host in (None, result.host) and waiver.about in (None, result.about)
