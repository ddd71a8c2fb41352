"""The full staged install: what `./install` does without a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.operations import whole_site
from installer.operations.staged import StagedOperation, carry_out
from installer.stages import kinds
from installer.stages.install import INSTALL

if TYPE_CHECKING:
    from installer.operations.context import OperationContext


def install(context: OperationContext) -> None:
    """Bring the site to what its inventory and the bundle say, and verify it.

    Raises:
        InstallerError: Whatever stopped it; the same command resumes it.
    """
    carry_out(
        context,
        StagedOperation(
            kind=kinds.INSTALL,
            graph=INSTALL,
            title="Installing",
            prepare=lambda: whole_site.bundle_material(context),
            check=lambda summary: whole_site.preflight(context, summary),
            verify=lambda summary: whole_site.verify_site(context, summary),
            conclude=lambda summary: whole_site.conclude(context, summary, "is installed and verified"),
        ),
    )
