"""What each service is: one file a service, found by being here.

A service's role says how it is set up (`roles/<service>/`, `meta/sitewright.yml`); its file here says what it claims of
its hosts, which settings follow from them, and how its health is asked for. Whoever needs that loops over
`known_services` and knows none by name. Ansible's filters read this in each of their processes: nothing here may
import what takes its time.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from installer.services.model import ALL_HOSTS, GroupRule, Service

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["GroupRule", "Service", "groups", "known_services", "services_of"]


@cache
def known_services() -> Mapping[str, Service]:
    """Every service by name: what the files of this folder call `SERVICE`."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__) if not found.ispkg)
    services = [module.SERVICE for module in modules if hasattr(module, "SERVICE")]
    return MappingProxyType({service.name: service for service in sorted(services, key=lambda each: each.name)})


@cache
def groups() -> Mapping[str, GroupRule]:
    """The roles a host can play, with what the site model demands of each: the groups of the services."""
    return MappingProxyType(
        {service.group: service.members for service in known_services().values() if service.group != ALL_HOSTS}
    )


def services_of(host_groups: Collection[str]) -> dict[str, Service]:
    """Services of a host that plays these groups, by name."""
    return {name: service for name, service in known_services().items() if service.group in (ALL_HOSTS, *host_groups)}
