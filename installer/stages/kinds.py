"""The kinds of operations that change a site, and what one may do while another is not finished.

Every operation with stages writes into the one journal of its site. Whether it may begin is decided here and nowhere
else, out of two things: which operation is not finished, and which kind is wanted.

| not finished | wanted | rule |
|---|---|---|
| none | any | begins |
| the same kind, same inputs | | resumes |
| the same kind, other inputs | | refused; with `--start-over` it begins anew |
| another kind that the wanted one names in `replaces` | | begins; the other is abandoned |
| another kind that it names in `overrules` | | refused; with `--start-over` it begins, the other is abandoned |
| any other kind | | refused, with the command that finishes the other |

A kind may also say what may have changed since the site was last verified (`Kind.changes`); then it begins only on a
site that an earlier operation brought to its end, and is refused, with what changed, when anything else did.

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
        overrules: As `replaces`, but only with `--start-over`: kinds that leave a site, wherever they stop, that this
            one goes on with. It is the way out when such an operation cannot be finished as it was begun.
        changes: Inputs, by id, that may have changed since the site was last verified, because this kind of operation
            brings the site to them; None when all may have, as for an install, which needs no verified site either.
    """

    name: str
    replaces: frozenset[str] = frozenset()
    overrules: frozenset[str] = frozenset()
    changes: frozenset[str] | None = None


CERTIFICATE_ROTATION: Final = Kind(name="certificate-rotation", changes=frozenset())
SECRET_ROTATION: Final = Kind(name="secret-rotation", changes=frozenset({"secrets"}))
# Half of the certificates new is as good as all of them, or none.
INSTALL: Final = Kind(name="install", overrules=frozenset({CERTIFICATE_ROTATION.name}))
# A new kind of operation is named here; its rules follow.
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (INSTALL, CERTIFICATE_ROTATION, SECRET_ROTATION)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An operation that somebody asks for.

    Attributes:
        kind: Its kind.
        inputs: What it would depend on.
        command: The command line, without `--start-over`.
        install: The command line of an install of the same site.
        start_over: Do not resume, go through all stages again.
    """

    kind: Kind
    inputs: Mapping[str, Input]
    command: str
    install: str = "./install --inventory SITE"
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


def decide(
    unfinished: Operation | None,
    wanted: Wanted,
    *,
    verified: Operation | None = None,
    kinds: Mapping[str, Kind] = KINDS,
) -> Decision:
    """Apply the rules above.

    Args:
        unfinished: The site's operation that is not finished, if there is one.
        wanted: What is asked for.
        verified: The operation that brought the site to what it is, and was verified (`Journal.verified`).
        kinds: All kinds this release knows.

    Raises:
        ConfigurationError: If the wanted operation may not run now; with the reason and what to do.
    """
    if unfinished is None:
        _require_verified(verified, wanted)
        return Decision()
    if unfinished.kind == wanted.kind.name:
        return _same_kind(unfinished, wanted, verified)
    overruled = unfinished.kind in wanted.kind.overrules
    if unfinished.kind in wanted.kind.replaces or (overruled and wanted.start_over):
        _require_verified(verified, wanted)
        return Decision(abandon=unfinished)
    command = unfinished.begun_with.command
    known = unfinished.kind in kinds
    or_else = f", or put an end to it: {wanted.command} --start-over" if overruled else ""
    raise ConfigurationError(
        f"{describe(unfinished)} is not finished; {wanted.kind.name} has to wait for it",
        hint=f"finish it with: {command}{or_else}"
        if known
        else f"this release knows no {unfinished.kind}; finish it with"
        f" release {unfinished.begun_with.release or 'of Sitewright that began it'}: {command}",
    )


def _require_verified(verified: Operation | None, wanted: Wanted) -> None:
    """Refuse what works on a verified site alone, and brings it to no other inputs than its own."""
    kind = wanted.kind
    if kind.changes is None:
        return
    if verified is None:
        raise ConfigurationError(
            f"{kind.name} works on a site that was installed and verified from here, which this one was not",
            hint=f"install it first: {wanted.install}",
        )
    if changes := verified.changed_inputs(wanted.inputs, but=kind.changes):
        raise ConfigurationError(
            f"since {describe(verified)} changed what {kind.name} does not bring to the site: {'; '.join(changes)}",
            hint=f"put it back as it was, or bring the site to it first: {wanted.install}",
        )


def _same_kind(unfinished: Operation, wanted: Wanted, verified: Operation | None) -> Decision:
    if wanted.start_over:
        _require_verified(verified, wanted)
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
