"""The command line: reads what the operator typed and hands it to an operation, no more.

Operations are loaded when they are asked for (`_load`), so that `--help` and a mistyped word are
answered at once: together they import half a second's worth of libraries.
"""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from installer.operations.request import INSIDE_VARIABLE, STARTED_VARIABLE, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths

_PATH: Final = click.Path(path_type=Path)
_EXISTING: Final = click.Path(path_type=Path, exists=True)
_LAST_HELP: Final = (
    "Exit codes: 0 done, 2 configuration, 3 preflight, 4 a playbook failed, 5 verification failed,"
    " 6 bundle refused, 130 interrupted, 70 a defect of ours."
)


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

    def request(self, verb: str, options: dict[str, Any]) -> Request:
        """What was asked for, and since when."""
        self.verb, self.inventory = verb, options.get("inventory", "")
        inside = os.environ.get(INSIDE_VARIABLE)
        started = float(os.environ.get(STARTED_VARIABLE) or 0) if inside else 0.0
        known = {name: value for name, value in options.items() if name in Request.__dataclass_fields__}
        return Request(verb=verb, arguments=self.arguments, started=started or time.time(), **known)


def _load(module: str) -> Any:
    """A module of the operations, imported now."""
    return importlib.import_module(f"installer.operations.{module}")


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


def _set_output(ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    program = ctx.find_object(Program)
    if program is not None and value == "json":
        program.terminal.output = "json"
    return value


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_output = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    is_eager=True,
    callback=_set_output,
    expose_value=False,
    help="What goes to stdout: text, or exactly one JSON object at the end.",
)
_inventory = click.option(
    "--inventory",
    metavar="SITE",
    default="",
    help="The site: a folder's name under inventories/, or a path.",
)
_rehearse = click.option(
    "--rehearse", is_flag=True, help="Work on throwaway hosts on this machine instead of the real ones."
)
_password = click.option(
    "--vault-password-file",
    type=_EXISTING,
    metavar="FILE",
    help="File with the vault password, or a program that prints it.",
)
_bundle = click.option("--bundle", type=_PATH, metavar="DIR", help="The bundle, if not the usual one.")
_bundle_key = click.option("--bundle-key", type=_EXISTING, metavar="FILE", help="Public key of the bundle's publisher.")
_mirror = click.option(
    "--mirror", default="", metavar="URL", help="Debian archive to download from, if not the controller's own."
)
_site = _options(_inventory, _rehearse, _password, _bundle, _bundle_key, _output)
_running = _options(
    click.option(
        "--strategy",
        type=click.Choice(["auto", "mitogen", "stock"]),
        default="auto",
        help="How Ansible talks to hosts; auto takes the fast way when it is installed.",
    ),
    click.option(
        "--stages-at-once",
        type=click.IntRange(1, 16),
        default=None,
        help="Most stages that run at the same time; by default 4, and 1 where nothing is expected to change.",
    ),
    _mirror,
)
_context = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=_Defaults, invoke_without_command=True, context_settings=_context, epilog=_LAST_HELP)
@_site
@_running
@click.option("--start-over", is_flag=True, help="Forget an unfinished install and go through all stages again.")
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Install the workflow platform on a site's hosts, and prove it.

    Without a verb: preflight, then every stage not yet done for these inputs, then the proof.
    After any interruption the same command carries on; when all is done, it repairs what drifted.
    """
    if ctx.invoked_subcommand is None:
        _on_site(ctx, "install", options, "install.install", prepares_bundle=True)


def _on_site(
    ctx: click.Context,
    verb: str,
    options: dict[str, Any],
    operation: str,
    *,
    prepares_bundle: bool = False,
    prepares_hosts: bool = True,
) -> None:
    """Open the site and run an operation on it, inside the rehearsal's network if it is one.

    Args:
        ctx: The command.
        verb: Name of the operation, as shown and recorded.
        options: What was given on the command line.
        operation: `module.function` under installer.operations.
        prepares_bundle: Build a bundle for a rehearsal when there is none.
        prepares_hosts: Boot the rehearsal's hosts when they do not run.
    """
    program = ctx.ensure_object(Program)
    if not options["inventory"]:
        raise click.UsageError("--inventory SITE is missing")
    request = program.request(verb, options)
    terminal, paths = program.terminal, program.paths
    if request.rehearse and not os.environ.get(INSIDE_VARIABLE):
        rehearsing = _load("rehearsing")
        if prepares_hosts:
            rehearsal = rehearsing.prepare(request, paths, terminal, with_bundle=prepares_bundle)
        else:
            rehearsal = rehearsing.find_for(request, paths)
        rehearsing.enter(rehearsal, request)
    module, function = operation.split(".")
    run = getattr(_load(module), function)
    with _load("context").opened(request, paths, terminal) as context:
        run(context)


@cli.command()
@_site
@click.pass_context
def preflight(ctx: click.Context, /, **options: Any) -> None:
    """Ask every host whether it is fit; changes nothing."""
    _on_site(ctx, "preflight", options, "checks.run_alone")


@cli.command()
@_site
@_running
@click.pass_context
def plan(ctx: click.Context, /, **options: Any) -> None:
    """Show what an install would change on each host; changes nothing."""
    _on_site(ctx, "plan", options, "plan.plan", prepares_bundle=True)


@cli.command()
@_site
@click.pass_context
def status(ctx: click.Context, /, **options: Any) -> None:
    """Show what runs now and its health."""
    _on_site(ctx, "status", options, "status.status", prepares_hosts=False)


@cli.command()
@_site
@click.pass_context
def verify(ctx: click.Context, /, **options: Any) -> None:
    """Prove the site from the user's side and write the evidence."""
    _on_site(ctx, "verify", options, "checks.run_alone", prepares_hosts=False)


# Bundles


@cli.group()
def bundle() -> None:
    """Build, prove and look at bundles: all a site needs, signed."""


@bundle.command("build")
@click.option("--out", type=_PATH, metavar="DIR", help="Folder of the bundle, if not the usual one.")
@_mirror
@click.option("--security-mirror", default="", metavar="URL", help="Security archive that goes with --mirror.")
@click.option("--refresh", is_flag=True, help="Ask Debian for newer packages even if nothing else changed.")
@_output
@click.pass_obj
def bundle_build(program: Program, /, **options: Any) -> None:
    """Build a bundle on a machine that reaches the package archives."""
    _load("bundles").build(program.paths, program.terminal, **options)


@bundle.command("verify")
@click.argument("bundle", type=_PATH, required=False)
@click.option("--key", type=_EXISTING, metavar="FILE", help="Public key of the bundle's publisher.")
@_output
@click.pass_obj
def bundle_verify(program: Program, /, **options: Any) -> None:
    """Prove, without network, that no byte of a bundle is missing, added or changed."""
    _load("bundles").verify(program.paths, program.terminal, **options)


@bundle.command("inspect")
@click.argument("bundle", type=_PATH, required=False)
@_output
@click.pass_obj
def bundle_inspect(program: Program, /, **options: Any) -> None:
    """List what a bundle holds."""
    _load("bundles").inspect(program.paths, program.terminal, **options)


@bundle.command("diff")
@click.argument("before", type=_EXISTING)
@click.argument("after", type=_EXISTING)
@_output
@click.pass_obj
def bundle_diff(program: Program, /, **options: Any) -> None:
    """Show what changes for a site from one bundle to another."""
    _load("bundles").diff(program.terminal, **options)


# Rehearsals


@cli.group()
def rehearse() -> None:
    """Bring up, look at and remove a site's throwaway hosts."""


@rehearse.command("up")
@_inventory
@_mirror
@_output
@click.pass_obj
def rehearse_up(program: Program, /, **options: Any) -> None:
    """Boot the site's hosts in a network without a way out."""
    if not options["inventory"]:
        raise click.UsageError("--inventory SITE is missing")
    request = program.request("rehearse up", {**options, "rehearse": True})
    rehearsal = _load("rehearsing").prepare(request, program.paths, program.terminal, with_bundle=False)
    hosts = dict(rehearsal.spec.hosts)
    program.terminal.document(
        {"operation": "rehearse up", "site": rehearsal.spec.site, "result": "done", "hosts": hosts}
    )
    if program.terminal.output == "text":
        program.terminal.table(("host", "address"), list(hosts.items()))


@rehearse.command("down")
@_inventory
@_output
@click.pass_obj
def rehearse_down(program: Program, inventory: str) -> None:
    """Remove every process, mount, namespace, interface and file of a rehearsal."""
    request = program.request("rehearse down", {"inventory": inventory, "rehearse": True})
    name = _load("rehearsing").bring_down(inventory, request, program.paths, program.terminal)
    program.terminal.document({"operation": "rehearse down", "site": name, "result": "done"})


@rehearse.command("list")
@_output
@click.pass_obj
def rehearse_list(program: Program) -> None:
    """List the rehearsals on this machine."""
    _load("rehearsing").show_list(program.paths, program.terminal)


@rehearse.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@_inventory
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def rehearse_exec(program: Program, host: str, inventory: str, command: tuple[str, ...]) -> None:
    """Run CMD as root on a throwaway host: rehearse exec HOST -- CMD."""
    request = program.request("rehearse exec", {"inventory": inventory, "rehearse": True})
    program.exit_code = _load("rehearsing").execute(inventory, request, program.paths, host, command)


@rehearse.command("run", context_settings={"ignore_unknown_options": True})
@_inventory
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def rehearse_run(program: Program, inventory: str, command: tuple[str, ...]) -> None:
    """Run CMD on this machine inside the rehearsal's network: rehearse run -- CMD."""
    request = program.request("rehearse run", {"inventory": inventory, "rehearse": True})
    program.exit_code = _load("rehearsing").run(inventory, request, program.paths, command)
