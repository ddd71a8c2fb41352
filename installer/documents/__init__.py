"""Read YAML the way Ansible does, strictly, and remember where each value stood."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

KeyPath = tuple[str | int, ...]

_MERGE_TAG = "tag:yaml.org,2002:merge"
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


class DocumentError(ConfigurationError):
    """Files of the operator (or of a role) that cannot be used, with every reason at once.

    Attributes:
        problems: Each finding with its place and its remedy.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Say one problem in two lines, several as a list of such pairs."""
        self.problems = tuple(dict.fromkeys(problems))
        if len(self.problems) == 1:
            only = self.problems[0]
            super().__init__(f"{only.where}: {only.what}", hint=only.fix)
            return
        lines = [f"{len(self.problems)} settings cannot be used:"]
        for problem in self.problems:
            lines += [f"  {problem.where}: {problem.what}", f"    {problem.fix}"]
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


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name an operator probably meant, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def read_document(path: Path) -> Document:
    """Read a YAML 1.1 file; what Ansible would silently accept wrongly is refused.

    Raises:
        DocumentError: If it cannot be read or parsed, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DocumentError([Problem(str(path), "does not exist", "create the file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        fix = "make it a readable UTF-8 text file"
        raise DocumentError([Problem(str(path), f"cannot be read: {error}", fix)]) from error
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        builder = _Builder(path, loader)
        value = None if node is None else builder.build(node, ())
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
        if not node.tag.startswith("tag:yaml.org,2002:"):
            fix = "write a plain value; secrets belong into the site's vault file"
            self._report(node, f"has the tag {node.tag}", fix)
            return None
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            self._report(node, f"cannot be understood: {node.value!r} ({error})", "put it in quotes if it is text")
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
            parts = [self._merged(item, keys) for item in node.value]
            return {key: value for part in reversed(parts) for key, value in part.items()}
        value = self.build(node, (*keys, "<<"))
        if isinstance(value, dict):
            return value
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
