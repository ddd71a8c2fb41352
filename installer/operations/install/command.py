"""The command line of the install: `./install` itself, without a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from installer.operations.command_line import on_site, options, run_options, site_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.operations.context import OperationContext
    from installer.operations.request import Given


install_options: Final = options(
    site_options,
    run_options,
    click.option("--start-over", is_flag=True, help="Forget an unfinished install and go through all stages again."),
)


def run_install(ctx: click.Context, given: Given) -> None:
    """Run it."""
    on_site(ctx, "install", given, _load, prepares_bundle=True)


def _load() -> Callable[[OperationContext], None]:
    from installer.operations.install.operation import install

    return install
