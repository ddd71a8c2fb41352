"""The range or form of each role variable, which a role says in `meta/limits.yml` beside its argument specification.

A limit is one of:

- `[16, 1024]`: a whole number in this range;
- `port`: a form of `installer.site.forms`; in a list, of each item;
- `{keys: word, values: plain}`: a mapping with free keys;
- `{options: {name: word}}`: a mapping (or a list of them) whose keys the argument specification names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from installer.documents import DocumentError, Problem, nearest, read_document, shown
from installer.site.forms import FORMS, Fault, Form, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from installer.documents import Document

LIMITS_FILE: Final = "meta/limits.yml"
# Beside the variables: what holds between them (installer.site.relations).
RELATIONS_KEY: Final = "relations"
_RANGE: Final = 2
# What of a list's mappings may not be there twice.
_IDENTITY: Final = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a value may be.

    Attributes:
        form: Of the value itself, or of each item of a list.
        keys: Form of a mapping's keys.
        values: Limit of a mapping's values.
        options: Limits of a mapping's values, by key.
    """

    form: Form | None = None
    keys: Form | None = None
    values: Limit | None = None
    options: Mapping[str, Limit] | None = None

    @property
    def words(self) -> str:
        """What is allowed, for a page or the end of a sentence; empty when the keys say it themselves."""
        if self.form is not None:
            return self.form.words
        if self.keys is not None and self.values is not None:
            return f"keys: {self.keys.words}; values: {self.values.words}"
        return ""


def read_limits(role: Path) -> dict[str, Limit]:
    """The limits of a role's variables, by name; none when the role has no such file.

    Raises:
        DocumentError: If the file is not what it may be.
    """
    document = limits_document(role)
    if document is None:
        return {}
    said = document.value or {}
    return {name: _limit(document, (name,), raw) for name, raw in said.items() if name != RELATIONS_KEY}


@cache
def limits_document(role: Path) -> Document | None:
    """What a role says of the limits of its variables; read once per process.

    Raises:
        DocumentError: If the file is not YAML.
    """
    path = role / LIMITS_FILE
    return read_document(path, own=True) if path.is_file() else None


def _limit(document: Document, keys: tuple[str, ...], raw: Any) -> Limit:
    match raw:
        case str():
            return Limit(form=_form(document, keys, raw))
        case [int() as least, int() as most] if least < most:
            return Limit(form=whole_number(least, most))
        case {"keys": str() as key_form, "values": values, **other} if not other:
            return Limit(
                keys=_form(document, (*keys, "keys"), key_form), values=_limit(document, (*keys, "values"), values)
            )
        case {"options": dict() as options, **other} if not other:
            inner = {name: _limit(document, (*keys, "options", name), said) for name, said in options.items()}
            return Limit(options=inner)
    raise _refusal(document, keys, f"{'.'.join(keys)} is {shown(raw)}", f"see {__name__}")


def _form(document: Document, keys: tuple[str, ...], name: str) -> Form:
    if name in FORMS:
        return FORMS[name]
    guess = nearest(name, FORMS)
    fix = f"did you mean {guess}?" if guess else f"known forms: {', '.join(FORMS)}"
    raise _refusal(document, keys, f"there is no form {name}", fix)


def _refusal(document: Document, keys: Sequence[str], what: str, fix: str) -> DocumentError:
    return DocumentError([Problem(str(document.at(*keys)), what, fix)])


def limit_faults(name: str, value: Any, limit: Limit, keys: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    """Everything in a value of the right type that is outside of its limit.

    Args:
        name: The variable.
        value: Its value, or a part of it.
        limit: What the value may be.
        keys: Where the part is.
    """
    if limit.form is FORMS["tree"] or not isinstance(value, (list, dict)):
        if limit.form is not None and not limit.form.fits(value):
            yield Fault(keys, f"{_path(name, keys)} is {shown(value)}", f"allowed: {limit.form.words}")
    elif isinstance(value, list):
        yield from _repeated(name, value, keys)
        for index, item in enumerate(value):
            yield from limit_faults(name, item, limit, (*keys, index))
    elif limit.form is not None:
        yield Fault(keys, f"{_path(name, keys)} is {shown(value)}", f"allowed: {limit.form.words}")
    else:
        for key, inner in value.items():
            if limit.keys is not None and not limit.keys.fits(key):
                yield Fault(
                    (*keys, key), f"{_path(name, keys)} has the key {shown(key)}", f"allowed: {limit.keys.words}"
                )
            below = limit.values or (limit.options or {}).get(key)
            if below is not None:
                yield from limit_faults(name, inner, below, (*keys, key))


def _repeated(name: str, items: Sequence[Any], keys: tuple[str | int, ...]) -> Iterator[Fault]:
    """Items of a list that are there already, by their name if they have one."""
    seen = set()
    for index, item in enumerate(items):
        own = item.get(_IDENTITY) if isinstance(item, dict) else item
        if not isinstance(own, (str, int)):
            continue
        if own in seen:
            yield Fault((*keys, index), f"{_path(name, keys)} has {shown(own)} twice", "keep one of the two")
        seen.add(own)


def _path(name: str, keys: tuple[str | int, ...]) -> str:
    return ".".join([name, *map(str, keys)])
