"""What operations share that leave behind a whole site, verified: the bundle, the checks before and behind, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ConfigurationError
from installer.operations.bundle_change import require_same_bundle
from installer.operations.checks import operation as checks
from installer.operations.staged import Material
from installer.operations.verified_bundle import verify_bundle
from installer.playbooks.results import DONE, FAILED
from installer.stages.journal import Input
from installer.vault import is_pending

if TYPE_CHECKING:
    from installer.operations.context import OperationContext
    from installer.operations.summary import Summary


def bundle_material(context: OperationContext) -> Material:
    """The bundle to work from, verified.

    Raises:
        BundleError: If it is not what its publisher signed, or another checkout's.
    """
    context.terminal.step(f"Checking the bundle {context.bundle}")
    manifest = verify_bundle(context)
    return Material(
        inputs={"bundle": Input(digest=manifest.identity, about=str(context.bundle))}, bundle=manifest.describe()
    )


def preflight(context: OperationContext, summary: Summary, *, rotates_secrets: bool = False) -> None:
    """Go on only with hosts that are fit.

    Args:
        context: The opened site.
        summary: What was done.
        rotates_secrets: It is a rotation of secrets, which may find one that was begun.

    Raises:
        PreflightError: If one is not.
        ConfigurationError: If the bundle would upgrade or downgrade the site, or a rotation of secrets was begun.
    """
    if is_pending(context.secrets) and not rotates_secrets:
        raise ConfigurationError(
            f"a rotation of {context.site.name}'s secrets was begun and is not finished",
            hint=f"finish it with: {context.request.rotate_secrets_command}",
        )
    context.terminal.step(f"Preflight of {context.site.name}")
    report = checks.preflight(context)
    summary.add_step("preflight", DONE if report.ok else FAILED, report.seconds)
    checks.require(context, report, kind="preflight")
    require_same_bundle(context, report, summary)


def verify_site(context: OperationContext, summary: Summary) -> None:
    """Ask the site from the user's side, and keep the evidence.

    Raises:
        VerificationError: If it does not do what it must.
    """
    context.terminal.step(f"Verifying {context.site.name} from the user's side")
    report = checks.verify(context)
    summary.add_step("verify", DONE if report.ok else FAILED, report.seconds)
    summary.more["verification"] = {"ok": report.ok, **report.counts()}
    summary.more["evidence"] = str(checks.require(context, report, kind="evidence"))


def conclude(context: OperationContext, summary: Summary, what: str) -> None:
    """Tell a person that all went well.

    Args:
        context: The opened site.
        summary: What was done.
        what: What the site is now: `is installed and verified`.
    """
    site, terminal = context.site, context.terminal
    terminal.result(
        f"{site.name} {what}: changed={summary.changed} on {len(site.hosts)} host(s) in {summary.seconds:.0f} s"
    )
    terminal.result(f"evidence: {summary.more['evidence']}")
    terminal.result(f"users open: https://{site.public_name}/ (address {site.virtual_ip})")
