"""Whether programs and settings of a host are as the last installation left them, by its own comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.report import CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECK: Final = "hardening.integrity"
CONTROL: Final = "integrity.files"
# Lines of the kind `integrity`, as the other questions of hardening have theirs.
QUESTION: Final = (
    "echo integrity baseline $(date --utc --iso-8601=minutes --reference=/var/lib/aide/aide.db 2>/dev/null); "
    "echo integrity result $(systemctl show sitewright-integrity.service --property=Result --value); "
    "echo integrity compared "
    "$(systemctl show sitewright-integrity.service --property=ExecMainExitTimestamp --timestamp=utc --value)"
)


def judge(host: str, found: Mapping[str, str]) -> CheckResult:
    """What a host's comparison says. It stops no installation: what is not as it was may be what is to be mended.

    Args:
        host: Short name of the host.
        found: What the host answered, by name.
    """
    baseline, compared = found.get("baseline", ""), found.get("compared", "") or "not yet"
    differs = bool(baseline) and found.get("result", "") != "success"
    fix = ""
    if differs:
        fix = "`sitewright-integrity` on the host prints what differs; with --accept it is taken as right"
    elif not baseline:
        fix = "an installation that changes something takes one at its end"
    return CheckResult(
        check=CHECK,
        host=host,
        measured=f"baseline of {baseline}, compared: {compared}{', differs' if differs else ''}"
        if baseline
        else "no baseline",
        wanted="as the last installation left it",
        verdict=Verdict.INFORMATION if differs or not baseline else Verdict.PASSED,
        fix=fix,
    )
