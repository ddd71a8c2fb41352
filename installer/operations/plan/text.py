"""A plan as an operator reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from installer.operations.plan.model import Change, Plan

_MOST_LINES: Final = 16
_INDENT: Final = " " * 14


def lines_of(plan: Plan) -> Iterator[str]:
    """The plan line by line; long differences are cut, the page has them whole."""
    group: tuple[str, tuple[str, ...]] | None = None
    for change in plan.changes:
        if group != (change.stage, change.hosts):
            group = (change.stage, change.hosts)
            yield f"{change.stage} on {' '.join(change.hosts)}"
        yield from _change(change)
    for heading, found in (("interrupted", plan.interrupted), ("not interrupted", plan.unnoticed)):
        if found:
            yield f"{heading}:"
        for one in found:
            yield f"  {one.title}"
            yield f"    because of {', '.join(one.why)}"
    yield from plan.kept
    for stage in plan.unknown:
        yield f"not known: what stage {stage} would change, because it could not be tried"


def _change(change: Change) -> Iterator[str]:
    yield f"  {change.kind:<11} {change.title}"
    if change.note == "new":
        return  # a bare host would fill pages
    shown = change.lines[:_MOST_LINES]
    yield from (f"{_INDENT}{line}" for line in shown)
    if len(change.lines) > len(shown):
        yield f"{_INDENT}... and {len(change.lines) - len(shown)} more lines, on the page"
