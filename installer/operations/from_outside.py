"""A rehearsed site for an Ansible of its own that stays outside of the hosts' network, as Molecule's does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from installer.console.terminal import Terminal
from installer.controller.paths import Paths
from installer.operations.context import opened
from installer.operations.rehearsed import prepare
from installer.operations.request import Request
from installer.rehearsal.access import options_from_outside
from installer.rehearsal.lifecycle import down
from installer.vault import VAULT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from installer.operations.request import MachineChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class FromOutside:
    """What such an Ansible is given.

    Attributes:
        hosts: The hosts that run.
        inventory: The run-time inventory, as the installer's own runs read it.
        secrets: The vault's variables, which are not in the inventory.
        ssh_options: What leads ssh into the hosts' network.
    """

    hosts: Collection[str]
    inventory: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    ssh_options: tuple[str, ...]


def bring_up(folder: Path, *, absent: Collection[str] = (), machine: MachineChoice | None = None) -> FromOutside:
    """Make a site ready as an install of a rehearsal does before its first stage.

    Args:
        folder: The site's inventory.
        absent: Hosts of the inventory that are not booted.
        machine: What its hosts are; see `Request`.

    Raises:
        InstallerError: If anything of it cannot be had.
    """
    paths, terminal = Paths.from_environment(), Terminal()
    request = Request(
        verb="rehearse up",
        inventory=str(folder),
        arguments=("rehearse", "up", "--inventory", str(folder)),
        rehearse=True,
        machine=machine,
        # Python becomes root by Ansible's own means: whoever else reads the inventory can log in with it too.
        strategy="stock",
        started=time.time(),
    )
    rehearsal = prepare(request, paths, terminal, with_bundle=True, absent=absent)
    with opened(request, paths, terminal) as context:
        return FromOutside(
            hosts=rehearsal.spec.hosts.keys(),
            inventory=json.loads(context.runner.settings.inventory.read_text(encoding="utf-8"))["all"],
            secrets={f"{VAULT_PREFIX}{name}": value for name, value in context.secrets.items()},
            ssh_options=tuple(options_from_outside(rehearsal)),
        )


def take_down(site: str) -> None:
    """Leave nothing of the site's hosts; fine when there are none."""
    down(site, Paths.from_environment(), Terminal().say)
