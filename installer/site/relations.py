"""Variables of a role that are right one by one and cannot work together, as the role says in `meta/limits.yml`.

A relation is `{smaller: {a: 5}, larger: {b: 1}}`: five times `a` is at most `b`; with `strictly: true`, less than `b`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from installer.documents import Problem
from installer.site.limits import RELATIONS_KEY, limits_document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from installer.site.model import Host, Site
    from installer.site.role_variables import Option
    from installer.site.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A sum that must not be larger than another.

    Attributes:
        smaller: Variables of the one sum, each with its factor.
        larger: Variables of the other.
        strictly: Whether it must even be smaller.
    """

    smaller: Mapping[str, int]
    larger: Mapping[str, int]
    strictly: bool

    @property
    def words(self) -> str:
        """The relation for an operator to read."""
        return f"{_sum(self.smaller)} {'less than' if self.strictly else 'at most'} {_sum(self.larger)}"


def read_relations(role: Path) -> list[Relation]:
    """The relations between a role's variables; none when it has no file of limits.

    Raises:
        DocumentError: If the file is not YAML.
    """
    document = limits_document(role)
    said = {} if document is None else document.value or {}
    return [
        Relation(smaller=entry["smaller"], larger=entry["larger"], strictly=entry.get("strictly", False))
        for entry in said.get(RELATIONS_KEY, [])
    ]


def relations(roles: Sequence[Path], variables: Mapping[str, Option], computed: Collection[str]) -> Rule:
    """Each relation of a role holds on each host where somebody set one of its variables.

    Args:
        roles: The roles' folders.
        variables: The roles' variables, for the defaults.
        computed: Variables whose default is worked out on the hosts; as long as nobody sets them, they follow.
    """
    known = [relation for role in roles for relation in read_relations(role)]

    def rule(site: Site) -> Iterator[Problem]:
        for host in site.hosts.values():
            for relation in known:
                yield from _broken(host, relation, variables, computed)

    return rule


def _broken(
    host: Host, relation: Relation, variables: Mapping[str, Option], computed: Collection[str]
) -> Iterator[Problem]:
    names = [*relation.smaller, *relation.larger]
    settings = [host.settings[name] for name in names if name in host.settings]
    if not settings or any(name in computed and name not in host.settings for name in names):
        return

    def worth(terms: Mapping[str, int]) -> int:
        values = {
            name: host.settings[name].value if name in host.settings else variables[name].default for name in terms
        }
        return sum(factor * int(values[name]) for name, factor in terms.items())

    smaller, larger = worth(relation.smaller), worth(relation.larger)
    if smaller < larger or (smaller == larger and not relation.strictly):
        return
    what = f"{_sum(relation.smaller)} is {smaller} on {host.name}, {_sum(relation.larger)} is {larger}"
    yield Problem(str(settings[0].source), what, f"allowed: {relation.words}")


def _sum(terms: Mapping[str, int]) -> str:
    return " + ".join(name if factor == 1 else f"{factor} x {name}" for name, factor in terms.items())
