"""What a service is: the words its file is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from installer.report import CheckResult
    from installer.services.allocation import Allocation, MemoryClaim
    from installer.services.health.subject import Subject

    Check: TypeAlias = Callable[[Subject], list[CheckResult]]

ALL_HOSTS: Final = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """What the site model demands of an inventory group.

    Attributes:
        required: The platform cannot run without a host in it.
        voters: Its hosts vote, so their number must be odd.
        at_most: Most hosts it may have; None for any number.
    """

    required: bool = True
    voters: bool = False
    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionClaim:
    """Connections each host of a service may hold open to another service.

    Attributes:
        to: Name of that service.
        variable: Role variable with the pool of one host, which an operator may set.
        per_host: Most the tuned pool of one host grows to; the other service plans with it, so that a pool that
            grows restarts nothing.
    """

    to: str
    variable: str
    per_host: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSetting:
    """A sysctl a service wants of its hosts.

    Attributes:
        key: The sysctl.
        value: What the service wants.
        contested: What takes its place where a neighbour wants another value, or where `strict` says so;
            None leaves the kernel's own.
        strict: Not beside a neighbour that reserves more address space than it uses (`Service.overcommits`).
    """

    key: str
    value: int
    contested: int | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedSetting:
    """One number with the reason for it."""

    name: str
    value: str | int | bool
    formula: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A host as a service's settings are worked out for it.

    Attributes:
        site: The resolved site.
        host: Short name of the host.
        allocate: What each service gets of a host, from the host's name and its memory in MB.
        facts: What the wiring tells besides; each service says in its file what it reads.
    """

    site: Mapping[str, Any]
    host: str
    allocate: Callable[[str, int], Allocation]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallStage:
    """The stage of an install that sets a service up, with the playbook `playbooks/install-<name>.yml`.

    Attributes:
        name: Name of the stage.
        needs: Stages that must be done before.
        seconds: About how long it takes the first time; of the stages that could come next, the one that most seconds
            have to wait for begins first.
    """

    name: str
    needs: tuple[str, ...]
    seconds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is noticed of a restart or a reload.

    Attributes:
        effect: What users notice.
        seconds: About how long; 0 for not at all.
    """

    effect: str
    seconds: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A systemd unit of a service, and what is noticed when it restarts or reloads.

    Attributes:
        name: Its name, as a regular expression that must match the whole of it.
        called: What an operator calls it.
        restart: Noticed of a restart of all hosts, one after the other.
        alone: Noticed of a restart when only one host runs the service.
        reload: Noticed of a reload.
        within: Noticed of what a module does to the service while the unit goes on running, by the module's word.
    """

    name: str
    called: str
    restart: Act
    alone: Act
    reload: Act = Act(effect="nothing is interrupted")
    within: Mapping[str, Act] = field(default_factory=dict)


UNNOTICED: Final = Act(effect="no user notices")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """A question to a running service that changes nothing; `verify` and `status` ask it.

    Attributes:
        name: First part of the ids of its results: `cache` for `cache.master`.
        module: Where its function `check` is. Imported when it is asked, because clients of databases and brokers
            take their time to import and Ansible's filters read the services as well.
        checks: What each of its results makes sure of, by the last part of its id: `master` for `cache.master`.
    """

    name: str
    module: str
    checks: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> Check:
        """The function that asks."""
        check: Check = import_module(self.module).check
        return check


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number worth watching, where the service tells it, and what it warns of."""

    name: str
    source: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything the house must know of a service that is not its role's.

    Attributes:
        name: Name of the service.
        purpose: What it is, in a few words for an operator.
        group: Inventory group whose hosts run it, or `all`.
        members: What the site model demands of that group.
        stage: The stage of an install that sets it up, if it has one of its own.
        units: Its systemd units; the plan says of each what its restart interrupts.
        memory: What it wants of its host's memory.
        large: Its hosts are held to the large thresholds of preflight: cores, memory, disk.
        overcommits: It reserves more address space than it uses (a Java or Erlang machine, a fork), so the kernel
            must not count strictly.
        connections: Connections its hosts hold open to other services.
        settings: The settings that follow from the host.
        example: Facts for which the documentation shows these settings.
        kernel: Sysctls it wants.
        health: What `verify` and `status` ask it.
        metrics: What is worth watching.
    """

    name: str
    purpose: str
    group: str
    members: GroupRule = field(default_factory=GroupRule)
    stage: InstallStage | None = None
    units: tuple[Unit, ...] = ()
    memory: MemoryClaim
    large: bool = False
    overcommits: bool = False
    connections: tuple[ConnectionClaim, ...] = ()
    settings: Callable[[Situation], tuple[TunedSetting, ...]] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    kernel: tuple[KernelSetting, ...] = ()
    health: tuple[HealthCheck, ...] = ()
    metrics: tuple[Metric, ...] = ()
