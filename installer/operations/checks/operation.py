"""`preflight` and `verify`: ask, show the table, keep the evidence."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from installer.bundle import inspect
from installer.bundle.checkout import require_fit
from installer.bundle.manifest import MANIFEST_FILE
from installer.checks.preflight import run as run_preflight
from installer.checks.verify import run as run_verification
from installer.errors import InstallerError, PreflightError, VerificationError
from installer.operations.checks.page import write
from installer.operations.context import opened_further
from installer.operations.summary import Summary
from installer.pki import AUTHORITY_FILE, authority_folder, issue_client
from installer.report import Verdict
from installer.services.health.subject import Subject
from installer.stages.journal import Journal
from installer.stages.kinds import notice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from installer.operations.context import OperationContext, SiteContext
    from installer.report import Report

_COLUMNS: Final = ("check", "host", "measured", "wanted", "verdict", "what to do or to know")
_FAILED: Final = "failed"
_EVERYTHING: Final = frozenset(map(str, Verdict))


def preflight(context: SiteContext) -> Report:
    """Are the hosts fit? Asks them, changes nothing."""
    report = run_preflight(
        context.site,
        manifests=context.manifests,
        ssh=context.ssh,
        report=context.terminal.say,
        password=context.become_password,
    )
    return named(report, {"Sitewright": str(context.release)})


def verify(context: OperationContext) -> Report:
    """Does the site do what it must? Asked from the user's side."""
    with subject_of(context) as subject:
        report = run_verification(subject, report=context.terminal.say)
    bundle = inspect(context.bundle).describe()
    return named(report, {"Sitewright": str(context.release), **{f"bundle's {part}": bundle[part] for part in bundle}})


def named(report: Report, release: Mapping[str, str]) -> Report:
    """The report with the release it was made by, before all other facts."""
    return replace(report, facts={"Release": dict(release), **report.facts})


def require(context: SiteContext, report: Report, *, kind: str, shown: Collection[str] = frozenset({_FAILED})) -> Path:
    """Show a report and keep it; go on only when nothing in it failed.

    Args:
        context: The opened site.
        report: The report.
        kind: `preflight`, `evidence` or `audit`: name of the files.
        shown: The verdicts that go into the table.

    Returns:
        The page for people; the JSON file is beside it.

    Raises:
        PreflightError: If a host is not fit.
        VerificationError: If the site does not do what it must, or an auditor objects.
    """
    _, page = write(report, context.state / "evidence", kind)
    rows = [row for row in report.rows if row[4] in shown]
    if rows:
        context.terminal.table(_COLUMNS, rows)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in report.counts().items() if number)
    context.terminal.say(f"{report.title.lower()} of {report.site}: {counts} in {report.seconds:.1f} s ({page})")
    if report.ok:
        return page
    error = PreflightError if kind == "preflight" else VerificationError
    raise error(
        f"{report.title.lower()}: {len(report.failed)} of {len(report.results)} checks failed on {report.site}",
        hint="fix what the table names, then run the same command again",
    )


@contextmanager
def subject_of(context: OperationContext) -> Iterator[Subject]:
    """The site as a verification sees it, with a certificate that is gone when the block ends."""
    passphrase = context.secrets["ca_passphrase"]
    given = context.site.certificates_directory
    roots = None if given is None else given / AUTHORITY_FILE
    own = authority_folder(context.authority, "database")
    with (
        issue_client(context.authority, passphrase, "verify", also_trusted=roots) as client,
        # A site that was installed before there was a second authority has only one.
        issue_client(own if own.is_dir() else context.authority, passphrase, "verify") as database_client,
    ):
        yield Subject(
            site=context.site.resolved(),
            secrets=context.secrets,
            manifests=context.manifests,
            clients={"site": client, "database": database_client},
            ssh=context.ssh,
            carried=context.carried,
            release=_release_of(context),
            sudo_password=context.become_password,
        )


def _release_of(context: OperationContext) -> dict[str, str]:
    """What the hosts should say of themselves, as the journal has it of the operation that worked on them last."""
    known = {"site": context.site.name}
    last = Journal.of(context.state).last()
    if last is not None and last.begun_with.release:
        known |= {"release": last.begun_with.release, "bundle": last.begun_with.bundle.get("id", "")}
    return known


def preflight_alone(context: SiteContext) -> None:
    """`preflight` as an operation of its own; the site's vault and authority are neither needed nor made.

    Raises:
        PreflightError: If a host is not fit.
        BundleError: If there is a bundle that does not go with this checkout.
    """
    _require_fit(context)
    tell(context, preflight(context), kind="preflight")


def verify_alone(context: SiteContext) -> None:
    """`verify` as an operation of its own.

    Raises:
        VerificationError: If the site was never installed from here, or does not do what it must.
        BundleError: If the bundle does not go with this checkout.
    """
    _require_fit(context)
    with opened_further(context, "read") as operation:
        tell(context, verify(operation), kind="evidence")


def _require_fit(context: SiteContext) -> None:
    """Refuse a bundle of another checkout; one that is not there yet is no matter, unless it was named."""
    if context.request.bundle is not None or (context.bundle / MANIFEST_FILE).exists():
        require_fit(context.bundle, inspect(context.bundle), context.paths.root, context.manifests)


def tell(
    context: SiteContext,
    report: Report,
    *,
    kind: str,
    shown: Collection[str] = _EVERYTHING,
    more: Mapping[str, Any] | None = None,
) -> None:
    """The table, or the JSON object; raises as `require` does."""
    request = context.request
    summary = Summary(operation=request.verb, site=context.site.name, started=request.started)
    if unfinished := notice(Journal.of(context.state).unfinished()):
        context.terminal.say(unfinished)
    summary.result = "done" if report.ok else _FAILED
    summary.more = {"report": report.to_json(), **(more or {})}
    try:
        page = require(context, report, kind=kind, shown=shown)
    except InstallerError as error:
        context.terminal.document(summary.to_json(error))
        raise
    summary.more["page"] = str(page)
    context.terminal.document(summary.to_json())
