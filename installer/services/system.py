"""The operating system of every host, and its page cache."""

from __future__ import annotations

from typing import Final

from installer.services.allocation import SYSTEM, MemoryClaim
from installer.services.model import ALL_HOSTS, UNNOTICED, Metric, Service, Unit

SERVICE: Final = Service(
    name=SYSTEM,
    purpose="Operating system and page cache",
    group=ALL_HOSTS,
    units=(
        Unit(name=r"systemd-journald\.service", called="journal", restart=UNNOTICED, alone=UNNOTICED),
        Unit(name=r"systemd-sysctl\.service", called="kernel settings", restart=UNNOTICED, alone=UNNOTICED),
        Unit(name=r"chrony\.service", called="clock", restart=UNNOTICED, alone=UNNOTICED),
        # Logins that are there stay; a new one may have to try again.
        Unit(name=r"ssh\.service", called="SSH", restart=UNNOTICED, alone=UNNOTICED),
        Unit(name=r"(auditd|audit-rules)\.service", called="records of auditd", restart=UNNOTICED, alone=UNNOTICED),
        Unit(name=r"sitewright-integrity\.timer", called="daily comparison", restart=UNNOTICED, alone=UNNOTICED),
        Unit(name=r"apt-daily(-upgrade)?\.timer", called="upgrades of the system", restart=UNNOTICED, alone=UNNOTICED),
    ),
    # systemd, journald, sshd, chrony and room for Ansible's modules; what it gets beyond that is page cache.
    memory=MemoryClaim(floor_mb=192, weight=1),
    metrics=(
        Metric(name="MemAvailable", source="/proc/meminfo", meaning="near 0: something takes more than its share"),
        Metric(name="failed units", source="systemctl list-units --failed", meaning="not empty: a service is down"),
    ),
)
