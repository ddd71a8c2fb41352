"""The command line of `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from installer.operations.command_line import on_site, run_options, site_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import OperationContext
    from installer.operations.request import Given


@click.command("plan")
@site_options
@run_options
@click.pass_context
def plan_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Show what an install would change on each host; changes nothing."""
    on_site(ctx, "plan", given, _load, use="try", prepares_bundle=True)


def _load() -> Callable[[OperationContext], None]:
    from installer.operations.plan.operation import plan

    return plan
