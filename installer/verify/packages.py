"""What is installed on the hosts against what the bundle carries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.manifests.requirements import packages_wanted
from installer.report import CheckResult, passed_if

if TYPE_CHECKING:
    from installer.services.health.subject import Subject

_FORMAT: Final = "${db:Status-Abbrev}|${Package}|${Version}\\n"


def wanted_packages(subject: Subject, host: str) -> set[str]:
    """Packages the roles of a host and the applications on it ask for."""
    return set(packages_wanted(subject.site, host, subject.manifests))


def platform_versions(subject: Subject) -> dict[str, str]:
    """Versions of what roles and applications ask for, as the bundle carries them."""
    asked = {package for host in subject.site["hosts"] for package in wanted_packages(subject, host)}
    return {package: subject.packages[package] for package in asked if package in subject.packages}


def check(subject: Subject) -> list[CheckResult]:
    """Each host's own dpkg is asked; what the bundle carries must be there in that version."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda host: _host(subject, host.name), subject.group("all")))


def _host(subject: Subject, host: str) -> CheckResult:
    """Compare one host."""
    installed: dict[str, str] = {}
    for line in subject.run(host, ["dpkg-query", "--show", f"--showformat='{_FORMAT}'"]).splitlines():
        status, package, version = line.split("|")
        if status.startswith("ii"):
            installed[package] = version
    wanted = wanted_packages(subject, host)
    missing = sorted(wanted - installed.keys())
    other = sorted(
        f"{package} {installed[package]} instead of {subject.packages[package]}"
        for package in wanted & installed.keys()
        if installed[package] != subject.packages.get(package)
    )
    return passed_if(
        not missing and not other,
        check="packages.versions",
        host=host,
        measured=f"{len(wanted) - len(missing) - len(other)} of {len(wanted)} as in the bundle"
        + (f"; missing: {', '.join(missing)}" if missing else "")
        + (f"; other: {', '.join(other)}" if other else ""),
        wanted=f"{len(wanted)} packages in the bundle's versions",
        fix="run the installation again; apt policy PACKAGE on the host shows where a version comes from",
    )
