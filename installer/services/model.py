"""What a service is: the words its file is written in."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from installer.report import CheckResult
    from installer.services.health.subject import Subject

    Check: TypeAlias = Callable[[Subject], list[CheckResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A question to a running service that changes nothing; `verify` and `status` ask it.

    Attributes:
        name: First part of the ids of its results: `cache` for `cache.master`.
        module: Where its function `check` is. Imported when it is asked, because clients of databases and brokers
            take their time to import and Ansible's filters read the services as well.
    """

    name: str
    module: str

    def load(self) -> Check:
        """The function that asks."""
        check: Check = import_module(self.module).check
        return check


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything the house must know of a service that is not its role's.

    Attributes:
        name: Name of the service.
        group: Inventory group whose hosts run it, or `all`.
        health: What `verify` and `status` ask it.
    """

    name: str
    group: str
    health: tuple[HealthCheck, ...] = ()
