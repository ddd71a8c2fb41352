"""Read an inventory folder into hosts, groups and variables, without judging the site as a whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from installer.documents import Document, DocumentError, Problem, Source, nearest, read_document
from installer.site.model import GROUPS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

HOSTS_FILE: Final = "hosts.yml"
SITE_KEY: Final = "sitewright"
VAULT_HEADER: Final = "$ANSIBLE_VAULT;"
# How Ansible may reach a host; everything else about a connection is the wrapper's business.
CONNECTION_VARIABLES: Final = {
    "ansible_host": str,
    "ansible_user": str,
    "ansible_port": int,
    "ansible_ssh_private_key_file": str,
    "ansible_ssh_common_args": str,
    "ansible_ssh_extra_args": str,
    "ansible_connection": str,
    "ansible_python_interpreter": str,
    "ansible_become_method": str,
}
_HOST_NAME: Final = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_SUFFIXES: Final = (".yml", ".yaml")


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
        """Note a problem and carry on, so that all are shown at once."""
        self.problems.append(Problem(str(source), what, fix))


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
            inventory.report(source, f"{host} cannot be the name of a host", fix)
        inventory.hosts.setdefault(host, source)
        if group is not None:
            inventory.groups[group][host] = source
        _take_keys(inventory, inventory.by_host.setdefault(host, Scope()), document, (*keys, host))


def _variable_files(inventory: Inventory, folder: str) -> Iterator[tuple[str, Document]]:
    """Each variable file, with the group or host it speaks of."""
    base = inventory.path / folder
    if not base.is_dir():
        return
    for entry in sorted(base.iterdir()):
        if entry.is_dir():
            inner = (file for file in sorted(entry.rglob("*")) if file.is_file())
            yield from _documents(inventory, entry.name, inner)
        else:
            yield from _documents(inventory, entry.stem, [entry])


def _documents(inventory: Inventory, name: str, files: Iterable[Path]) -> Iterator[tuple[str, Document]]:
    for file in files:
        if file.name.startswith(".") or file.name.endswith("~"):
            continue
        if file.suffix not in _SUFFIXES:
            inventory.report(Source(file, 1), "is not a .yml file", "rename it, or move it out of the inventory")
            continue
        if _is_vault(file):
            inventory.report(
                Source(file, 1), "is an encrypted file", f"a site's secrets live in {inventory.path / 'vault.yml'}"
            )
            continue
        try:
            yield name, read_document(file)
        except DocumentError as error:
            inventory.problems += error.problems


def _is_vault(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(VAULT_HEADER)) == VAULT_HEADER.encode()
    except OSError:
        return False  # read_document says why it cannot be read


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
        kind = CONNECTION_VARIABLES.get(name)
        target = scope.settings if kind is None else scope.connection
        if kind is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            wanted = "a whole number" if kind is int else "text"
            inventory.report(source, f"{name} is {value!r}", f"allowed: {wanted}")
        elif name.startswith("ansible_") and kind is None:
            guess = nearest(name, CONNECTION_VARIABLES)
            fix = f"did you mean {guess}?" if guess else f"allowed: {', '.join(CONNECTION_VARIABLES)}"
            inventory.report(source, f"{name} is not known", fix)
        elif name in target and target[name].value != value:
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
    inventory.report(document.at(*keys), f"{'.'.join(keys) or 'the file'} is {value!r}", "allowed: keys with values")
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
