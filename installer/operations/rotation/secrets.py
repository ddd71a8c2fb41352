"""`rotate secrets`: a new value for every secret that the installer made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from installer.errors import ConfigurationError
from installer.operations import whole_site
from installer.operations.baseline import take_baseline
from installer.operations.staged import StagedOperation, carry_out
from installer.pki import change_passphrase
from installer.stages import kinds
from installer.stages.digests import secrets_input
from installer.stages.install import INSTALL
from installer.stages.journal import Input, Journal
from installer.stages.rotation import SECRET_ROTATION
from installer.vault import PREVIOUS, Choice, catalog, choose, forget, is_pending, redactions, renew

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.operations.context import OperationContext
    from installer.operations.summary import Summary


def rotate_secrets(context: OperationContext) -> None:
    """Give every secret of the installer's a new value and bring the site to it, while its users go on working.

    Raises:
        InstallerError: Whatever stopped it; the same command resumes it, with the values that were made.
    """
    rotation = _Rotation(context)
    carry_out(
        context,
        StagedOperation(
            kind=kinds.SECRET_ROTATION,
            graph=SECRET_ROTATION,
            stands_on=INSTALL,
            resumes_unverified=True,
            title="Rotating secrets of",
            prepare=lambda: whole_site.bundle_material(context),
            check=rotation.check,
            begin=rotation.begin,
            verify=rotation.verify,
            seal=lambda summary: take_baseline(context, summary),
            conclude=rotation.conclude,
            at_once=1,
        ),
    )


class _Rotation:
    """One rotation; from its beginning on with the new secrets."""

    def __init__(self, context: OperationContext) -> None:
        self.context = context

    def choice(self) -> Choice:
        return choose(catalog(self.context.manifests), self.context.secrets)

    def check(self, summary: Summary) -> None:
        """Say what is left, and refuse a vault whose secrets the site does not know."""
        context, left = self.context, self.choice().left
        summary.more["secrets_left"] = dict(left)
        for name, reason in left.items():
            context.terminal.say(f"{name} stays as it is: {reason}")
        whole_site.preflight(context, summary, rotates_secrets=True)
        journal = Journal.of(context.state)
        verified = journal.verified(kinds.SECRET_ROTATION.name)
        if verified is None or journal.unfinished() is not None or is_pending(context.secrets):
            return
        if verified.inputs.get("secrets") != secrets_input(context.secrets):
            raise ConfigurationError(
                f"{context.keeper.vault}: its secrets are not those the site was last verified with",
                hint=f"put them back as they were, or bring the site to them first: {context.request.install_command}",
            )

    def begin(self) -> Mapping[str, Input]:
        """Make the new values; a rotation that was begun and never got on record keeps those it made."""
        context, choice = self.context, self.choice()
        vault, password = context.keeper.vault, context.vault_password
        if renew(vault, password, choice.rotated):
            context.terminal.say(f"made {len(choice.rotated)} new secrets in {vault}, the previous ones beside them")
        secrets = context.keeper.read(password)
        context.terminal.hide(redactions(secrets.values()))
        if previous := secrets.get(f"{PREVIOUS}ca_passphrase"):
            change_passphrase(context.authority, previous, secrets["ca_passphrase"])
        self.context = replace(context, secrets=secrets)
        return {"secrets": secrets_input(secrets)}

    def verify(self, summary: Summary) -> None:
        """Prove the site with the new secrets, and only then let the previous ones go."""
        whole_site.verify_site(self.context, summary)
        summary.more["secrets_rotated"] = [spec.name for spec in self.choice().rotated]
        forget(self.context.keeper.vault, self.context.vault_password)

    def conclude(self, summary: Summary) -> None:
        """Tell a person."""
        whole_site.conclude(self.context, summary, "has new secrets and is verified")
        self.context.terminal.result(
            f"keep a copy of {self.context.keeper.vault} and {self.context.authority}: earlier copies open nothing now"
        )
