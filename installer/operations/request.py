"""What the operator asked for; light enough to be loaded before it is known whether anything is done."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypedDict

if TYPE_CHECKING:
    from installer.controller.paths import Paths

SecretsUse = Literal["make", "read", "try"]
StrategyChoice = Literal["auto", "mitogen", "stock"]
MachineChoice = Literal["container", "vm"]
INSIDE_VARIABLE: Final = "SITEWRIGHT_INSIDE"
STARTED_VARIABLE: Final = "SITEWRIGHT_STARTED"


class Given(TypedDict, total=False):
    """What a command line gives of a request: options of the verbs that work on a site."""

    inventory: str
    rehearse: bool
    machine: MachineChoice | None
    strategy: StrategyChoice
    stages_at_once: int | None
    start_over: bool
    vault_password_file: Path | None
    become_password_file: Path | None
    bundle: Path | None
    bundle_key: Path | None
    mirror: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the operator asked for.

    Attributes:
        verb: The operation's name, as shown and recorded.
        inventory: SITE as given: a folder's name under inventories/ or a path.
        arguments: The command line, to resume with and to enter a rehearsal with.
        rehearse: Work on throwaway hosts instead of the real ones.
        machine: What throwaway hosts are; None takes those that are there, or containers.
        strategy: Which of Ansible's strategies; `auto` takes the fast one when it is there.
        stages_at_once: Most stages that run at the same time; None leaves it to the operation.
        start_over: Forget an unfinished operation.
        vault_password_file: Where the vault password is, if it was said.
        become_password_file: Where sudo's password on the hosts is, if it was said.
        bundle: The bundle, if another than the usual one was named.
        bundle_key: The publisher's public key, if it was given.
        mirror: Debian archive to build from, if another than the controller's.
        started: Moment of the start in seconds since the epoch.
    """

    verb: str
    inventory: str
    arguments: tuple[str, ...]
    rehearse: bool = False
    machine: MachineChoice | None = None
    strategy: StrategyChoice = "auto"
    stages_at_once: int | None = None
    start_over: bool = False
    vault_password_file: Path | None = None
    become_password_file: Path | None = None
    bundle: Path | None = None
    bundle_key: Path | None = None
    mirror: str = ""
    started: float

    @property
    def command(self) -> str:
        """The command line as the operator would type it to resume."""
        return shlex.join(("./install", *(word for word in self.arguments if word != "--start-over")))

    @property
    def install_command(self) -> str:
        """The command line that installs the same site, on the same hosts."""
        return shlex.join(("./install", "--inventory", self.inventory, *(["--rehearse"] if self.rehearse else [])))

    @property
    def rotate_secrets_command(self) -> str:
        """The command line that rotates the same site's secrets."""
        return self.install_command.replace("./install", "./install rotate secrets", 1)

    def inventory_folder(self, paths: Paths) -> Path:
        """The inventory's folder."""
        given = Path(self.inventory)
        if "/" in self.inventory or given.is_absolute():
            return given.resolve()
        return paths.root / "inventories" / self.inventory
