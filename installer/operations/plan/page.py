"""A plan as one HTML file without anything from elsewhere, and its JSON twin."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from installer.controller.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from installer.operations.plan.model import Plan


def render(plan: Plan) -> str:
    """The plan as one self-contained page; everything in it is escaped."""
    environment = Environment(
        loader=PackageLoader("installer.operations.plan", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("plan.html.j2").render(plan=plan)


def write(plan: Plan, folder: Path) -> Path:
    """Write `plan.html` and `plan.json` with the same facts; only their owner may read them.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    page = folder / "plan.html"
    document = json.dumps(plan.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(folder / "plan.json", document.encode(), mode=0o600)
    write_atomically(page, render(plan).encode(), mode=0o600)
    return page
