"""Settings of services that follow from their hosts; thin wrappers of ``installer.services.hosts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from installer.services import hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def service_settings(site: Mapping[str, Any], service: str, host: str, **facts: Any) -> dict[str, str | int | bool]:
    """A service's settings on a host by name, from the facts that the service's file says it reads."""
    return {setting.name: setting.value for setting in hosts.explain(site, host, service, facts)}


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {"service_settings": service_settings, "kernel_settings": hosts.kernel_settings}
