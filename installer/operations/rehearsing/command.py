"""The command lines of `rehearse`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from installer.operations.command_line import (
    Program,
    inventory_option,
    machine_option,
    mirror_option,
    output_option,
    require_inventory,
)

if TYPE_CHECKING:
    from installer.operations.request import Given, MachineChoice


@click.group("rehearse")
def rehearse_command() -> None:
    """Bring up, look at and remove a site's throwaway hosts."""


@rehearse_command.command("up")
@inventory_option
@machine_option
@mirror_option
@output_option
@click.pass_obj
def rehearse_up(program: Program, inventory: str, machine: MachineChoice | None, mirror: str) -> None:
    """Boot the site's hosts in a network without a way out."""
    from installer.operations.rehearsed import prepare

    require_inventory({"inventory": inventory})
    given: Given = {"inventory": inventory, "rehearse": True, "machine": machine, "mirror": mirror}
    request = program.request("rehearse up", given)
    rehearsal = prepare(request, program.paths, program.terminal, with_bundle=False)
    hosts = dict(rehearsal.spec.hosts)
    program.terminal.document(
        {"operation": "rehearse up", "site": rehearsal.spec.site, "result": "done", "hosts": hosts}
    )
    if program.terminal.output == "text":
        program.terminal.table(("host", "address"), list(hosts.items()))


@rehearse_command.command("down")
@inventory_option
@output_option
@click.pass_obj
def rehearse_down(program: Program, inventory: str) -> None:
    """Remove every process, mount, namespace, interface and file of a rehearsal."""
    from installer.operations.rehearsing.operation import bring_down

    request = program.request("rehearse down", {"inventory": inventory, "rehearse": True})
    name = bring_down(inventory, request, program.paths, program.terminal)
    program.terminal.document({"operation": "rehearse down", "site": name, "result": "done"})


@rehearse_command.command("list")
@output_option
@click.pass_obj
def rehearse_list(program: Program) -> None:
    """List the rehearsals on this machine."""
    from installer.operations.rehearsing.operation import show_list

    show_list(program.paths, program.terminal)


@rehearse_command.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("host")
@inventory_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def rehearse_exec(program: Program, host: str, inventory: str, command: tuple[str, ...]) -> None:
    """Run CMD as root on a throwaway host: rehearse exec HOST -- CMD."""
    from installer.operations.rehearsing.operation import execute

    request = program.request("rehearse exec", {"inventory": inventory, "rehearse": True})
    program.exit_code = execute(inventory, request, program.paths, host, command)


@rehearse_command.command("run", context_settings={"ignore_unknown_options": True})
@inventory_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def rehearse_run(program: Program, inventory: str, command: tuple[str, ...]) -> None:
    """Run CMD on this machine inside the rehearsal's network: rehearse run -- CMD."""
    from installer.operations.rehearsing.operation import run

    request = program.request("rehearse run", {"inventory": inventory, "rehearse": True})
    program.exit_code = run(inventory, request, program.paths, command)
