"""The readable twin of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.operations import pages

if TYPE_CHECKING:
    from pathlib import Path

    from installer.operations.plan.model import Plan


def render(plan: Plan) -> str:
    """The plan as a page."""
    return pages.render(__package__, "plan.html.j2", plan=plan)


def write(plan: Plan, folder: Path) -> Path:
    """Write `plan.html` and `plan.json`; only their owner may read them.

    Returns:
        The page.
    """
    _, page = pages.write(folder, "plan", page=render(plan), document=plan.to_json(), mode=0o600)
    return page
