"""What every part of an audit is made of: what a host's probe is told, and what is made of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from installer.report import CheckResult
    from installer.services.health.subject import Host, Subject


class UnreadableError(Exception):
    """What a program said cannot be understood; that is no pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """What the bundle gives an audit.

    Attributes:
        archive: The auditors' programs as a compressed archive.
        versions: Their versions by name.
        security: Newest version of each package in Debian's security suite when the bundle was built.
        security_date: The date of that suite; None when the bundle was built without one.
    """

    archive: bytes = field(repr=False)
    versions: Mapping[str, str]
    security: Mapping[str, str] = field(repr=False)
    security_date: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of one host.

    Attributes:
        subject: The site.
        host: The host.
        bundled: What the bundle gives.
    """

    subject: Subject
    host: Host
    bundled: Bundled


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an audit.

    Attributes:
        name: Its name, the second half of its checks' ids: `ssh` for `audit.ssh`.
        checks: What each of its checks makes sure of, by the id without `audit.`.
        order: What the host's probe is told; None when there is nothing to ask that host.
        judge: Results from the probe's answer; raises `UnreadableError` when it cannot be understood.
        seconds: Longest one host may take for the order.
        heavy: It keeps a core busy, so not more hosts at a time than there are cores where hosts share them.
    """

    name: str
    checks: Mapping[str, str]
    order: Callable[[Question], Mapping[str, Any] | None]
    judge: Callable[[Question, Mapping[str, Any]], list[CheckResult]]
    seconds: Callable[[Mapping[str, Any]], float]
    heavy: bool = False


def jobs(**each: Mapping[str, Any]) -> dict[str, Any]:
    """An order to run programs one after the other."""
    return {"do": "run", "jobs": {name: dict(job) for name, job in each.items()}}


def longest(order: Mapping[str, Any]) -> float:
    """Seconds after which all programs of an order have been ended, with some for the way."""
    return 30.0 + sum(float(job["seconds"]) for job in order["jobs"].values())


def said(answer: Mapping[str, Any], job: str, *, codes: tuple[int, ...] = (0,)) -> str:
    """What a program printed.

    Raises:
        UnreadableError: If it did not run, was ended, or ended with another code.
    """
    ended = answer.get(job)
    if not isinstance(ended, dict):
        raise UnreadableError(f"{job} was not run")
    if ended["code"] not in codes:
        complaint = " ".join((ended["err"] or ended["out"]).split())[-300:]
        raise UnreadableError(f"{job} ended with {ended['code']}: {complaint}")
    return str(ended["out"])
