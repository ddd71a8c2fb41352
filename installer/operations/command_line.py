"""What the verbs' command lines share: options, and the way from a command to its operation."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from installer.operations.request import INSIDE_VARIABLE, STARTED_VARIABLE, Given, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths
    from installer.operations.context import OperationContext, SiteContext
    from installer.operations.request import SecretsUse

PATH: Final = click.Path(path_type=Path)
EXISTING: Final = click.Path(path_type=Path, exists=True)


class Program:
    """What every command is given: the writer, the paths and the command line.

    Attributes:
        terminal: The one writer.
        paths: Where things are on the controller.
        arguments: The command line.
        verb: What was asked for, as far as it is known.
        inventory: The site that was named, as far as it is known.
        exit_code: Exit code of a command that was run for the operator.
    """

    def __init__(self, terminal: Terminal, paths: Paths, arguments: tuple[str, ...]) -> None:
        """Keep them."""
        self.terminal = terminal
        self.paths = paths
        self.arguments = arguments
        self.verb = ""
        self.inventory = ""
        self.exit_code = 0

    def request(self, verb: str, given: Given) -> Request:
        """What was asked for, and since when."""
        self.verb, self.inventory = verb, given["inventory"]
        inside = os.environ.get(INSIDE_VARIABLE)
        started = float(os.environ.get(STARTED_VARIABLE) or 0) if inside else 0.0
        return Request(verb=verb, arguments=self.arguments, started=started or time.time(), **given)


def _set_output(ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    program = ctx.find_object(Program)
    if program is not None and value == "json":
        program.terminal.output = "json"
    return value


def _show_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    program = ctx.find_object(Program)
    if not asked or program is None:
        return
    from installer.controller.release import read_release

    release = read_release(program.paths.root)
    program.terminal.document({"operation": "version", "result": "done", **release.to_json()})
    if program.terminal.output == "text":
        program.terminal.result(f"sitewright {release}")
    ctx.exit()


def options(*each: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one, in the order in which `--help` shows them."""

    def decorate(function: Any) -> Any:
        for option in reversed(each):
            function = option(function)
        return function

    return decorate


output_option: Final = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    is_eager=True,
    callback=_set_output,
    expose_value=False,
    help="What goes to stdout: text, or exactly one JSON object at the end.",
)
inventory_option: Final = click.option(
    "--inventory",
    metavar="SITE",
    default="",
    help="The site: a folder's name under inventories/, or a path.",
)
mirror_option: Final = click.option(
    "--mirror", default="", metavar="URL", help="Debian archive to download from, if not the controller's own."
)
machine_option: Final = click.option(
    "--machine",
    type=click.Choice(["container", "vm"]),
    default=None,
    help="What throwaway hosts are; by default what they were brought up as, else containers.",
)
version_option: Final = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Say which release this is, with its commit.",
)
site_options: Final = options(
    inventory_option,
    click.option("--rehearse", is_flag=True, help="Work on throwaway hosts on this machine instead of the real ones."),
    machine_option,
    click.option(
        "--vault-password-file",
        type=EXISTING,
        metavar="FILE",
        help="File with the vault password, or a program that prints it.",
    ),
    click.option(
        "--become-password-file",
        type=EXISTING,
        metavar="FILE",
        help="File with sudo's password on the hosts, or a program that prints it; else vault_become_password.",
    ),
    click.option("--bundle", type=PATH, metavar="DIR", help="The bundle, if not the usual one."),
    click.option("--bundle-key", type=EXISTING, metavar="FILE", help="Public key of the bundle's publisher."),
    output_option,
)
strategy_option: Final = click.option(
    "--strategy",
    type=click.Choice(["auto", "mitogen", "stock"]),
    default="auto",
    help="How Ansible talks to hosts; auto takes the fast way when it is installed.",
)
run_options: Final = options(
    strategy_option,
    click.option(
        "--stages-at-once",
        type=click.IntRange(1, 16),
        default=None,
        help="Most stages that run at the same time; by default 4, and 1 where nothing is expected to change.",
    ),
    mirror_option,
)


def on_site(
    ctx: click.Context,
    verb: str,
    given: Given,
    load: Callable[[], Callable[[OperationContext], None]],
    *,
    use: SecretsUse = "make",
    prepares_bundle: bool = False,
) -> None:
    """Open the site and run an operation on it, inside the rehearsal's network if it is one.

    Args:
        ctx: The command.
        verb: Name of the operation, as shown and recorded.
        given: What was given on the command line.
        load: Imports the operation; called as late as possible.
        use: What the operation may do with the site's secrets.
        prepares_bundle: Build a bundle for a rehearsal when there is none.
    """
    program, request = _enter(ctx, verb, given, prepares_bundle=prepares_bundle, prepares_hosts=True)
    from installer.operations.context import opened

    run = load()
    with opened(request, program.paths, program.terminal, use=use) as context:
        run(context)


def on_look(
    ctx: click.Context,
    verb: str,
    given: Given,
    load: Callable[[], Callable[[SiteContext], None]],
    *,
    prepares_hosts: bool = False,
) -> None:
    """As `on_site`, for an operation that makes nothing: no secret is asked for or made on the way to it.

    Args:
        ctx: The command.
        verb: Name of the operation, as shown and recorded.
        given: What was given on the command line.
        load: Imports the operation; called as late as possible.
        prepares_hosts: Boot the rehearsal's hosts when they do not run.
    """
    program, request = _enter(ctx, verb, given, prepares_bundle=False, prepares_hosts=prepares_hosts)
    from installer.operations.context import looked_at

    run = load()
    with looked_at(request, program.paths, program.terminal) as context:
        run(context)


def _enter(
    ctx: click.Context, verb: str, given: Given, *, prepares_bundle: bool, prepares_hosts: bool
) -> tuple[Program, Request]:
    """Go to where the site's hosts can be reached; a rehearsal's network is entered by a new program."""
    program = ctx.ensure_object(Program)
    require_inventory(given)
    request = program.request(verb, given)
    if request.machine and not request.rehearse:
        raise click.UsageError("--machine is for throwaway hosts: add --rehearse")
    if request.rehearse and not os.environ.get(INSIDE_VARIABLE):
        from installer.operations import rehearsed

        if prepares_hosts:
            rehearsal = rehearsed.prepare(request, program.paths, program.terminal, with_bundle=prepares_bundle)
        else:
            rehearsal = rehearsed.find_for(request, program.paths)
        rehearsed.enter(rehearsal, request)
    return program, request


def require_inventory(given: Given) -> None:
    """Refuse a command line that does not say which site is meant.

    Raises:
        UsageError: If it does not.
    """
    if not given["inventory"]:
        raise click.UsageError("--inventory SITE is missing")
