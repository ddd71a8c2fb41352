"""`rotate certificates`: a new key and certificate for every service of every host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from installer.operations import whole_site
from installer.operations.staged import StagedOperation, carry_out
from installer.pki import valid_from
from installer.stages import kinds
from installer.stages.install import INSTALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.operations.context import OperationContext
    from installer.operations.summary import Summary
    from installer.stages.journal import Operation


def rotate_certificates(context: OperationContext) -> None:
    """Make every certificate of the private authorities anew, and have every service use the new one.

    It is an install in which certificates count as too old: whatever knows how to take a new certificate into use
    without an interruption is asked to do so, service by service, and nothing else has to change.

    Raises:
        InstallerError: Whatever stopped it; the same command resumes it.
    """
    carry_out(
        context,
        StagedOperation(
            kind=kinds.CERTIFICATE_ROTATION,
            graph=INSTALL,
            title="Rotating certificates of",
            prepare=lambda: whole_site.bundle_material(context),
            check=lambda summary: _check(context, summary),
            verify=lambda summary: whole_site.verify_site(context, summary),
            conclude=lambda summary: whole_site.conclude(context, summary, "has new certificates and is verified"),
            variables=_variables,
            at_once=1,
        ),
    )


def _check(context: OperationContext, summary: Summary) -> None:
    custom = context.site.certificates_directory
    if custom is not None:
        summary.more["custom_certificates"] = str(custom)
        context.terminal.say(
            f"the hospital's own certificates in {custom} stay as they are; to replace them, put others there and run"
            f" {context.request.install_command}"
        )
    whole_site.preflight(context, summary)


def _variables(operation: Operation) -> Mapping[str, Any]:
    """Renew what was signed before the operation began: a resumed one leaves what it has renewed already."""
    return {"sitewright_certificates_older_than": f"{valid_from(operation.started):%Y-%m-%dT%H:%M:%SZ}"}
