"""The command line of `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from installer.operations.command_line import on_look, site_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import SiteContext
    from installer.operations.request import Given


@click.command("status")
@site_options
@click.pass_context
def status_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Show what runs now and its health."""
    on_look(ctx, "status", given, _load)


def _load() -> Callable[[SiteContext], None]:
    from installer.operations.status.operation import status

    return status
