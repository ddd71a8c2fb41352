"""Check a document against a model; apart from reading, because pydantic takes its time to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from installer.documents import Document, DocumentError, KeyPath, Problem, nearest, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

Model = TypeVar("Model", bound=BaseModel)

_REFUSAL: Final = "refusal"
_TYPE_NAMES: Final = {
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "date_type": "a date like 2027-01-31",
    "date_from_datetime_parsing": "a date like 2027-01-31",
}


def refusal(what: str, fix: str) -> PydanticCustomError:
    """The error a model's own validator raises; `what` continues a sentence that begins with the key."""
    return PydanticCustomError(_REFUSAL, "{what}; {fix}", {"what": what, "fix": fix})


def validate(model: type[Model], document: Document, *, at: Sequence[str | int] = ()) -> Model:
    """Check a part of a document against its model.

    Raises:
        DocumentError: With a problem for each value that does not fit.
    """
    value = document.value
    for key in at:
        value = value[key]
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [_translate(model, document, (*at,), detail) for detail in error.errors()]
        raise DocumentError(problems) from error


def _translate(model: type[BaseModel], document: Document, at: KeyPath, detail: Any) -> Problem:
    """One finding of pydantic in words for the operator."""
    location = tuple(part for part in detail["loc"] if part != "[key]")
    keys = (*at, *location)
    name = ".".join(str(key) for key in keys) or "the file"
    where = str(document.at(*keys))
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(_fields_at(model, location[:-1]))
        guess = nearest(str(location[-1]), known)
        fix = f"did you mean {guess}?" if guess else f"allowed here: {', '.join(known)}"
        return Problem(where, f"{name} is not known", fix)
    if kind == "missing":
        return Problem(where, f"{name} is missing", "it is required; add it")
    if kind == "literal_error":
        return Problem(where, f"{name} is {shown(detail['input'])}", f"allowed: {context['expected']}")
    if kind in _TYPE_NAMES:
        what = f"{name} is {shown(detail['input'])}"
        return Problem(where, what, f"allowed: {_TYPE_NAMES[kind]}")
    if kind == _REFUSAL:
        return Problem(where, f"{name} {context['what']}", context["fix"])
    return Problem(where, f"{name} is {shown(detail['input'])}", f"allowed: {_lowered(detail['msg'])}")


def _lowered(message: str) -> str:
    """Pydantic's words for a bound or a pattern, as the end of a sentence."""
    return message.removeprefix("Input should be ").removeprefix("String should ").removeprefix("List should ")


def _fields_at(model: type[BaseModel], location: KeyPath) -> set[str]:
    """The keys a model knows at a place inside it."""
    fields: Any = model
    for part in location:
        if isinstance(fields, type) and issubclass(fields, BaseModel):
            by_name = {info.alias or name: info.annotation for name, info in fields.model_fields.items()}
            fields = by_name.get(str(part))
        else:
            inner = [arg for arg in getattr(fields, "__args__", ()) if arg is not str]
            fields = inner[0] if inner else None
        while not isinstance(fields, type) and type(None) in getattr(fields, "__args__", ()):
            fields = next(arg for arg in fields.__args__ if arg is not type(None))
    if isinstance(fields, type) and issubclass(fields, BaseModel):
        return {info.alias or name for name, info in fields.model_fields.items()}
    return set()
