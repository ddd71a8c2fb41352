"""`status`: what runs now, and its health; reads only."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from installer.checks.verify import ask, health_checks
from installer.errors import VerificationError
from installer.operations.checks.operation import subject_of
from installer.operations.context import opened_further
from installer.operations.summary import Summary
from installer.stages.journal import Journal
from installer.stages.kinds import describe, notice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from installer.operations.context import SiteContext

VERB: Final = "status"
_SSH_SECONDS: Final = 20
_FIXED_LINES: Final = 4
_CERTIFICATE: Final = "notAfter="
# Runs renew what ends within 30 days, so whatever comes this close to its end was not looked after.
_CERTIFICATE_DAYS: Final = 14
# One line each: systemd's verdict, since when the host is up, load, memory; then when each certificate ends, with the
# service it is of; then the failed units.
_QUESTION: Final = (
    "systemctl is-system-running || true; uptime -s; cut -d' ' -f1-3 /proc/loadavg;"
    ' awk \'/MemTotal|MemAvailable/ {printf "%d ", $2/1024} END {print ""}\' /proc/meminfo;'
    " for file in /etc/sitewright/tls/*/tls.crt; do [ ! -e $file ] ||"
    ' echo "$(openssl x509 -noout -enddate -dateopt iso_8601 -in $file || echo unreadable) $file"; done;'
    " systemctl list-units --failed --plain --no-legend --no-pager | cut -d' ' -f1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What a host says of itself.

    Attributes:
        host: Its short name.
        state: What systemd calls it, or `unreachable`.
        since: When it was booted.
        load: Of one, five and fifteen minutes.
        memory: Available and all, in MB.
        certificate: The certificate that ends first: its service and its last day.
        certificate_days: Whole days until then; None without a certificate.
        failed_units: Units that systemd calls failed, and certificates that cannot be read.
    """

    host: str
    state: str
    since: str = ""
    load: str = ""
    memory: str = ""
    certificate: str = ""
    certificate_days: int | None = None
    failed_units: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        lasts = self.certificate_days is None or self.certificate_days >= _CERTIFICATE_DAYS
        return self.state == "running" and not self.failed_units and lasts


def status(context: SiteContext) -> None:
    """Show the last operation, every host, and the health of every service.

    Raises:
        VerificationError: If there is a health problem, or nothing was ever installed from here.
    """
    terminal = context.terminal
    summary = Summary(operation=VERB, site=context.site.name, started=context.request.started)
    with ThreadPoolExecutor(max_workers=max(1, len(context.ssh))) as pool:
        hosts = list(pool.map(lambda item: _ask(*item), context.ssh.items()))
    journal = Journal.of(context.state)
    last, unfinished = journal.last(), notice(journal.unfinished())
    if last is None:
        operation = "never installed from this controller"
    else:
        operation = (
            f"{describe(last)}: {last.result or 'not finished'},"
            f" {len(last.done_stages)} of {len(last.planned)} stages done"
        )
    terminal.result(operation)
    if unfinished:
        terminal.result(unfinished)
    terminal.table(
        ("host", "state", "up since", "load", "memory free/all MB", "first certificate ends", "failed units"),
        [
            (each.host, each.state, each.since, each.load, each.memory, each.certificate, " ".join(each.failed_units))
            for each in hosts
        ],
    )
    unhealthy = [each.host for each in hosts if not each.ok]
    summary.more = {
        "last_operation": operation,
        "unfinished_operation": unfinished,
        "hosts_now": [asdict(each) for each in hosts],
    }
    if last is not None and last.done_stages:
        unhealthy += _services(context, summary)
    error = None
    if last is None:
        error = VerificationError(
            f"{context.site.name} was never installed from this controller: its services were not asked",
            hint=f"install it with: {context.request.install_command} (or run this where it was installed from)",
        )
    elif unhealthy:
        error = VerificationError(
            f"health problems on {context.site.name}: {', '.join(dict.fromkeys(unhealthy))}",
            hint=f"do what the tables say; {context.request.install_command} repairs what drifted",
        )
    if error is None:
        summary.result = "done"
        terminal.document(summary.to_json())
        return
    terminal.document(summary.to_json(error))
    raise error


def _services(context: SiteContext, summary: Summary) -> list[str]:
    """Health of the services as they tell it themselves; names of what is not healthy."""
    with opened_further(context, "read") as operation, subject_of(operation) as subject:
        results = [result for _, found in ask(health_checks(subject), subject) for result in found]
    context.terminal.table(
        ("service", "host", "measured", "verdict", "what to do"),
        [(result.check, result.host, result.measured, str(result.verdict), result.fix) for result in results],
    )
    summary.more["services"] = [
        asdict(result) | {"verdict": str(result.verdict), "details": list(result.details)} for result in results
    ]
    return [result.check for result in results if not result.ok]


def _ask(host: str, login: Sequence[str]) -> HostState:
    try:
        answer = subprocess.run(  # noqa: S603 - argv is built from the inventory's own connection settings
            [*login, _QUESTION], capture_output=True, text=True, timeout=_SSH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return HostState(host=host, state="unreachable")
    lines = answer.stdout.splitlines()
    if answer.returncode != 0 or len(lines) < _FIXED_LINES:
        return HostState(host=host, state="unreachable")
    return read(host, lines)


def read(host: str, lines: Sequence[str], *, now: datetime | None = None) -> HostState:
    """What a host's answer says.

    Args:
        host: Its short name.
        lines: The answer.
        now: The moment it was given.
    """
    state, since, load, memory, *more = lines
    certificates = sorted(line.removeprefix(_CERTIFICATE) for line in more if line.startswith(_CERTIFICATE))
    ends, service = _first_end(certificates[0]) if certificates else (None, "")
    total, _, available = memory.strip().partition(" ")
    return HostState(
        host=host,
        state=state,
        since=since,
        load=load,
        memory=f"{available}/{total}",
        certificate=f"{ends:%Y-%m-%d} ({service})" if ends else "",
        certificate_days=(ends - (now or datetime.now(UTC))).days if ends else None,
        failed_units=tuple(line for line in more if not line.startswith(_CERTIFICATE)),
    )


def _first_end(said: str) -> tuple[datetime, str]:
    """The moment and the service in a line like `2027-02-23 15:00:00Z /etc/sitewright/tls/etcd/tls.crt`."""
    day, hour, file = said.split()
    return datetime.fromisoformat(f"{day}T{hour}"), file.split("/")[-2]
