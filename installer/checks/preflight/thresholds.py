"""What a host must have, by the class of the site and by what the host carries.

Production values are the source requirements (4 cores, 16 GB, 500 GB SSD, 1 Gb/s per engine node);
so is the host of any other service that calls itself large. Staging halves them, development takes what starts at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.services import services_of

if TYPE_CHECKING:
    from collections.abc import Collection

GIB_MB: Final = 1024
# A host sold with 16 GB reports about 15.6: firmware and kernel keep the rest.
MEMORY_SLACK: Final = 0.05
FSYNC_P99_MS: Final = 10.0
CLOCK_OFFSET_SECONDS: Final = 0.5
MTU_BYTES: Final = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Least cores, memory (MB), disk of the data volume (MB) and network speed (Mb/s)."""

    cores: int
    memory_mb: int
    disk_mb: int
    speed_mbit: int


_LARGE: Final = Threshold(cores=4, memory_mb=16 * GIB_MB, disk_mb=500 * GIB_MB, speed_mbit=1000)
_SMALL: Final = Threshold(cores=2, memory_mb=4 * GIB_MB, disk_mb=50 * GIB_MB, speed_mbit=1000)
_STAGING_LARGE: Final = Threshold(cores=2, memory_mb=8 * GIB_MB, disk_mb=100 * GIB_MB, speed_mbit=1000)
_STAGING_SMALL: Final = Threshold(cores=2, memory_mb=2 * GIB_MB, disk_mb=20 * GIB_MB, speed_mbit=1000)
_DEVELOPMENT: Final = Threshold(cores=1, memory_mb=GIB_MB, disk_mb=8 * GIB_MB, speed_mbit=100)

_BY_CLASS: Final = {
    "production": (_LARGE, _SMALL),
    "staging": (_STAGING_LARGE, _STAGING_SMALL),
    "development": (_DEVELOPMENT, _DEVELOPMENT),
}


def threshold(site_class: str, groups: Collection[str]) -> Threshold:
    """What a host in these groups needs in a site of this class."""
    large, small = _BY_CLASS[site_class]
    return large if any(service.large for service in services_of(groups).values()) else small
