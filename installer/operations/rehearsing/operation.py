"""Throwaway hosts: work on them, look at them, remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.errors import ConfigurationError
from installer.operations.context import load
from installer.rehearsal.access import exec_on, run_inside
from installer.rehearsal.lifecycle import down, find, list_rehearsals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths
    from installer.operations.request import Request
    from installer.rehearsal.model import Rehearsal


def bring_down(inventory: str, request: Request, paths: Paths, terminal: Terminal) -> str:
    """Remove everything of a rehearsal; the site it was of."""
    name = _site_name(inventory, request, paths)
    was_there = down(name, paths, terminal.say)
    terminal.result(f"the rehearsal of {name} is gone" if was_there else f"there was no rehearsal of {name}")
    return name


def show_list(paths: Paths, terminal: Terminal) -> None:
    """Print every rehearsal on this machine."""
    states = list_rehearsals(paths)
    if terminal.output == "json":
        rows = [
            {"site": each.site, "folder": str(each.folder), "machine": each.machine, "hosts": each.running}
            for each in states
        ]
        terminal.document({"operation": "rehearse list", "result": "done", "rehearsals": rows})
    elif states:
        terminal.table(
            ("site", "machine", "hosts", "running", "folder"),
            [
                (each.site, each.machine, str(len(each.running)), str(sum(each.running.values())), str(each.folder))
                for each in states
            ],
        )
    else:
        terminal.result("there is no rehearsal")


def execute(inventory: str, request: Request, paths: Paths, host: str, command: Sequence[str]) -> int:
    """Run a command as root on a throwaway host; its exit code."""
    return exec_on(_find(inventory, request, paths), host, command)


def run(inventory: str, request: Request, paths: Paths, command: Sequence[str]) -> int:
    """Run a command on this machine inside the rehearsal's network; its exit code."""
    return run_inside(_find(inventory, request, paths), command)


def _find(inventory: str, request: Request, paths: Paths) -> Rehearsal:
    return find(_site_name(inventory, request, paths), paths)


def _site_name(inventory: str, request: Request, paths: Paths) -> str:
    """The site meant: the one named, or the only one there is."""
    # Rehearsals of other checkouts are listed, too; they are not ours to choose.
    states = [state.site for state in list_rehearsals(paths) if state.folder.parent == paths.rehearsals.resolve()]
    if not inventory:
        if len(states) == 1:
            return states[0]
        found = f"are {len(states)} rehearsals ({', '.join(states)})" if states else "is no rehearsal"
        raise ConfigurationError(f"there {found}; which site is meant?", hint="add --inventory SITE")
    if inventory in states:
        return inventory
    folder = request.inventory_folder(paths)
    return load(request, paths)[0].name if folder.is_dir() else inventory
