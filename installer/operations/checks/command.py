"""The command lines of `preflight`, `verify` and `audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from installer.operations.command_line import on_look, site_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import SiteContext
    from installer.operations.request import Given


@click.command("preflight")
@site_options
@click.pass_context
def preflight_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Ask every host whether it is fit; changes nothing."""
    on_look(ctx, "preflight", given, _load_preflight, prepares_hosts=True)


@click.command("verify")
@site_options
@click.pass_context
def verify_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Verify the site from the user's side and write the evidence."""
    on_look(ctx, "verify", given, _load_verify)


@click.command("audit")
@site_options
@click.pass_context
def audit_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Have lynis, ssh-audit, testssl.sh and others look at every host; changes nothing."""
    on_look(ctx, "audit", given, _load_audit)


def _load_preflight() -> Callable[[SiteContext], None]:
    from installer.operations.checks.operation import preflight_alone

    return preflight_alone


def _load_verify() -> Callable[[SiteContext], None]:
    from installer.operations.checks.operation import verify_alone

    return verify_alone


def _load_audit() -> Callable[[SiteContext], None]:
    from installer.operations.checks.auditing import audit_alone

    return audit_alone
