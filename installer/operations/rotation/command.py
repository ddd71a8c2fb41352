"""The command lines of `rotate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import click

from installer.operations.command_line import on_site, site_options, strategy_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import OperationContext
    from installer.operations.request import Given


@click.group("rotate")
def rotate_command() -> None:
    """Make anew what a running site has, while its users go on working."""


@rotate_command.command("certificates")
@site_options
@strategy_option
@click.option("--start-over", is_flag=True, help="Forget an unfinished rotation and make all certificates again.")
@click.pass_context
def rotate_certificates_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Give every service of every host a new key and certificate.

    The authorities stay, and so do certificates of the hospital's own. After an interruption the same command resumes.
    """
    on_site(ctx, "rotate certificates", given, _load_certificates, use="read")


def _load_certificates() -> Callable[[OperationContext], None]:
    from installer.operations.rotation.certificates import rotate_certificates

    return rotate_certificates


@rotate_command.command("secrets")
@site_options
@strategy_option
@click.option("--start-over", is_flag=True, help="Forget an unfinished rotation and go through all its stages again.")
@click.pass_context
def rotate_secrets_command(ctx: click.Context, /, **given: Unpack[Given]) -> None:
    """Give every secret that the installer made a new value, on all hosts.

    What an operator wrote into the vault stays. After an interruption the same command resumes with the same values.
    """
    on_site(ctx, "rotate secrets", given, _load_secrets, use="read")


def _load_secrets() -> Callable[[OperationContext], None]:
    from installer.operations.rotation.secrets import rotate_secrets

    return rotate_secrets
