"""Resolve what others read of the roles' variables, and refuse what they could not agree on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from installer.documents import DocumentError, Problem, read_document
from installer.manifests import ALL_HOSTS
from installer.manifests.shared import agreed_variables, host_variables, listeners_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from installer.manifests import RoleManifest
    from installer.site.model import Host, Site
    from installer.site.role_variables import Option
    from installer.site.rules import Rule

SSH_PORT: Final = 22
_WIRING: Final = "playbooks/group_vars/all"
_REFERENCE: Final = re.compile(r"\{\{ site\.settings\.([a-z0-9_]+) \}\}")


def wired_variables(root: Path, manifests: Mapping[str, RoleManifest]) -> dict[str, str]:
    """Role variables that follow from the site's description, each with the variable that decides it, or empty.

    An operator's own value would reach the role and nobody else.

    Args:
        root: The checkout with the wiring.
        manifests: The roles, which say what may be overridden all the same.

    Raises:
        DocumentError: If the wiring is not YAML.
    """
    overridable = {name for manifest in manifests.values() for name in manifest.overridable}
    wired: dict[str, str] = {}
    for file in sorted((root / _WIRING).glob("*.yml")):
        for name, value in (read_document(file, own=True).value or {}).items():
            reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            wired[name] = reference.group(1) if reference else ""
    return {name: decides for name, decides in wired.items() if name not in overridable}


def resolve_shared(
    site: Site, manifests: Mapping[str, RoleManifest], variables: Mapping[str, Option]
) -> tuple[Site, list[Problem]]:
    """The site with the values of all variables that others read, and where its hosts contradict each other.

    What a host computes for itself is among its settings only where an operator has set it instead.

    Args:
        site: The site as its files describe it.
        manifests: The roles' manifests, which name these variables.
        variables: The roles' variables, for the defaults.

    Raises:
        DocumentError: If a manifest names a variable no role has.
    """
    _require_variables(manifests, variables)
    agreed: dict[str, Any] = {}
    problems: list[Problem] = []
    own: dict[str, dict[str, Any]] = {name: {} for name in site.hosts}
    for manifest in manifests.values():
        hosts = [host for host in site.hosts.values() if manifest.group in (ALL_HOSTS, *host.groups)]
        for name in agreed_variables(manifest):
            agreed[name] = _value(hosts[0], name, variables) if hosts else variables[name].default
            problems += _contradictions(hosts, name, variables)
        for name in host_variables(manifest):
            for host in hosts:
                own[host.name][name] = _value(host, name, variables)
        for host in hosts:
            own[host.name] |= {
                name: host.settings[name].value for name in manifest.overridable if name in host.settings
            }
    hosts_with = {name: replace(host, shared=own[name]) for name, host in site.hosts.items()}
    return replace(site, hosts=hosts_with, shared=agreed), problems


def listeners(manifests: Mapping[str, RoleManifest]) -> Rule:
    """No two listeners of a host want one port.

    Args:
        manifests: The roles' manifests, which name the ports.
    """

    def rule(site: Site) -> Iterator[Problem]:
        resolved = site.resolved()
        for host in site.hosts.values():
            taken: dict[tuple[str, int], tuple[str, str | None]] = {
                ("tcp", int(host.connection.get("ansible_port", SSH_PORT))): ("SSH", None)
            }
            for listener in listeners_of(resolved, host.name, manifests):
                first, variable = taken.setdefault(
                    (listener.protocol, listener.port), (listener.purpose, listener.variable)
                )
                if first == listener.purpose:
                    continue
                # The one somebody set is the one to correct; that of a default is where the host is written.
                named = [name for name in (listener.variable, variable) if name]
                settings = [host.settings[name] for name in named if name in host.settings]
                what = f"port {listener.port} of {host.name} is wanted by {listener.purpose}, but {first} has it"
                source = settings[0].source if settings else host.source
                yield Problem(str(source), what, f"set {' or '.join(named) or 'ansible_port'} to a free port")

    return rule


def _require_variables(manifests: Mapping[str, RoleManifest], variables: Mapping[str, Option]) -> None:
    """A manifest names only what its role has."""
    missing = [
        Problem(str(manifest.path), f"{name} is no variable with a default", "correct the name")
        for manifest in manifests.values()
        for name in (*agreed_variables(manifest), *host_variables(manifest))
        if name not in variables or variables[name].default is None
    ]
    if missing:
        raise DocumentError(missing)


def _value(host: Host, name: str, variables: Mapping[str, Option]) -> Any:
    setting = host.settings.get(name)
    return variables[name].default if setting is None else setting.value


def _contradictions(hosts: Sequence[Host], name: str, variables: Mapping[str, Option]) -> Iterator[Problem]:
    """Hosts whose value of a variable is not that of the first one."""
    for host in hosts[1:]:
        value, first = _value(host, name, variables), _value(hosts[0], name, variables)
        # Of two values that differ, one at least was written.
        setting = host.settings.get(name) or hosts[0].settings.get(name)
        if value != first and setting is not None:
            what = f"{name} of {host.name} is {value!r}, of {hosts[0].name} {first!r}, but others need one for all"
            yield Problem(str(setting.source), what, f"set {name} once, for all hosts of the role")
