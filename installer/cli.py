"""The command line, put together; each verb's own stands beside its operation in `operations/<verb>/command.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import click

from installer.operations.bundles.command import bundle_command
from installer.operations.checks.command import audit_command, preflight_command, verify_command
from installer.operations.command_line import version_option
from installer.operations.install.command import install_options, run_install
from installer.operations.plan.command import plan_command
from installer.operations.rehearsing.command import rehearse_command
from installer.operations.rotation.command import rotate_command
from installer.operations.status.command import status_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.operations.request import Given

_LAST_HELP: Final = (
    "Exit codes: 0 done, 2 configuration, 3 preflight, 4 a playbook failed, 5 verification failed,"
    " 6 bundle refused, 130 interrupted, 70 a defect of ours."
)
_CONTEXT: Final[Mapping[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Defaults(click.Group):
    """Options given before the verb hold for the verb as well."""

    def invoke(self, ctx: click.Context) -> Any:
        """Hand the options down as defaults."""
        given = {
            name: value
            for name, value in ctx.params.items()
            if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
        ctx.default_map = {name: _nested(command, given) for name, command in self.commands.items()}
        return super().invoke(ctx)


def _nested(command: click.Command, given: dict[str, Any]) -> dict[str, Any]:
    if isinstance(command, click.Group):
        return {**given, **{name: _nested(inner, given) for name, inner in command.commands.items()}}
    return given


@click.group(cls=_Defaults, invoke_without_command=True, context_settings=_CONTEXT, epilog=_LAST_HELP)
@install_options
@version_option
@click.pass_context
def cli(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Install the workflow platform on a site's hosts, and verify it.

    Without a verb: preflight, then every stage not yet done for these inputs, then the verification.
    After any interruption the same command resumes; when all is done, it repairs what drifted.
    """
    if ctx.invoked_subcommand is None:
        run_install(ctx, given)


for _command in (
    audit_command,
    bundle_command,
    plan_command,
    preflight_command,
    rehearse_command,
    rotate_command,
    status_command,
    verify_command,
):
    cli.add_command(_command)
