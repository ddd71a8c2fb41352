"""What every kind of rehearsal host can do; its one place is `hosts`, which everybody else calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from installer.rehearsal.model import Rehearsal


class Driver(Protocol):
    """A kind of host. All it runs is in the host's control group, so that ending that ends all of it."""

    def make_disk(self, folder: Path) -> None:
        """Make a host's disk of `base` (the image) and `upper` (the host's own files), both in the folder."""

    def boot(self, rehearsal: Rehearsal, name: str, group: Path) -> None:
        """Switch a host on, in its control group, and return; it is not ready yet."""

    def leader(self, group: Path) -> int | None:
        """The process on this machine whose end is the host's; None when the host does not run."""

    def is_supervised(self, group: Path) -> bool:
        """Whether what keeps a host running is there."""

    def runs(self, group: Path) -> bool:
        """Whether a host runs, with all that keeps it running."""

    def press_power_button(self, folder: Path, group: Path) -> None:
        """Ask a host to shut down as its own `poweroff` would."""

    def listens(self, rehearsal: Rehearsal, name: str, pid: int) -> bool:
        """Whether the leader's host takes logins; cheaper than a login."""

    def root_argv(self, rehearsal: Rehearsal, pid: int, login: Sequence[str], argv: Sequence[str]) -> list[str]:
        """The command of this machine that runs another as root on the leader's host.

        Args:
            rehearsal: The rehearsal.
            pid: The host's leader.
            login: The command that logs into the host, from inside the rehearsal's network.
            argv: What to run.
        """
