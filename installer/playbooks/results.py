"""How a playbook or a stage ends, and what it did on each host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DONE: Final = "done"
FAILED: Final = "failed"
INTERRUPTED: Final = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTally:
    """How many tasks ended how on one host."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    unreachable: int = 0

    def __add__(self, other: HostTally) -> HostTally:
        """Both together."""
        return HostTally(
            ok=self.ok + other.ok,
            changed=self.changed + other.changed,
            failed=self.failed + other.failed,
            unreachable=self.unreachable + other.unreachable,
        )

    def __sub__(self, other: HostTally) -> HostTally:
        """What came on top of the other."""
        return HostTally(
            ok=self.ok - other.ok,
            changed=self.changed - other.changed,
            failed=self.failed - other.failed,
            unreachable=self.unreachable - other.unreachable,
        )

    def to_json(self) -> dict[str, int]:
        """As plain data."""
        return {
            "ok": self.ok,
            "changed": self.changed,
            "failed": self.failed,
            "unreachable": self.unreachable,
        }
