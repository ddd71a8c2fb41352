"""From what a host measured to verdicts; pure, so that every rule can be tried without a host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from installer.checks.preflight import thresholds
from installer.report import CheckResult, listed, passed_if
from installer.services.hosts import allocation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEBIAN: Final = "13"
# Unpacked packages of the largest host, with the archives apt keeps while it installs.
PACKAGE_SPACE_MB: Final = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What one host is held to.

    Attributes:
        site: The resolved site.
        host: Short name.
        ports: Ports its roles will use.
        time_span: Controller's clock before and after the host was asked, seconds since the epoch.
    """

    site: Mapping[str, Any]
    host: str
    ports: Sequence[int]
    time_span: tuple[float, float]

    @property
    def known(self) -> Mapping[str, Any]:
        """The host as the site describes it."""
        described: Mapping[str, Any] = self.site["hosts"][self.host]
        return described


def evaluate(facts: Mapping[str, Any], expectation: Expectation) -> list[CheckResult]:
    """All verdicts about one host that need no other host."""
    parts = (_system, _size, _disks, _clock, _names, _network, _ports_and_data)
    return [result for part in parts for result in part(facts, expectation)]


def _system(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    host = expectation.host
    yield passed_if(
        facts["os"] == "debian" and facts["os_version"].split(".")[0] == DEBIAN,
        check="os.release",
        host=host,
        measured=f"{facts['os']} {facts['os_version']}",
        wanted="debian 13",
        fix="install Debian 13 (trixie) on this host",
    )
    yield passed_if(
        facts["init"] == "systemd" and facts["system_state"] in ("running", "degraded", "starting"),
        check="os.systemd",
        host=host,
        measured=f"{facts['init']}, {facts['system_state'] or 'no answer'}",
        wanted="systemd, running",
        fix="systemctl --failed on the host shows what keeps it from running",
    )
    yield passed_if(
        bool(facts["python"]),
        check="connection.python",
        host=host,
        measured=f"Python {facts['python']}",
        wanted="Python 3",
    )


def _size(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    wanted = thresholds.threshold(expectation.site["site_class"], expectation.known["groups"])
    cores = min(facts["cores"], expectation.known["cores"] or facts["cores"])
    memory = min(facts["memory_mb"], expectation.known["memory_mb"] or facts["memory_mb"])
    host = expectation.host
    yield passed_if(
        cores >= wanted.cores,
        check="cpu.cores",
        host=host,
        measured=f"{cores} cores",
        wanted=f"at least {wanted.cores} cores",
        fix=f"give the host {wanted.cores} cores, or declare another site_class",
    )
    yield passed_if(
        memory >= wanted.memory_mb * (1 - thresholds.MEMORY_SLACK),
        check="memory.size",
        host=host,
        measured=f"{memory} MB",
        wanted=f"at least {wanted.memory_mb} MB (5 % slack)",
        fix=f"give the host {wanted.memory_mb // thresholds.GIB_MB} GB, or declare another site_class",
    )
    shares = allocation(expectation.site, host, memory)
    parts = shares.shares_mb if shares.fits else shares.floors_mb
    yield passed_if(
        shares.fits,
        check="memory.budget",
        host=host,
        measured=f"{sum(parts.values())} MB: " + ", ".join(f"{name} {part}" for name, part in parts.items()),
        wanted=f"at most {memory} MB",
        fix="move a service to another host, or give this one more memory; docs/sizing.md says what each needs",
    )


def _disks(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    wanted = thresholds.threshold(expectation.site["site_class"], expectation.known["groups"])
    host = expectation.host
    for path, disk in facts["disks"].items():
        if path == "/":
            yield passed_if(
                disk["free_mb"] >= PACKAGE_SPACE_MB,
                check="bundle.space",
                host=host,
                measured=f"{disk['free_mb']} MB free on /",
                wanted=f"at least {PACKAGE_SPACE_MB} MB",
                fix="make room on / before the packages are installed",
            )
            continue
        yield passed_if(
            disk["total_mb"] >= wanted.disk_mb * (1 - thresholds.MEMORY_SLACK),
            check="disk.size",
            host=host,
            measured=f"{path}: {disk['total_mb']} MB",
            wanted=f"at least {wanted.disk_mb} MB",
            fix=f"mount a larger volume on {path}",
        )
        yield passed_if(
            disk["rotational"] is not True,
            check="disk.ssd",
            host=host,
            measured=f"{path}: {'spinning' if disk['rotational'] else 'not spinning'}",
            wanted="solid state",
            fix=f"put {path} on a solid-state volume",
        )
    for path, milliseconds in facts["fsync_p99_ms"].items():
        yield passed_if(
            milliseconds <= thresholds.FSYNC_P99_MS,
            check="disk.fsync",
            host=host,
            measured=f"{path}: {milliseconds:.1f} ms",
            wanted=f"at most {thresholds.FSYNC_P99_MS:.0f} ms at the 99th percentile",
            fix=f"put {path} on a faster volume; etcd and PostgreSQL wait for it on every write",
        )


def _clock(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    before, after = expectation.time_span
    offset = max(before - facts["time"], facts["time"] - after, 0.0)
    host = expectation.host
    yield passed_if(
        offset <= thresholds.CLOCK_OFFSET_SECONDS,
        check="clock.offset",
        host=host,
        measured=f"{offset:.2f} s from the controller's clock",
        wanted=f"at most {thresholds.CLOCK_OFFSET_SECONDS} s",
        fix="set the clock, and name the hospital's time servers in base_time_servers",
    )
    others = [daemon for daemon in facts["time_daemons"] if daemon in ("ntpsec", "openntpd")]
    yield passed_if(
        not others,
        check="clock.daemon",
        host=host,
        measured=f"running: {', '.join(facts['time_daemons']) or 'none'}",
        wanted="none, or one that chrony replaces",
        fix=f"remove {', '.join(others)}: two daemons fight over one clock",
    )
    yield passed_if(
        facts["timezone"] in (expectation.site["timezone"], f"Etc/{expectation.site['timezone']}")
        or facts["marker"] == "",
        check="clock.timezone",
        host=host,
        measured=facts["timezone"],
        wanted=f"{expectation.site['timezone']} (set by the installation)",
        fix="run the installation again, it sets the time zone",
    )


def _names(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    wanted = {
        name: known["address"]
        for short, known in expectation.site["hosts"].items()
        for name in (short, known["fqdn"])
        if short != expectation.host
    }
    wanted[expectation.site["public_name"]] = expectation.site["virtual_ip"]
    wrong = {name: found for name, found in facts["names"].items() if found and found != wanted.get(name, found)}
    known = sum(1 for found in facts["names"].values() if found)
    yield passed_if(
        not wrong,
        check="names.resolve",
        host=expectation.host,
        **(
            listed([f"{name} is {found}" for name, found in wrong.items()], total=len(facts["names"]), what="names")
            if wrong
            else {"measured": f"{known} of {len(facts['names'])} names known, none wrong"}
        ),
        wanted="the inventory's addresses (unknown names are written to /etc/hosts)",
        fix="correct the hospital's DNS or the inventory",
    )


def _network(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    wanted = thresholds.threshold(expectation.site["site_class"], expectation.known["groups"])
    found = facts["interface"]
    yield passed_if(
        bool(found["name"]),
        check="network.address",
        host=expectation.host,
        measured=f"{expectation.known['address']} on {found['name'] or 'no interface'}, MTU {found['mtu']}",
        wanted="on an interface of the host",
        fix="correct the inventory, or configure the address on the host",
    )
    # A virtual interface may not say its speed; then there is nothing to hold against it.
    yield passed_if(
        found["speed_mbit"] < 0 or found["speed_mbit"] >= wanted.speed_mbit,
        check="network.speed",
        host=expectation.host,
        measured=f"{found['speed_mbit']} Mb/s" if found["speed_mbit"] >= 0 else "not told by the interface",
        wanted=f"at least {wanted.speed_mbit} Mb/s",
        fix="connect the host at full speed",
    )


def _ports_and_data(facts: Mapping[str, Any], expectation: Expectation) -> Iterator[CheckResult]:
    ours = facts["marker"] == expectation.site["name"]
    taken = {port: facts["listening"][str(port)] for port in expectation.ports if str(port) in facts["listening"]}
    yield passed_if(
        ours or not taken,
        check="ports.free",
        host=expectation.host,
        measured="; ".join(f"{port} taken by {', '.join(names) or 'unknown'}" for port, names in taken.items())
        if taken and not ours
        else f"{len(expectation.ports)} ports " + ("in use by this site" if ours and taken else "free"),
        wanted="free, or this site's own",
        fix="stop and disable what listens there, or choose another host",
    )
    strangers = [path for path, filled in facts["data"].items() if filled and not ours]
    other_site = facts["marker"] and not ours
    yield passed_if(
        not strangers and not other_site,
        check="data.existing",
        host=expectation.host,
        measured=f"belongs to site {facts['marker']}"
        if other_site
        else (f"data in {', '.join(strangers)}" if strangers else f"{len(facts['data'])} directories, no foreign data"),
        wanted="empty, or this site's own",
        fix="this host carries somebody's data: choose another host, or move the data away yourself",
    )
