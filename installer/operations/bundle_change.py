"""Is this bundle the one the site stands on? An install repairs; it upgrades nothing and downgrades nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from installer.bundle import inspect
from installer.bundle.closure import newly_needed
from installer.checks.verify.release import parse
from installer.errors import ConfigurationError
from installer.manifests.versions import Change, compare_host, installed_packages
from installer.stages.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from installer.manifests.versions import Comparison
    from installer.operations.context import OperationContext
    from installer.operations.summary import Summary
    from installer.report import Report
    from installer.stages.journal import Operation

_COLUMNS: Final = ("service", "package", "installed", "bundle", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A package that differs, on all hosts that have it in that version.

    Attributes:
        change: Package and versions.
        hosts: Where.
    """

    change: Change
    hosts: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        change = self.change
        return (", ".join(change.roles), change.package, change.installed, change.carried, " ".join(self.hosts))


def require_same_bundle(context: OperationContext, report: Report, summary: Summary) -> None:
    """Go on with an install only when the bundle is the one the site's hosts stand on.

    What the hosts have decides; which bundle that came from, they say themselves, and else the journal. A host
    that is not this site's yet, and a site whose first install is not finished, take any bundle.

    Args:
        context: The opened site.
        report: The preflight, with the hosts' answers.
        summary: Takes what differs.

    Raises:
        ConfigurationError: If it would be an upgrade or a downgrade; with every package that differs shown.
    """
    everything = {host: _compare(context, host, answer) for host, answer in report.answers.items()}
    found = {host: compared for host, compared in everything.items() if _ours(context, report.answers[host])}
    _refuse_strangers(context, {host: everything[host] for host in everything if host not in found})
    journal = Journal.of(context.state)
    before = journal.last_done()
    if before is None and journal.last() is not None:
        return
    older = _rows({host: found[host].older for host in found})
    new = _rows({host: _new(context, report.answers[host], found[host]) for host in found})
    newer = _rows({host: found[host].newer for host in found})
    ahead = _rows({host: found[host].ahead for host in found})
    for row in ahead:
        context.terminal.say(_stays(row))
    if not older and not newer:
        return
    bundle = inspect(context.bundle).describe()
    others = {host for host in found if _installed_bundle(report.answers[host], before) != bundle["id"]}
    if not any(found[host].is_other for host in others):
        for row in newer:
            context.terminal.say(_stays(row))
        return
    context.terminal.table(_COLUMNS, [row.cells for row in (*older, *new, *newer)])
    summary.more["other_bundle"] = {"upgraded": _plain(older), "new": _plain(new), "downgraded": _plain(newer)}
    parts = [f"an upgrade of {len(older)}"] * bool(older) + [f"a downgrade of {len(newer)}"] * bool(newer)
    hosts = {host for row in (*older, *newer) for host in row.hosts}
    ids = {_installed_bundle(report.answers[host], before) for host in others}
    known = before.begun_with.bundle if before is not None else {}
    was = known if ids == {known.get("id")} else {"id": min(ids)}
    raise ConfigurationError(
        f"{context.site.name} stands on {_name(was)}; {_name(bundle)} would be"
        f" {' and '.join(parts)} package(s) on {len(hosts)} host(s), which install does not make; nothing was changed",
        hint="`plan` shows each change; to repair the site as it is, give the bundle it stands on:"
        f' --bundle {_former_folder(context, before)} (docs/bundle.md, "Another bundle")',
    )


def upgrade_notice(context: OperationContext) -> str:
    """For who plans to upgrade packages: that an install will not, when this is another bundle; else empty."""
    before = Journal.of(context.state).last_done()
    bundle = inspect(context.bundle).describe()
    if before is None or before.begun_with.bundle.get("id") == bundle["id"]:
        return ""
    return (
        f"{context.site.name} stands on {_name(before.begun_with.bundle)}, and this is {_name(bundle)}: an upgrade,"
        ' which install refuses to make (docs/bundle.md, "Another bundle")'
    )


def _refuse_strangers(context: OperationContext, found: Mapping[str, Comparison]) -> None:
    """A host that is new to the site must not have what this bundle could only downgrade."""
    newer = _rows({host: compared.newer for host, compared in found.items()})
    if newer:
        context.terminal.table(_COLUMNS, [row.cells for row in newer])
        hosts = sorted({host for row in newer for host in row.hosts})
        raise ConfigurationError(
            f"{', '.join(hosts)} came with packages that are newer than the bundle's, {newer[0].change.package} among"
            " them, and nothing is downgraded; nothing was changed",
            hint="remove them there, or give a bundle of a newer Debian: ./install bundle build --refresh",
        )


def _stays(row: Row) -> str:
    change = row.change
    return (
        f"{change.package} {change.installed} on {' '.join(row.hosts)} is newer than the bundle's {change.carried},"
        " and stays"
    )


def _name(bundle: Mapping[str, str]) -> str:
    """A bundle in talk."""
    if not bundle.get("id"):
        return "another bundle"
    release = f" of release {bundle['release']}" if bundle.get("release") else ""
    more = f" and {bundle['additions']}" if bundle.get("additions") else ""
    debian = f" (Debian of {bundle['debian']}{more})" if bundle.get("debian") else ""
    return f"bundle {bundle['id'][:8]}{release}{debian}"


def _former_folder(context: OperationContext, before: Operation | None) -> str:
    """Where the bundle was that the site was installed with, unless that is where the other one is now."""
    about = before.inputs["bundle"].about if before is not None and "bundle" in before.inputs else ""
    return about if about and about != str(context.bundle) else "FOLDER"


def _ours(context: OperationContext, answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("marker") == context.site.name)


def _installed_bundle(answer: Mapping[str, Any], before: Operation | None) -> str:
    """The bundle a host says it stands on, or else the journal; empty when nobody knows."""
    said = parse(answer.get("release", "")).get("bundle", "")
    return said or (before.begun_with.bundle.get("id", "") if before is not None else "")


def _compare(context: OperationContext, host: str, answer: Mapping[str, Any]) -> Comparison:
    installed = _installed(answer)
    return compare_host(context.site.resolved(), host, installed, manifests=context.manifests, carried=context.carried)


def _new(context: OperationContext, answer: Mapping[str, Any], found: Comparison) -> list[Change]:
    """What the newer packages of a host need that is not there yet, charged to the services of who needs it."""
    if not found.older:
        return []
    needed = newly_needed(
        context.bundle,
        inspect(context.bundle),
        installed=_installed(answer),
        changing=[change.package for change in found.older],
    )
    return [
        Change(package=name, installed="-", carried=version, roles=change.roles)
        for change in found.older
        for name, version in needed.get(change.package, {}).items()
    ]


def _installed(answer: Mapping[str, Any]) -> dict[str, str]:
    return installed_packages(answer.get("packages", "").splitlines())


def _rows(found: Mapping[str, Sequence[Change]]) -> list[Row]:
    hosts: dict[Change, list[str]] = {}
    for host, changes in found.items():
        for change in changes:
            hosts.setdefault(change, []).append(host)
    rows = [Row(change=change, hosts=tuple(names)) for change, names in hosts.items()]
    return sorted(rows, key=lambda row: (row.change.roles, row.change.package, row.change.installed))


def _plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "services": list(row.change.roles),
            "package": row.change.package,
            "installed": row.change.installed,
            "bundle": row.change.carried,
            "hosts": list(row.hosts),
        }
        for row in rows
    ]
