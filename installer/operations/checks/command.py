"""The command lines of `preflight` and `verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from installer.operations.command_line import on_site, site_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import OperationContext
    from installer.operations.request import Given


@click.command("preflight")
@site_options
@click.pass_context
def preflight_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Ask every host whether it is fit; changes nothing."""
    on_site(ctx, "preflight", given, _load)


@click.command("verify")
@site_options
@click.pass_context
def verify_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Prove the site from the user's side and write the evidence."""
    on_site(ctx, "verify", given, _load, prepares_hosts=False)


def _load() -> Callable[[OperationContext], None]:
    from installer.operations.checks.operation import run_alone

    return run_alone
