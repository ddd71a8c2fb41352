"""A plan leaves nothing out: modules whose tasks hide their result tell what they would change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "sitewright.platform."


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All tasks of a file, those in blocks included."""
    for entry in entries:
        yield entry
        for key in ("block", "rescue", "always"):
            yield from tasks(entry.get(key) or [])


def hiding_modules() -> list[str]:
    """Our modules that a role uses in a task with no_log."""
    found = set()
    for path in ROOT.glob("roles/*/tasks/*.yml"):
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8")) or []):
            if "no_log" in task:
                found |= {key.removeprefix(COLLECTION) for key in task if key.startswith(COLLECTION)}
    return sorted(found)


def test_there_are_such_modules() -> None:
    assert {"config_files", "postgresql_objects", "rabbitmq_definitions"} <= set(hiding_modules())


@pytest.mark.parametrize("name", hiding_modules())
def test_a_module_whose_result_is_hidden_tells_the_plan_what_it_would_change(name: str) -> None:
    source = (ROOT / "plugins" / "modules" / f"{name}.py").read_text(encoding="utf-8")
    changes_something = re.search(r"changed=(?!False)", source) is not None
    assert not changes_something or re.search(r'told\(|"plan":', source), f"{name} returns no `plan`"
