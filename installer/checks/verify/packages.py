"""What is installed on the hosts against what the bundle carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.manifests.requirements import packages_wanted
from installer.manifests.versions import compare_host, installed_packages
from installer.report import CheckResult, passed_if
from installer.services.health.answers import of_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from installer.manifests.versions import Change, Comparison
    from installer.services.health.subject import Subject

_FORMAT: Final = "${db:Status-Status} ${Package} ${Version}\\n"
_NAMED_AT_MOST: Final = 6


def platform_versions(subject: Subject) -> dict[str, str]:
    """Versions of what roles and applications ask for, as the bundle carries them."""
    asked = {
        package for host in subject.site["hosts"] for package in packages_wanted(subject.site, host, subject.manifests)
    }
    carried = {name: version for packages in subject.carried.values() for name, version in packages.items()}
    return {package: carried[package] for package in asked if package in carried}


def check(subject: Subject) -> list[CheckResult]:
    """Each host's own dpkg is asked; what the bundle carries must be there in that version."""
    hosts = subject.group("all")
    return of_each(hosts, lambda host: [_host(subject, host.name)], name="packages", port=0, unit="")


def judge(host: str, found: Comparison) -> CheckResult:
    """What is said of one host, and what helps: an installation, an upgrade, or asking who was there."""
    kinds = (
        ("missing", found.missing, "run the installation again: it brings what is missing"),
        ("not in the bundle", found.lacking, "this bundle belongs to another release: give the one of this checkout"),
        (
            "older than the bundle",
            tuple(map(_versions, found.older)),
            "this bundle is newer than what is installed, which makes it an upgrade: docs/bundle.md says what to do",
        ),
        (
            "newer than the bundle",
            tuple(map(_versions, found.newer)),
            "somebody installed these, or the bundle is an older one: docs/bundle.md says how to find out",
        ),
    )
    bad = [(kind, names, fix) for kind, names, fix in kinds if names]
    wrong = len({name.split()[0] for _, names, _ in bad for name in names})
    said = [f"{found.compared - wrong} of {found.compared} as in the bundle"]
    return passed_if(
        not bad and found.compared > 0,
        check="packages.versions",
        host=host,
        measured="; ".join(said + [f"{kind}: {_listed(names)}" for kind, names, _ in bad]),
        wanted=f"{found.compared} packages in the bundle's versions" if found.compared else "a bundle's packages",
        fix="; ".join(fix for _, _, fix in bad) or "give a bundle with --bundle: this one names no package",
        note=f"ahead of the bundle: {_listed(tuple(map(_versions, found.ahead)))}" if found.ahead else "",
    )


def _host(subject: Subject, host: str) -> CheckResult:
    lines = subject.run(host, ["dpkg-query", "--show", f"--showformat='{_FORMAT}'"]).splitlines()
    installed = installed_packages(lines)
    return judge(
        host, compare_host(subject.site, host, installed, manifests=subject.manifests, carried=subject.carried)
    )


def _versions(change: Change) -> str:
    return f"{change.package} {change.installed} instead of {change.carried}"


def _listed(names: Sequence[str]) -> str:
    """Names on one line; the whole list is in `plan` and, of a refused installation, in its table."""
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
