"""A site's throwaway hosts, made ready for whatever is to be done on them, and the way into their network."""

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
from installer.operations.context import load
from installer.operations.request import INSIDE_VARIABLE, STARTED_VARIABLE
from installer.rehearsal.lifecycle import find, jobs_of, machine_of, up
from installer.rehearsal.model import Machine, RehearsalSpec

if TYPE_CHECKING:
    from collections.abc import Collection

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths
    from installer.operations.request import Request
    from installer.rehearsal.model import Rehearsal
    from installer.site import Site


def prepare(
    request: Request, paths: Paths, terminal: Terminal, *, with_bundle: bool, absent: Collection[str] = ()
) -> Rehearsal:
    """Have the controller's programs, a bundle and the site's throwaway hosts ready.

    Args:
        request: What was asked for.
        paths: Where things are on the controller.
        terminal: Told of each step.
        with_bundle: Build the bundle when there is none; refuse one that does not go with the checkout.
        absent: Hosts of the inventory that are not booted.

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
    machine = Machine(request.machine) if request.machine else machine_of(site.name, paths) or Machine.CONTAINER
    ensure_commands([*jobs_of(machine), *([Job.BUNDLE] if lacking else [])], terminal.say)
    with ThreadPoolExecutor(max_workers=2) as pool:
        if lacking:
            terminal.step(f"Building the bundle {bundle}")
        building = pool.submit(_build, request, paths, terminal) if lacking else None
        spec = spec_of(site, absent, machine)
        terminal.step(f"Bringing up {len(spec.hosts)} throwaway host(s) of {site.name}")
        rehearsal = up(spec, paths, terminal.say, mirror=request.mirror)
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


def spec_of(site: Site, absent: Collection[str] = (), machine: Machine = Machine.CONTAINER) -> RehearsalSpec:
    """The part of a site that throwaway hosts are made of."""
    planned = site.resolved()["hosts"].values()
    return RehearsalSpec(
        site=site.name,
        network=str(site.network),
        hosts={name: str(host.address) for name, host in site.hosts.items() if name not in absent},
        virtual_ip=str(site.virtual_ip),
        machine=machine,
        memory_mb=max(host["memory_mb"] for host in planned),
        cores=max(host["cores"] for host in planned),
    )
