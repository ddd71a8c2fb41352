"""The roles' own variables, as their argument specifications declare them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from installer.documents import nearest, read_document
from installer.documents import shown as told
from installer.site.forms import Fault
from installer.site.limits import Limit, limit_faults, read_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_TEMPLATE: Final = re.compile(r"\{\{|\{%|\{#")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_CHECKS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "str": ("text (put it in quotes)", lambda value: isinstance(value, str)),
    "path": ("a path", lambda value: isinstance(value, str)),
    "int": ("a whole number", _is_int),
    "float": ("a number", lambda value: isinstance(value, float) or _is_int(value)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "list": ("a list", lambda value: isinstance(value, list)),
    "dict": ("keys with values", lambda value: isinstance(value, dict)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One variable, or one key inside a variable.

    Attributes:
        kind: Ansible's type name; `raw` for anything.
        elements: Type of a list's items, or None.
        choices: Allowed values; empty for any.
        required: Whether a mapping without it is refused.
        default: Its value when nobody sets it.
        secret: Whether it belongs into the vault only.
        options: Keys of a mapping (or of a list's mappings); None for free ones.
        limit: Range or form of its value; None when its type says it all, or when it is not the operator's.
    """

    kind: str
    elements: str | None
    choices: tuple[Any, ...]
    required: bool
    default: Any
    secret: bool
    options: Mapping[str, Option] | None
    limit: Limit | None = None


_ANYTHING: Final = Option(
    kind="raw", elements=None, choices=(), required=False, default=None, secret=False, options=None
)


def read_role_variables(roles: Iterable[Path]) -> dict[str, Option]:
    """Every variable of these roles, by name.

    Raises:
        DocumentError: If a specification or a file of limits is not what it may be.
    """
    return {name: option for role in roles for name, option in _variables_of(role).items()}


@cache
def _variables_of(role: Path) -> Mapping[str, Option]:
    """The variables of a role; its files are the installer's own and read once per process."""
    path = role / "meta" / "argument_specs.yml"
    if not path.is_file():
        return {}
    specification = read_document(path, own=True).value or {}
    variables: dict[str, Option] = {}
    for entry in (specification.get("argument_specs") or {}).values():
        variables |= _options(entry.get("options") or {})
    for name, limit in read_limits(role).items():
        if name in variables:  # a test of the house refuses limits of variables that are not there
            variables[name] = _limited(variables[name], limit)
    return variables


def _limited(option: Option, limit: Limit | None) -> Option:
    """The option, and each key inside it, with its limit."""
    if limit is None or option.options is None or limit.options is None:
        return replace(option, limit=limit)
    inner = {name: _limited(key, limit.options.get(name)) for name, key in option.options.items()}
    return replace(option, limit=limit, options=inner)


def check_value(name: str, value: Any, variables: Mapping[str, Option], wired: Mapping[str, str]) -> list[Fault]:
    """Everything that is wrong with a role variable the operator has set.

    Args:
        name: The variable.
        value: What the operator wrote.
        variables: All variables of the roles.
        wired: Those that are not the operator's, each with the one that decides it, or empty.
    """
    option = variables.get(name)
    if option is None:
        guess = nearest(name, variables)
        fix = f"did you mean {guess}?" if guess else "the roles' variables are listed in docs/roles.md"
        return [Fault((), f"{name} is not known", fix)]
    if option.secret:
        fix = f"remove it; secrets are kept in the site's vault file as vault_{name}"
        return [Fault((), f"{name} is a secret", fix)]
    if name in wired:
        fix = f"set {wired[name]} instead" if wired[name] else "remove it; describe the site in hosts.yml and site.yml"
        return [Fault((), f"{name} follows from the site and is not set by hand", fix)]
    faults = list(_faults(name, value, option, ()))
    if faults or option.limit is None:
        return faults
    return list(limit_faults(name, value, option.limit))


def _options(raw: Mapping[str, Any]) -> dict[str, Option]:
    return {
        name: Option(
            kind=spec.get("type", "str"),
            elements=spec.get("elements"),
            choices=tuple(spec.get("choices") or ()),
            required=bool(spec.get("required")),
            default=spec.get("default"),
            secret=bool(spec.get("no_log")),
            options=_options(spec["options"]) if spec.get("options") else None,
        )
        for name, spec in raw.items()
    }


def _faults(name: str, value: Any, option: Option, keys: tuple[str | int, ...]) -> Iterator[Fault]:
    shown = ".".join([name, *(str(key) for key in keys)])
    if isinstance(value, str) and _TEMPLATE.search(value):
        yield Fault(keys, f"{shown} is a template", "write the value itself; a site's files hold plain values only")
        return
    wanted, fits = _CHECKS.get(option.kind, ("anything", lambda _value: True))
    if not fits(value):
        yield Fault(keys, f"{shown} is {told(value)}", f"allowed: {wanted}")
        return
    if option.choices and not isinstance(value, list) and value not in option.choices:
        yield Fault(keys, f"{shown} is {told(value)}", f"allowed: {', '.join(str(item) for item in option.choices)}")
        return
    if isinstance(value, list):
        item = replace(_ANYTHING, kind=option.elements or "raw", choices=option.choices, options=option.options)
        for index, element in enumerate(value):
            yield from _faults(name, element, item, (*keys, index))
    elif isinstance(value, dict):
        yield from _mapping_faults(name, value, option, keys)


def _mapping_faults(
    name: str, value: Mapping[str, Any], option: Option, keys: tuple[str | int, ...]
) -> Iterator[Fault]:
    for key, inner in value.items():
        if option.options is None:
            yield from _faults(name, inner, _ANYTHING, (*keys, key))
        elif key in option.options:
            yield from _faults(name, inner, option.options[key], (*keys, key))
        else:
            guess = nearest(key, option.options)
            fix = f"did you mean {guess}?" if guess else f"allowed here: {', '.join(sorted(option.options))}"
            yield Fault((*keys, key), f"{'.'.join([name, *map(str, keys), key])} is not known", fix)
    for key, inner_option in (option.options or {}).items():
        if inner_option.required and key not in value:
            missing = ".".join([name, *map(str, keys), key])
            yield Fault(keys, f"{missing} is missing", "it is required; add it")
