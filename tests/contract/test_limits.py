"""Every value an operator may set has a range or form, and every default is one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from installer.documents import read_document
from installer.manifests import load_manifests
from installer.site.forms import FORMS
from installer.site.limits import LIMITS_FILE, RELATIONS_KEY, limit_faults
from installer.site.relations import read_relations
from installer.site.role_variables import read_role_variables
from installer.site.shared import wired_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from installer.site.relations import read_relations
from installer.site.role_variables import Option

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted((ROOT / "roles").iterdir())
VARIABLES = read_role_variables(ROLES)
WIRED = wired_variables(ROOT, load_manifests(ROOT))
SAYS_ALL = "bool"  # a type with no range


def _unlimited(name: str, option: Option) -> Iterator[str]:
    """What of a variable has neither choices nor a limit, by its path."""
    if option.options is not None:
        for key, inner in option.options.items():
            yield from _unlimited(f"{name}.{key}", inner)
    elif option.kind != SAYS_ALL and not option.choices and option.limit is None:
        yield name


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_of_the_operator_has_a_range_or_form(name: str) -> None:
    if name in WIRED or VARIABLES[name].secret:
        return  # it cannot be set
    missing = list(_unlimited(name, VARIABLES[name]))
    assert missing == [], f"say what is allowed in roles/<role>/{LIMITS_FILE}"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_limits_speak_of_variables_the_role_has_and_may_be_given(role: Path) -> None:
    own = read_role_variables([role])
    said = read_document(role / LIMITS_FILE).value or {}
    for relation in said.pop(RELATIONS_KEY, []):
        assert {"smaller", "larger"} <= relation.keys() <= {"smaller", "larger", "strictly"}
        for name, factor in {**relation["smaller"], **relation["larger"]}.items():
            assert own[name].kind == "int", name
            assert factor >= 1
    assert said.keys() <= own.keys()
    assert not said.keys() & WIRED.keys(), "these follow from the site"
    for name, limit in said.items():
        if isinstance(limit, dict) and "options" in limit:
            assert limit["options"].keys() <= (own[name].options or {}).keys(), name


@pytest.mark.parametrize("name", [name for name, option in VARIABLES.items() if option.limit is not None])
def test_a_default_is_within_its_limit(name: str) -> None:
    option = VARIABLES[name]
    assert option.limit is not None
    if option.default is None or "{{" in str(option.default):
        return  # required, or decided by the site
    assert list(limit_faults(name, option.default, option.limit)) == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_of_a_role_work_together(role: Path) -> None:
    for relation in read_relations(role):
        smaller, larger = (
            sum(
                factor * VARIABLES[name].default
                for name, factor in terms.items()
                if VARIABLES[name].default is not None
            )
            for terms in (relation.smaller, relation.larger)
        )
        assert smaller < larger or (smaller == larger and not relation.strictly), relation.words


def test_every_form_is_used() -> None:
    used = "".join((role / LIMITS_FILE).read_text() for role in ROLES)
    used += "".join(path.read_text() for path in sorted((ROOT / "installer" / "site").glob("*.py")))
    unused = [name for name in FORMS if f": {name}" not in used and f'FORMS["{name}"]' not in used]
    assert unused == []
