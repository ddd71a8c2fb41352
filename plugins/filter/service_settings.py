"""Settings of services that follow from their hosts; thin wrappers of ``installer.services.hosts``.

Imported by the filters themselves: Ansible loads every file of filters of a collection to find one, and the roles' own
must be found where the installer is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def service_settings(site: Mapping[str, Any], service: str, host: str, **facts: Any) -> dict[str, str | int | bool]:
    """A service's settings on a host by name, from the facts that the service's file says it reads."""
    from installer.services import hosts

    return {setting.name: setting.value for setting in hosts.explain(site, host, service, facts)}


def kernel_settings(site: Mapping[str, Any], host: str) -> dict[str, int]:
    """See `installer.services.hosts.kernel_settings`."""
    from installer.services import hosts

    return hosts.kernel_settings(site, host)


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"service_settings": service_settings, "kernel_settings": kernel_settings}
