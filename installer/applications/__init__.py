"""What an application is: `payloads/<name>/application.yml`, read and checked.

An application is data. It says which payload packages run where, what it needs of the engine, the broker and the
cache, and how it is proven; the rest of the house loops over what the site's applications say and knows none by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from installer.applications.schema import Application, check
from installer.documents import DocumentError, Problem, read_document

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_applications"]

APPLICATION_FILE: Final = "application.yml"


def load_applications(root: Path) -> dict[str, Application]:
    """Every application of a checkout, by name.

    Args:
        root: The checkout.

    Raises:
        DocumentError: With everything that is wrong in any of them.
    """
    found: dict[str, Application] = {}
    problems: list[Problem] = []
    for path in sorted((root / "payloads").glob(f"*/{APPLICATION_FILE}")):
        try:
            application = check(read_document(path))
        except DocumentError as error:
            problems += error.problems
            continue
        if application.application != path.parent.name:
            what = f"application is {application.application!r}"
            problems.append(Problem(str(path), what, f"name it like its folder: {path.parent.name}"))
        found[application.application] = application
    if problems:
        raise DocumentError(problems)
    return found
