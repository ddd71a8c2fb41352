"""What an operator keeps: one HTML file without anything from elsewhere, and its JSON twin with the same facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from installer.controller.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def render(package: str, template: str, **facts: Any) -> str:
    """A page of a package's folder `templates`; everything in it is escaped."""
    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**facts)


def write(folder: Path, stem: str, *, page: str, document: Mapping[str, Any], mode: int) -> tuple[Path, Path]:
    """Write `<stem>.json` and `<stem>.html`, each whole or not at all.

    Returns:
        The two files.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    data, html = folder / f"{stem}.json", folder / f"{stem}.html"
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(data, text.encode(), mode=mode)
    write_atomically(html, page.encode(), mode=mode)
    return data, html
