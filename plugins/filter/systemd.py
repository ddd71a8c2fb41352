"""The sandbox of a systemd service, the same twenty lines for every unit of the platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# systemd.exec(5); `systemd-analyze security` weighs each of them.
_SANDBOX: dict[str, str | list[str]] = {
    "UMask": "0077",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    "SystemCallErrorNumber": "EPERM",
}


def systemd_sandbox(differences: Mapping[str, str | Sequence[str] | None]) -> str:
    """The lines of a unit's [Service] section that take from it what it does not need.

    Args:
        differences: What this unit needs otherwise: a setting's own value, a list for one line each, or None to
            leave the setting out. Settings of its own are added at the end.
    """
    lines = []
    for name, value in {**_SANDBOX, **differences}.items():
        if value is not None:
            values = [value] if isinstance(value, str) else value
            lines += [f"{name}={one}" for one in values]
    return "\n".join(lines)


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"systemd_sandbox": systemd_sandbox}
