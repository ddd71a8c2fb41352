"""The readable twin of a report: one HTML file without anything from elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from installer.report.model import Report

_TEMPLATE: Final = "report.html.j2"


def render(report: Report) -> str:
    """The report as one self-contained HTML page; everything in it is escaped."""
    environment = Environment(
        loader=PackageLoader("installer.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(report=report, counts=report.counts())


def write(report: Report, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write `<stem>.json` and `<stem>.html` with the same facts, each whole or not at all.

    Returns:
        The two files.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    data = folder / f"{stem}.json"
    page = folder / f"{stem}.html"
    _replace(data, json.dumps(report.to_json(), indent=2, sort_keys=True) + "\n")
    _replace(page, render(report))
    return data, page


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    Path(name).chmod(0o640)
    Path(name).replace(path)
