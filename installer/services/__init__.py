"""What each service is: one file a service, found by being here."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from installer.services.model import HealthCheck, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HealthCheck", "Service", "known_services"]


@cache
def known_services() -> Mapping[str, Service]:
    """Every service by name: what the files of this folder call `SERVICE`. A new service adds its file."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__) if not found.ispkg)
    services = [module.SERVICE for module in modules if hasattr(module, "SERVICE")]
    return MappingProxyType({service.name: service for service in sorted(services, key=lambda each: each.name)})
