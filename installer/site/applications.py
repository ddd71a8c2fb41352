"""Which applications a site runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.applications import load_applications
from installer.documents import nearest
from installer.site.inventory import SITE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from installer.documents import Document
    from installer.site.inventory import Inventory

_KEY: Final = "applications"


def choose_applications(
    inventory: Inventory, document: Document, named: Sequence[str], roles: Iterable[Path]
) -> dict[str, dict[str, Any]]:
    """What the applications a site names say about themselves, plain, by name; problems go to the inventory.

    Args:
        inventory: Takes the problems.
        document: The file that describes the site.
        named: Names the operator gave.
        roles: The folders of roles; a checkout's applications are beside its roles.

    Raises:
        DocumentError: If an application of the checkout is not what it may be.
    """
    known = {name: found for folder in roles for name, found in load_applications(folder.parent).items()}
    chosen: dict[str, dict[str, Any]] = {}
    if known and not named:
        fix = f"name what the site runs, for example {_KEY}: [{next(iter(known))}]"
        inventory.report(document.at(SITE_KEY), f"{SITE_KEY}.{_KEY} is missing", fix)
    groups: dict[str, str] = {}
    for index, name in enumerate(named):
        source = document.at(SITE_KEY, _KEY, index)
        if name not in known:
            guess = nearest(name, known)
            fix = f"did you mean {guess}?" if guess else f"known applications: {', '.join(known)}"
            inventory.report(source, f"there is no application {name}", fix)
            continue
        if name in chosen:
            inventory.report(source, f"{name} is named twice", "keep one of the two")
        for process in known[name].processes.values():
            first = groups.setdefault(process.group, name)
            if first != name:
                what = f"{name} and {first} both run processes on the hosts of {process.group}"
                inventory.report(source, what, "name one of the two; a group runs the processes of one application")
        chosen[name] = known[name].resolved()
    return chosen
