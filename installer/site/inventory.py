"""Read an inventory folder into hosts, groups and variables, without judging the site as a whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from installer.documents import (
    Document,
    DocumentError,
    Problem,
    Source,
    nearest,
    parse_document,
    read_document,
    read_file,
    shown,
)
from installer.site.connection import CONNECTION_VARIABLES, connection_fault
from installer.site.model import GROUPS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HOSTS_FILE: Final = "hosts.yml"
SITE_KEY: Final = "sitewright"
VAULT_HEADER: Final = "$ANSIBLE_VAULT;"
_HOST_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
# Ansible reads a host of these names as something else: the controller, or a group.
_TAKEN_NAMES: Final = frozenset({"localhost", "all", "ungrouped", *GROUPS})
_SUFFIXES: Final = (".yml", ".yaml", ".json")
_MOST_PROBLEMS: Final = 100
_DEEPEST_FOLDER: Final = 4


@dataclass(slots=True)
class Scope:
    """The variables of all hosts, of one group, or of one host."""

    connection: dict[str, Setting] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)


@dataclass(slots=True)
class Inventory:
    """What the files of an inventory folder say, with every problem met while reading them."""

    path: Path
    hosts: dict[str, Source] = field(default_factory=dict)
    groups: dict[str, dict[str, Source]] = field(default_factory=dict)
    everyone: Scope = field(default_factory=Scope)
    by_group: dict[str, Scope] = field(default_factory=dict)
    by_host: dict[str, Scope] = field(default_factory=dict)
    site: Document | None = None
    problems: list[Problem] = field(default_factory=list)

    def groups_of(self, host: str) -> tuple[str, ...]:
        """The host's groups, in the model's order."""
        return tuple(group for group in GROUPS if host in self.groups.get(group, {}))

    def report(self, source: Source, what: str, fix: str) -> None:
        """Note a problem and go on, so that all are shown at once; but no more than anybody reads.

        Raises:
            DocumentError: With all of them, when they are too many to go on looking.
        """
        self.problems.append(Problem(str(source), what, fix))
        if len(self.problems) > _MOST_PROBLEMS:
            raise DocumentError(self.problems)


def read_inventory(path: Path) -> Inventory:
    """Read hosts.yml, group_vars and host_vars of a site.

    Raises:
        DocumentError: If there is no hosts.yml to read.
    """
    inventory = Inventory(path)
    _read_hosts(inventory, read_document(path / HOSTS_FILE))
    for name, document in _variable_files(inventory, "group_vars"):
        if name == "all":
            _take_variables(inventory, inventory.everyone, document)
        elif name in GROUPS:
            _take_variables(inventory, inventory.by_group.setdefault(name, Scope()), document)
        else:
            _unknown_group(inventory, document.at(), name)
    for name, document in _variable_files(inventory, "host_vars"):
        if name in inventory.hosts:
            _take_variables(inventory, inventory.by_host.setdefault(name, Scope()), document)
        else:
            guess = nearest(name, inventory.hosts)
            fix = f"did you mean {guess}?" if guess else f"known hosts: {', '.join(inventory.hosts)}"
            inventory.report(document.at(), f"there is no host {name} in {HOSTS_FILE}", fix)
    return inventory


def _read_hosts(inventory: Inventory, document: Document) -> None:
    top = _mapping(inventory, document, ())
    for key in top:
        if key != "all":
            inventory.report(document.at(key), f"{key} is not known", "put everything under all:")
    if "all" not in top:
        inventory.report(document.at(), "all is missing", "write all: with hosts: and children: under it")
        return
    body = _mapping(inventory, document, ("all",))
    _refuse_other_keys(inventory, document, ("all",), body, ("hosts", "children", "vars"))
    _take_keys(inventory, inventory.everyone, document, ("all", "vars"))
    _take_hosts(inventory, document, ("all", "hosts"), group=None)
    for group in _mapping(inventory, document, ("all", "children")):
        keys = ("all", "children", group)
        if group not in GROUPS:
            _unknown_group(inventory, document.at(*keys), group)
            continue
        content = _mapping(inventory, document, keys)
        _refuse_other_keys(inventory, document, keys, content, ("hosts", "vars"))
        inventory.groups.setdefault(group, {})
        _take_keys(inventory, inventory.by_group.setdefault(group, Scope()), document, (*keys, "vars"))
        _take_hosts(inventory, document, (*keys, "hosts"), group=group)


def _take_hosts(inventory: Inventory, document: Document, keys: tuple[str, ...], *, group: str | None) -> None:
    for host in _mapping(inventory, document, keys):
        source = document.at(*keys, host)
        if not _HOST_NAME.fullmatch(host):
            fix = "use lower-case letters, digits and hyphens, at most 32, a letter first"
            inventory.report(source, f"{shown(host)} cannot be the name of a host", fix)
        elif host in _TAKEN_NAMES:
            inventory.report(source, f"{host} cannot be the name of a host: it has a meaning", f"use {host}1")
        inventory.hosts.setdefault(host, source)
        if group is not None:
            inventory.groups[group][host] = source
        _take_keys(inventory, inventory.by_host.setdefault(host, Scope()), document, (*keys, host))


def _variable_files(inventory: Inventory, folder: str) -> Iterator[tuple[str, Document]]:
    """Each variable file, with the group or host it speaks of."""
    base = inventory.path / folder
    if not base.exists():
        return
    for entry in _entries(inventory, base):
        if entry.is_dir():
            inner = [file for file in _below(inventory, entry, 1) if not file.is_dir()]
            yield from _documents(inventory, entry.name, inner)
        else:
            yield from _documents(inventory, entry.stem, [entry])


def _entries(inventory: Inventory, folder: Path) -> list[Path]:
    """What is in a folder, sorted; none when it cannot be read, which is reported."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        inventory.report(Source(folder, 1), f"is not a readable folder: {error.strerror}", "make it one, or remove it")
        return []


def _below(inventory: Inventory, folder: Path, depth: int) -> Iterator[Path]:
    """Everything below a folder; a link that leads around in a circle is reported."""
    if depth > _DEEPEST_FOLDER:
        what = f"is more than {_DEEPEST_FOLDER} folders deep"
        inventory.report(Source(folder, 1), what, "move its files up, or remove the link that leads in a circle")
        return
    for entry in _entries(inventory, folder):
        yield entry
        if entry.is_dir():
            yield from _below(inventory, entry, depth + 1)


def _documents(inventory: Inventory, name: str, files: Iterable[Path]) -> Iterator[tuple[str, Document]]:
    for file in files:
        if file.name.startswith(".") or file.name.endswith("~"):
            continue
        if file.suffix not in _SUFFIXES:
            fix = "rename it, or move it out of the inventory"
            inventory.report(Source(file, 1), f"is not a file of variables ({', '.join(_SUFFIXES)})", fix)
            continue
        try:
            text = read_file(file)
            if text.startswith(VAULT_HEADER):
                fix = f"a site's secrets live in {inventory.path / 'vault.yml'}"
                inventory.report(Source(file, 1), "is an encrypted file", fix)
                continue
            yield name, parse_document(file, text)
        except DocumentError as error:
            inventory.problems += error.problems


def _take_variables(inventory: Inventory, scope: Scope, document: Document) -> None:
    top = _mapping(inventory, document, ())
    if SITE_KEY in top:
        if scope is not inventory.everyone:
            fix = f"move it to {inventory.path / 'group_vars' / 'all' / 'site.yml'}"
            inventory.report(document.at(SITE_KEY), f"{SITE_KEY} describes the whole site", fix)
        elif inventory.site is not None:
            first = inventory.site.at(SITE_KEY)
            inventory.report(document.at(SITE_KEY), f"{SITE_KEY} is also written in {first}", "keep one of the two")
        else:
            inventory.site = document
    _take_keys(inventory, scope, document, ())


def _take_keys(inventory: Inventory, scope: Scope, document: Document, keys: tuple[str, ...]) -> None:
    """Sort the variables at a place into connection and role variables."""
    for name, value in _mapping(inventory, document, keys).items():
        if name == SITE_KEY and not keys:
            continue
        source = document.at(*keys, name)
        setting = Setting(value=value, source=source)
        target = scope.connection if name in CONNECTION_VARIABLES else scope.settings
        if name in CONNECTION_VARIABLES:
            if wrong := connection_fault(name, value):
                inventory.report(source, wrong.what, wrong.fix)
                continue
        elif name.startswith("ansible_"):
            guess = nearest(name, CONNECTION_VARIABLES)
            fix = f"did you mean {guess}?" if guess else f"allowed: {', '.join(CONNECTION_VARIABLES)}"
            inventory.report(source, f"{name} is not known", fix)
            continue
        if name in target and target[name].value != value:
            first = target[name].source
            inventory.report(source, f"{name} is also set in {first}, to another value", "keep one of the two")
        else:
            target[name] = setting
            scope.documents[name] = document


def _mapping(inventory: Inventory, document: Document, keys: tuple[str, ...]) -> dict[str, Any]:
    """The keys and values at a place; empty counts as none."""
    value = document.value
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    inventory.report(
        document.at(*keys), f"{'.'.join(keys) or 'the file'} is {shown(value)}", "allowed: keys with values"
    )
    return {}


def _refuse_other_keys(
    inventory: Inventory, document: Document, keys: tuple[str, ...], body: dict[str, Any], known: tuple[str, ...]
) -> None:
    for key in body:
        if key not in known:
            guess = nearest(key, known)
            fix = f"did you mean {guess}?" if guess else f"allowed here: {', '.join(known)}"
            inventory.report(document.at(*keys, key), f"{'.'.join((*keys, key))} is not known", fix)


def _unknown_group(inventory: Inventory, source: Source, name: str) -> None:
    guess = nearest(name, GROUPS)
    fix = f"did you mean {guess}?" if guess else f"known groups: {', '.join(GROUPS)}"
    inventory.report(source, f"there is no group {name}", fix)
