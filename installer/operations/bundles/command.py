"""The command lines of `bundle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from installer.operations.command_line import EXISTING, PATH, Program, mirror_option, output_option

if TYPE_CHECKING:
    from pathlib import Path


@click.group("bundle")
def bundle_command() -> None:
    """Build, verify and look at bundles: all a site needs, signed."""


@bundle_command.command("build")
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the bundle, if not the usual one.")
@mirror_option
@click.option("--security-mirror", default="", metavar="URL", help="Security archive that goes with --mirror.")
@click.option(
    "--from",
    "taken",
    multiple=True,
    metavar="SUITE:PACKAGE[,PACKAGE...]",
    help="Take these packages from a further suite of Debian 13, as trixie-backports:curl; nothing else of it.",
)
@click.option("--refresh", is_flag=True, help="Ask Debian for newer packages even if nothing else changed.")
@output_option
@click.pass_obj
def bundle_build(
    program: Program, out: Path | None, mirror: str, security_mirror: str, taken: tuple[str, ...], *, refresh: bool
) -> None:
    """Build a bundle on a machine that reaches the package archives."""
    from installer.operations.bundles.operation import build

    build(
        program.paths,
        program.terminal,
        out=out,
        mirror=mirror,
        security_mirror=security_mirror,
        taken=taken,
        refresh=refresh,
    )


@bundle_command.command("verify")
@click.argument("bundle", type=PATH, required=False)
@click.option("--key", type=EXISTING, metavar="FILE", help="Public key of the bundle's publisher.")
@output_option
@click.pass_obj
def bundle_verify(program: Program, bundle: Path | None, key: Path | None) -> None:
    """Verify, without network, that no byte of a bundle is missing, added or changed."""
    from installer.operations.bundles.operation import verify

    verify(program.paths, program.terminal, bundle=bundle, key=key)


@bundle_command.command("inspect")
@click.argument("bundle", type=PATH, required=False)
@output_option
@click.pass_obj
def bundle_inspect(program: Program, bundle: Path | None) -> None:
    """List what a bundle holds."""
    from installer.operations.bundles.operation import inspect

    inspect(program.paths, program.terminal, bundle=bundle)


@bundle_command.command("diff")
@click.argument("before", type=EXISTING)
@click.argument("after", type=EXISTING)
@output_option
@click.pass_obj
def bundle_diff(program: Program, before: Path, after: Path) -> None:
    """Show what changes for a site from one bundle to another."""
    from installer.operations.bundles.operation import diff

    diff(program.terminal, before=before, after=after)
