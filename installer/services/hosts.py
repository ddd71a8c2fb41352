"""What the services of one host add up to: memory, settings, sysctls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from installer.services import known_services, services_of
from installer.services.allocation import Allocation, allocate
from installer.services.model import Situation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from installer.services.model import Service, TunedSetting


def allocation(site: Mapping[str, Any], host: str, memory_mb: int) -> Allocation:
    """What each service of a host gets of its memory.

    Args:
        site: The resolved site.
        host: Short name of the host.
        memory_mb: Memory of the host that may be planned with.
    """
    services = services_of(site["hosts"][host]["groups"])
    return allocate(memory_mb, {name: service.memory for name, service in services.items()})


def explain(site: Mapping[str, Any], host: str, service: str, facts: Mapping[str, Any]) -> tuple[TunedSetting, ...]:
    """A service's settings on a host, each with its formula and source.

    Args:
        site: The resolved site.
        host: Short name of the host.
        service: Name of the service.
        facts: What the service's file says it reads.

    Raises:
        LookupError: If there is no such service, or it has no settings of its own.
    """
    settings = known_services()[service].settings
    if settings is None:
        raise LookupError(f"{service} has no settings that follow from its host")
    return settings(Situation(site=site, host=host, allocate=partial(allocation, site), facts=facts))


def kernel_settings(site: Mapping[str, Any], host: str) -> dict[str, int]:
    """Sysctls of a host: what its services and its hardening want.

    Where services do not agree, `KernelSetting` says what is done.

    Raises:
        ValueError: If a service wants what hardening refuses; with both sides and the waiver that decides it.
    """
    from installer.manifests import controls  # noqa: PLC0415 - reads YAML, which who asks for services only does not need

    services = services_of(site["hosts"][host]["groups"])
    wanted = resolve(services.values())
    for key, (value, control) in controls.sysctls(site, host).items():
        if wanted.setdefault(key, value) != value:
            by = ", ".join(name for name, service in services.items() if key in {each.key for each in service.kernel})
            raise ValueError(
                f"{key} on {host}: {by} wants {wanted[key]}, {control} wants {value}; one of them must give way: "
                f"waive {control} for {host}, with a reason"
            )
    return dict(sorted(wanted.items()))


def resolve(services: Iterable[Service]) -> dict[str, int]:
    """One value for each sysctl these services want on one host."""
    services = list(services)
    wanted: dict[str, set[int]] = {}
    for service in services:
        for setting in service.kernel:
            wanted.setdefault(setting.key, set()).add(setting.value)
    resolved: dict[str, int | None] = {}
    for service in services:
        crowded = any(other.overcommits for other in services if other is not service)
        for setting in service.kernel:
            contested = len(wanted[setting.key]) > 1 or (setting.strict and crowded)
            resolved[setting.key] = setting.contested if contested else setting.value
    return {key: value for key, value in sorted(resolved.items()) if value is not None}
