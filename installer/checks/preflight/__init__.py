"""Is every host fit for what it shall carry? Read-only, before anything is touched."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from installer.checks import hosts
from installer.checks.preflight import network
from installer.checks.preflight.catalog import CHECKS, SIZES
from installer.checks.preflight.evaluate import Expectation, evaluate
from installer.checks.waivers import waived
from installer.manifests.shared import data_directories_of, fsync_directories_of
from installer.report import CheckResult, Report, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from installer.manifests import RoleManifest
    from installer.site.model import Site, Waiver

__all__ = ["CHECKS", "run"]

PROBE: Final = Path(__file__).with_name("probe.py")
REHEARSAL_NOTE: Final = "waived: a rehearsal host shares this controller's cores, memory and disk"


def run(
    site: Site,
    *,
    manifests: Mapping[str, RoleManifest],
    ssh: Mapping[str, Sequence[str]],
    report: Callable[[str], None],
    password: Callable[[], str | None] = lambda: None,
) -> Report:
    """Ask every host, then let the hosts try each other, and judge.

    Args:
        site: The site.
        manifests: The roles' manifests: ports, directories.
        ssh: Host to the argv prefix that runs a command there.
        report: Told of each step.
        password: Gives sudo's password, or None; asked only when a host's sudo asks for it.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    resolved = site.resolved()
    with hosts.Probes(ssh, PROBE, password=password) as probes:
        results, answers = _results(resolved, manifests, probes, report)
    today = datetime.now(UTC).date()
    return Report(
        title="Preflight",
        site=site.name,
        started=started,
        seconds=time.monotonic() - clock,
        results=tuple(waive(result, site.waivers, today, rehearsal=site.rehearsal) for result in results),
        answers=answers,
    )


def _results(
    site: Mapping[str, Any],
    manifests: Mapping[str, RoleManifest],
    probes: hosts.Probes,
    report: Callable[[str], None],
) -> tuple[list[CheckResult], dict[str, Mapping[str, Any]]]:
    """Every host's own measurements, then what hosts found out about each other; with what was answered."""
    report(f"preflight: asking {len(site['hosts'])} hosts")
    answers = probes.ask({host: _order(site, manifests, host) for host in site["hosts"]})
    results: list[CheckResult] = []
    facts: dict[str, Mapping[str, Any]] = {}
    for host, answer in answers.items():
        if answer.step:
            results.append(_unasked(answer))
            continue
        facts[host] = answer.data
        ports = [port.port for port in network.ports_of(site, manifests, host)]
        results += evaluate(answer.data, Expectation(site=site, host=host, ports=ports, time_span=answer.asked))
    if len(facts) > 1:
        report(f"preflight: {len(facts)} hosts try each other")
        results += network.check(site, manifests, probes, facts)
    return results, facts


def waive(result: CheckResult, waivers: Sequence[Waiver], today: Any, *, rehearsal: bool) -> CheckResult:
    """Let a failed check pass when somebody said why and until when, or when it is about a rehearsal's size."""
    if result.ok:
        return result
    if rehearsal and result.check in SIZES:
        return replace(result, verdict=Verdict.WAIVED, fix="", note=REHEARSAL_NOTE)
    return waived(result, waivers, today)


def _order(site: Mapping[str, Any], manifests: Mapping[str, RoleManifest], host: str) -> dict[str, Any]:
    """What one host is asked to measure."""
    known = site["hosts"][host]
    data = data_directories_of(site, host, manifests)
    others = {
        name: other["address"]
        for short, other in site["hosts"].items()
        for name in (short, other["fqdn"])
        if short != host
    }
    return {
        "do": "facts",
        "address": known["address"],
        "directories": ["/", *data],
        "data_directories": data,
        "fsync_directories": fsync_directories_of(site, host, manifests),
        "names": [*others, site["public_name"]],
    }


def _unasked(answer: hosts.Answer) -> CheckResult:
    """A host that could not be asked, with the step at which that failed."""
    return CheckResult(
        check=answer.check,
        host=answer.host,
        measured=answer.error,
        wanted="an answer",
        verdict=Verdict.FAILED,
        fix=hosts.STEP_FIXES[answer.step],
    )
