"""The kinds of operations that change a site, and what one may do while another is not finished.

Every operation with stages writes into the one journal of its site. Whether it may begin is decided here and nowhere
else, out of two things: which operation is not finished, and which kind is wanted.

| not finished | wanted | rule |
|---|---|---|
| none | any | begins |
| the same kind, same inputs | | resumes |
| the same kind, other inputs | | refused; with `--start-over` it begins anew |
| another kind that the wanted one names in `replaces` | | begins; the other is abandoned |
| any other kind | | refused, with the command that finishes the other |

Read-only verbs (`plan`, `preflight`, `status`, `verify`) always run; they say what is not finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.stages.journal import Input, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of operation.

    Attributes:
        name: As on record and in talk: `install`.
        replaces: Kinds that it puts an end to when they are not finished, such as an upgrade that is rolled back.
    """

    name: str
    replaces: frozenset[str] = frozenset()


INSTALL: Final = Kind(name="install")
# A new kind of operation is named here; its rules follow.
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (INSTALL,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An operation that somebody asks for.

    Attributes:
        kind: Its kind.
        inputs: What it would depend on.
        command: The command line, without `--start-over`.
        start_over: Do not resume, go through all stages again.
    """

    kind: Kind
    inputs: Mapping[str, Input]
    command: str
    start_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done with the operation that is not finished.

    Attributes:
        resume: The operation to go on with, or None to begin a new one.
        abandon: The operation that the new one puts an end to.
    """

    resume: Operation | None = None
    abandon: Operation | None = None


def decide(unfinished: Operation | None, wanted: Wanted, *, kinds: Mapping[str, Kind] = KINDS) -> Decision:
    """Apply the rules above.

    Args:
        unfinished: The site's operation that is not finished, if there is one.
        wanted: What is asked for.
        kinds: All kinds this release knows.

    Raises:
        ConfigurationError: If the wanted operation may not run now; with the reason and what to do.
    """
    if unfinished is None:
        return Decision()
    if unfinished.kind == wanted.kind.name:
        return _same_kind(unfinished, wanted)
    if unfinished.kind in wanted.kind.replaces:
        return Decision(abandon=unfinished)
    command = unfinished.begun_with.command
    known = unfinished.kind in kinds
    raise ConfigurationError(
        f"{describe(unfinished)} is not finished; {wanted.kind.name} has to wait for it",
        hint=f"finish it with: {command}"
        if known
        else f"this release knows no {unfinished.kind}; finish it with"
        f" release {unfinished.begun_with.release or 'of Sitewright that began it'}: {command}",
    )


def _same_kind(unfinished: Operation, wanted: Wanted) -> Decision:
    if wanted.start_over:
        return Decision(abandon=unfinished)
    changes = unfinished.changed_inputs(wanted.inputs)
    if changes:
        raise ConfigurationError(
            f"{describe(unfinished)} is not finished, and since then changed: {'; '.join(changes)}",
            hint=f"put it back as it was, or go through all stages again: {wanted.command} --start-over",
        )
    return Decision(resume=unfinished)


def describe(operation: Operation) -> str:
    """An operation in talk: which kind, begun when."""
    by = f" by release {operation.begun_with.release}" if operation.begun_with.release else ""
    return f"the {operation.kind} begun {operation.started:%Y-%m-%d %H:%M} UTC{by}"


def notice(unfinished: Operation | None) -> str:
    """One line about what is not finished, for those who only look; empty when all is."""
    if unfinished is None:
        return ""
    done, planned = len(unfinished.done_stages), len(unfinished.planned)
    return (
        f"{describe(unfinished)} is not finished ({done} of {planned} stages done);"
        f" resume it with: {unfinished.begun_with.command}"
    )
