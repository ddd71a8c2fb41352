"""The readable twin of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.operations import pages

if TYPE_CHECKING:
    from pathlib import Path

    from installer.report import Report


def render(report: Report) -> str:
    """The report as a page."""
    return pages.render(__package__, "report.html.j2", report=report, counts=report.counts())


def write(report: Report, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write `<stem>.json` and `<stem>.html`; their owner's group may read them.

    Returns:
        The two files.
    """
    return pages.write(folder, stem, page=render(report), document=report.to_json(), mode=0o640)
