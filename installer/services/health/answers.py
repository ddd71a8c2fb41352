"""One host that does not answer is one failed check, in words that name it; the others are asked all the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from installer.report import CheckResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from installer.services.health.subject import Host

    Ask = Callable[[Host], list[CheckResult]]

_AT_ONCE: Final = 8
_LONGEST: Final = 300


def of_each(hosts: Sequence[Host], ask: Ask, *, name: str, port: int, unit: str) -> list[CheckResult]:
    """Ask each host by itself, some at a time; a host that gives no answer is a failed check of its own.

    Args:
        hosts: The hosts.
        ask: Asks one of them.
        name: First part of the check's id: `etcd` for `etcd.answers`.
        port: Where the service listens, 0 when it is SSH that is asked through.
        unit: The service's unit, whose journal tells why; empty when it is none.
    """

    def guarded(host: Host) -> list[CheckResult]:
        try:
            return ask(host)
        except Exception as error:  # each client raises its own kinds; all of them are a failed check, in its words
            return [no_answer(host, error, name=name, port=port, unit=unit)]

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return [result for found in pool.map(guarded, hosts) for result in found]


def no_answer(host: Host, error: Exception, *, name: str, port: int, unit: str) -> CheckResult:
    """A host that gave none."""
    where = f"{host.address}:{port}" if port else f"ssh to {host.address}"
    return CheckResult(
        check=f"{name}.answers",
        host=host.name,
        measured=f"no answer from {host.name}, {where}: {in_words(error)}",
        wanted="an answer",
        verdict=Verdict.FAILED,
        fix=f"when {host.name} is off, start it; else "
        + (f"see there: systemctl status {unit}, journalctl -u {unit}" if unit else "log in by hand"),
    )


def in_words(error: BaseException) -> str:
    """What an exception says, without the wrapping that clients put around the cause."""
    # urllib3 wraps what happened in a retry's exhaustion, and names it `reason`.
    cause = getattr(error, "reason", None)
    if isinstance(cause, BaseException):
        return in_words(cause)
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rpartition(">: ")[2][:_LONGEST]
