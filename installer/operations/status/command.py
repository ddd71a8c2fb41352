"""The command line of `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from installer.operations.command_line import on_site, site_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import OperationContext
    from installer.operations.request import Given


@click.command("status")
@site_options
@click.pass_context
def status_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Show what runs now and its health."""
    on_site(ctx, "status", given, _load, prepares_hosts=False)


def _load() -> Callable[[OperationContext], None]:
    from installer.operations.status.operation import status

    return status
