"""Who gets how much of a host's memory: one rule for all services, whoever their neighbours are.

Each service has at least its floor and at most its ceiling. Between them all grow together, each in proportion to its
weight: with the level `l`, a service has `clamp(l * weight, floor, ceiling)`, and the level is the one at which the
memory is used up (water-filling; Bertsekas and Gallager, Data Networks, 6.5.2, call it weighted max-min fairness).
Two services keep their relation whatever else is on the host, more memory never gives anyone less, and the sum never
exceeds what there is.

The operating system is a claimant like any other (`installer/services/system.py`). Formulas from the literature, like
"a quarter of the memory for the buffers", mean the host with its operating system; `Allocation.planning_mb` is the
service's share with its part of the system's, by weight. Where a service has a host alone that is the whole host.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryClaim:
    """What a service wants of its host's memory.

    Attributes:
        floor_mb: Least it can work with.
        weight: Its part of what the floors leave, in relation to its neighbours'; 0 for none.
        ceiling_mb: Most it can use; None for any amount.
    """

    floor_mb: int
    weight: int
    ceiling_mb: int | None = None

    @classmethod
    def fixed(cls, size_mb: int) -> MemoryClaim:
        """The same on every host, however large."""
        return cls(floor_mb=size_mb, weight=0, ceiling_mb=size_mb)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Each service's part of one host.

    Attributes:
        memory_mb: What there is to share.
        claims: Claims by service.
        level: Memory, in MB, for each unit of weight.
    """

    memory_mb: int
    claims: Mapping[str, MemoryClaim]
    level: Fraction

    def share_mb(self, service: str) -> int:
        """Memory of a service, in MB."""
        return int(_share(self.claims[service], self.level))

    def planning_mb(self, service: str) -> int:
        """A service's share with its part of the operating system's, in MB; for formulas that count that in."""
        own = _share(self.claims[service], self.level)
        weights = sum(claim.weight for name, claim in self.claims.items() if name != SYSTEM)
        if service == SYSTEM or SYSTEM not in self.claims or not weights:
            return int(own)
        return int(own + _share(self.claims[SYSTEM], self.level) * self.claims[service].weight / weights)

    @property
    def shares_mb(self) -> dict[str, int]:
        """Memory of every service, in MB."""
        return {service: self.share_mb(service) for service in self.claims}

    @property
    def floors_mb(self) -> dict[str, int]:
        """Least memory of every service, in MB."""
        return {service: claim.floor_mb for service, claim in self.claims.items()}

    @property
    def fits(self) -> bool:
        """Whether there is enough for every service to work at all."""
        return sum(self.floors_mb.values()) <= self.memory_mb


def allocate(memory_mb: int, claims: Mapping[str, MemoryClaim]) -> Allocation:
    """Share a host's memory among services.

    Args:
        memory_mb: Memory of the host that may be planned with.
        claims: Claims by service. When their floors alone are too much, each gets its floor; see `Allocation.fits`.
    """
    level = Fraction(0)
    for point in sorted(_bends(claims.values())):
        if _total(claims.values(), point) > memory_mb:
            break
        level = point
    growing = sum(claim.weight for claim in claims.values() if _grows(claim, level))
    left = memory_mb - _total(claims.values(), level)
    if growing and left > 0:
        level += left / growing
    return Allocation(memory_mb=memory_mb, claims=claims, level=level)


def _bends(claims: Iterable[MemoryClaim]) -> set[Fraction]:
    """Levels at which a service begins or ends to grow."""
    return {
        Fraction(bound, claim.weight)
        for claim in claims
        if claim.weight
        for bound in (claim.floor_mb, claim.ceiling_mb)
        if bound is not None
    }


def _share(claim: MemoryClaim, level: Fraction) -> Fraction:
    share = max(level * claim.weight, Fraction(claim.floor_mb))
    return share if claim.ceiling_mb is None else min(share, Fraction(claim.ceiling_mb))


def _total(claims: Iterable[MemoryClaim], level: Fraction) -> Fraction:
    return sum((_share(claim, level) for claim in claims), Fraction(0))


def _grows(claim: MemoryClaim, level: Fraction) -> bool:
    """Whether a service has more when the level rises."""
    wanted = level * claim.weight
    return claim.weight > 0 and wanted >= claim.floor_mb and (claim.ceiling_mb is None or wanted < claim.ceiling_mb)
