"""The workers' units asked of systemd: a unit is active only while its process reaches engine, cache and broker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.report import CheckResult, passed_if

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject

_RUNNING: Final = "running"
_COMMAND: Final = (
    "systemctl",
    "list-units",
    "--all",
    "--plain",
    "--no-legend",
    "--no-pager",
    "'sitewright-worker@*.service'",
)


def check(subject: Subject) -> list[CheckResult]:
    """Every instance runs, on every host that has some."""
    hosts = subject.group("worker")
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(lambda host: _states(subject, host), hosts))
    results = [_host(host, said) for host, said in zip(hosts, found, strict=True) if said]
    none = passed_if(
        False,
        check="worker.running",
        host=subject.name,
        measured="no instance on any host",
        wanted="every instance running",
        fix="run the installation again; systemctl list-units on a worker host",
    )
    wanted = any(application["processes"] for application in subject.site["applications"].values())
    return results or ([none] if wanted else [])


def _states(subject: Subject, host: Host) -> dict[str, str]:
    """Each instance with what systemd says of it; a host that does not answer is one that is not well."""
    try:
        lines = subject.run(host.name, _COMMAND).splitlines()
    except OSError as error:
        return {"every instance": f"unknown: {error}"}
    return {fields[0]: fields[3] for line in lines if (fields := line.split())}


def _host(host: Host, states: dict[str, str]) -> CheckResult:
    bad = {unit: state for unit, state in sorted(states.items()) if state != _RUNNING}
    return passed_if(
        not bad,
        check="worker.running",
        host=host.name,
        measured="; ".join(f"{unit} {state}" for unit, state in bad.items()) or f"{len(states)} instances running",
        wanted="every instance running",
        fix="systemctl status of the unit names what it cannot reach",
    )
