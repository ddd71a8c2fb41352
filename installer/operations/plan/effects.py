"""What users notice when a unit restarts or reloads, from the files of the services.

The seconds there are upper figures of measurements on rehearsal hosts (two shared cores): docs/decisions (plan) says
which.
"""

from __future__ import annotations

import re

from installer.services import known_services
from installer.services.model import Act, Unit


def effects_of(unit: str) -> Unit:
    """What is known of a unit; of an unknown one the plan says that nobody measured it."""
    for service in known_services().values():
        for known in service.units:
            if re.fullmatch(known.name, unit):
                return known
    unmeasured = Act(effect="for how long was never measured", seconds=1)
    return Unit(name=re.escape(unit), called=unit, restart=unmeasured, alone=unmeasured, reload=unmeasured)
