"""Read YAML the way Ansible does, strictly, and remember where each value stood."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from installer.documents.bounds import NotReadableError, check_growth, read_text
from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

KeyPath = tuple[str | int, ...]

_MERGE_TAG: Final = "tag:yaml.org,2002:merge"
_OWN_TAGS: Final = "tag:yaml.org,2002:"
_COLLECTIONS: Final = frozenset({f"{_OWN_TAGS}map", f"{_OWN_TAGS}seq"})
# Numbers are short; Python works for minutes on one of a million digits, and refuses to show it.
_NUMBERS: Final = frozenset({f"{_OWN_TAGS}int", f"{_OWN_TAGS}float"})
_LONGEST_NUMBER: Final = 40
_LONGEST_SHOWN: Final = 60
_LONGEST_NAME: Final = 100
_MOST_SHOWN: Final = 50
# Control characters of both blocks and the separators of lines: they would break our lines or steer a terminal.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# libyaml's parser is ten times faster; PyYAML's own is the same language.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Where a setting was written."""

    path: Path
    line: int

    def __str__(self) -> str:
        """Editors and terminals jump to `file:line`."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing an operator has to change, and how."""

    where: str
    what: str
    fix: str

    def lines(self) -> tuple[str, str]:
        """The two lines an operator reads; whatever a file held, they are two, and do not steer the terminal."""
        return _printable(f"{self.where}: {self.what}"), _printable(self.fix)


class DocumentError(ConfigurationError):
    """Files of the operator (or of a role) that cannot be used, with every reason at once.

    Attributes:
        problems: Each finding with its place and its remedy.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Say one problem in two lines, several as a list of such pairs."""
        self.problems = tuple(dict.fromkeys(problems))
        if len(self.problems) == 1:
            what, fix = self.problems[0].lines()
            super().__init__(what, hint=fix)
            return
        lines = [f"{len(self.problems)} settings cannot be used:"]
        for problem in self.problems[:_MOST_SHOWN]:
            what, fix = problem.lines()
            lines += [f"  {what}", f"    {fix}"]
        if len(self.problems) > _MOST_SHOWN:
            lines.append(f"  and {len(self.problems) - _MOST_SHOWN} more, which are shown once these are gone")
        super().__init__("\n".join(lines), hint="nothing was touched; correct them and run the same command again")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file: its value, and the line of each key and item in it.

    Attributes:
        path: The file.
        value: What the file says; None when it says nothing.
        lines: Line of each value, by its path of keys and indexes.
    """

    path: Path
    value: Any
    lines: Mapping[KeyPath, int] = field(repr=False)

    def at(self, *keys: str | int) -> Source:
        """Where a value stands, or the nearest thing around it that exists."""
        for length in range(len(keys), -1, -1):
            if (line := self.lines.get(tuple(keys[:length]))) is not None:
                return Source(self.path, line)
        return Source(self.path, 1)


def shown(value: Any) -> str:
    """A value as an operator wrote it, without its length getting in the way."""
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return "a list"
    text = "empty" if value is None else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name an operator probably meant, or an empty string."""
    if len(name) > _LONGEST_NAME:
        return ""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def read_document(path: Path, *, own: bool = False) -> Document:
    """Read a YAML 1.1 file; what Ansible would silently accept wrongly is refused.

    Args:
        path: The file.
        own: It is a file of this checkout, as trusted as its code: nobody has to look whether it is a bomb.

    Raises:
        DocumentError: If it cannot be read or parsed, has a key twice, or is more than a file of settings can be.
    """
    return parse_document(path, read_file(path), own=own)


def read_file(path: Path) -> str:
    """The text of an ordinary file of at most 1 MiB; nothing else is opened.

    Raises:
        DocumentError: If it is no such file, or cannot be read.
    """
    try:
        return read_text(path)
    except NotReadableError as error:
        raise DocumentError([_unreadable(path, error)]) from error


def _unreadable(path: Path, error: NotReadableError) -> Problem:
    where = str(path) if error.line is None else str(Source(path, error.line))
    return Problem(where, error.what, error.fix)


def parse_document(path: Path, text: str, *, own: bool = False) -> Document:
    """The document a text is; JSON is one as well.

    Args:
        path: Where the text was read, for its lines.
        text: What the file holds.
        own: It is a file of this checkout.

    Raises:
        DocumentError: If it cannot be parsed, has a key twice, nests too deep or grows too large.
    """
    loader = _Loader(text)
    try:
        if not own:
            check_growth(yaml.parse(text, Loader=_Loader))
        node = loader.get_single_node()
        builder = _Builder(path, loader)
        value = None if node is None else builder.build(node, ())
    except NotReadableError as error:
        raise DocumentError([_unreadable(path, error)]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = str(path) if mark is None else str(Source(path, mark.line + 1))
        what = f"is not YAML: {error.problem or error.context}"
        fix = "mind indentation, colons and quotes at this line and the one before"
        raise DocumentError([Problem(where, what, fix)]) from error
    except yaml.YAMLError as error:
        fix = "write plain text in UTF-8 without control characters"
        raise DocumentError([Problem(str(path), f"is not YAML: {error}", fix)]) from error
    finally:
        loader.dispose()
    if builder.problems:
        raise DocumentError(builder.problems)
    return Document(path, value, builder.lines)


class _Builder:
    """Turns composed nodes into plain values, noting lines and refusing duplicates."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self._path = path
        self._loader = loader
        self._open: set[int] = set()
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node, keys: KeyPath) -> Any:
        self.lines.setdefault(keys, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in _COLLECTIONS:
            self._report(node, f"has the tag {node.tag}", "write plain keys, values and lists")
            return None
        if id(node) in self._open:
            self._report(node, "contains itself", "remove the alias")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*keys, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, keys)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if not node.tag.startswith(_OWN_TAGS):
            fix = "write a plain value; secrets belong into the site's vault file"
            self._report(node, f"has the tag {node.tag}", fix)
            return None
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            self._report(node, f"is a number of {len(node.value)} characters", "put it in quotes if it is text")
            return None
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError, LookupError, AttributeError) as error:
            # The last two are PyYAML's own slips on what a tag promised and the text does not keep: !!int "".
            what = f"cannot be understood: {shown(node.value)} ({error})"
            self._report(node, what, "put it in quotes if it is text")
            return None

    def _mapping(self, node: yaml.Node, keys: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        inherited: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE_TAG:
                inherited = {**self._merged(value_node, keys), **inherited}
                continue
            key = self._key(key_node)
            if key in result:
                first = self.lines[(*keys, key)]
                self._report(key_node, f"{key} is written twice, first in line {first}", "keep one of the two")
                continue
            self.lines[(*keys, key)] = line
            result[key] = self.build(value_node, (*keys, key))
        return {**inherited, **result}

    def _merged(self, node: yaml.Node, keys: KeyPath) -> dict[str, Any]:
        if isinstance(node, yaml.SequenceNode):
            parts = [self._one_merged(item, keys) for item in node.value]
            return {key: value for part in reversed(parts) for key, value in part.items()}
        return self._one_merged(node, keys)

    def _one_merged(self, node: yaml.Node, keys: KeyPath) -> dict[str, Any]:
        known = len(self.problems)
        value = self.build(node, (*keys, "<<"))
        if isinstance(value, dict):
            return value
        if len(self.problems) == known:
            self._report(node, "<< needs keys with values", "merge a mapping or remove the line")
        return {}

    def _key(self, node: yaml.Node) -> str:
        key = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, str):
            return key
        shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
        self._report(node, f"the key {shown} is not text", "put the key in quotes")
        return str(shown)

    def _report(self, node: yaml.Node, what: str, fix: str) -> None:
        where = str(Source(self._path, node.start_mark.line + 1))
        self.problems.append(Problem(where, what, fix))
