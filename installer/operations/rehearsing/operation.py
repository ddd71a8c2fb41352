"""Throwaway hosts: bring them up, work on them, look at them, remove them."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from installer.bundle import inspect
from installer.bundle.build import build
from installer.bundle.checkout import require_fit
from installer.controller.commands import Job, ensure_commands
from installer.controller.site_lock import site_lock
from installer.errors import ConfigurationError
from installer.operations.context import load
from installer.operations.request import INSIDE_VARIABLE, STARTED_VARIABLE
from installer.rehearsal.access import exec_on, run_inside
from installer.rehearsal.lifecycle import down, find, list_rehearsals, up
from installer.rehearsal.model import RehearsalSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths
    from installer.operations.request import Request
    from installer.rehearsal.model import Rehearsal
    from installer.site import Site


def prepare(request: Request, paths: Paths, terminal: Terminal, *, with_bundle: bool) -> Rehearsal:
    """Have the controller's programs, a bundle and the site's throwaway hosts ready.

    Raises:
        InstallerError: If any of them cannot be had.
    """
    site, manifests = load(request, paths)
    with site_lock(paths.rehearsal(site.name), site=site.name, purpose="rehearse up"):
        pass  # refuse at once what would only be refused after minutes of preparation
    bundle = paths.bundle_or(request.bundle)
    lacking = with_bundle and not bundle.exists()
    if with_bundle and not lacking:
        require_fit(bundle, inspect(bundle), paths.root, manifests)
    terminal.step("Preparing the controller")
    ensure_commands([Job.SSH, Job.REHEARSAL, *([Job.BUNDLE] if lacking else [])], terminal.say)
    with ThreadPoolExecutor(max_workers=2) as pool:
        if lacking:
            terminal.step(f"Building the bundle {bundle}")
        building = pool.submit(_build, request, paths, terminal) if lacking else None
        terminal.step(f"Bringing up {len(site.hosts)} throwaway host(s) of {site.name}")
        rehearsal = up(spec_of(site), paths, terminal.say, mirror=request.mirror)
        if building is not None:
            building.result()
    return rehearsal


def find_for(request: Request, paths: Paths) -> Rehearsal:
    """The rehearsal of the site that was asked for.

    Raises:
        ConfigurationError: If there is none.
    """
    site, _manifests = load(request, paths)
    return find(site.name, paths)


def _build(request: Request, paths: Paths, terminal: Terminal) -> None:
    build(paths, out=paths.bundle_or(request.bundle), report=terminal.say, mirror=request.mirror)


def enter(rehearsal: Rehearsal, request: Request) -> None:
    """Go on as the same program inside the rehearsal's network; never returns."""
    command = [*rehearsal.enter_argv(), sys.executable, "-P", "-m", "installer", *request.arguments]
    environment = {
        **os.environ,
        INSIDE_VARIABLE: rehearsal.namespace,
        STARTED_VARIABLE: str(request.started),
    }
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], command, environment)  # noqa: S606 - without a shell, and on purpose: same process, other network


def spec_of(site: Site) -> RehearsalSpec:
    """The part of a site that throwaway hosts are made of."""
    return RehearsalSpec(
        site=site.name,
        network=str(site.network),
        hosts={name: str(host.address) for name, host in site.hosts.items()},
        virtual_ip=str(site.virtual_ip),
    )


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
        rows = [{"site": state.site, "folder": str(state.folder), "hosts": state.running} for state in states]
        terminal.document({"operation": "rehearse list", "result": "done", "rehearsals": rows})
    elif states:
        terminal.table(
            ("site", "hosts", "running", "folder"),
            [
                (state.site, str(len(state.running)), str(sum(state.running.values())), str(state.folder))
                for state in states
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
