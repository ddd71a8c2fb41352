"""Variables that bear a role's name and that the role does not have."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ansible.plugins.lookup import LookupBase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DOCUMENTATION = r"""
name: unknown_variables
short_description: Variables that bear the role's name and that the role does not have
description:
  - Ansible refuses a variable of a role that has the wrong type or is missing, never one that is mistyped.
  - Gives the names of all variables in scope that begin with the name of the role that asks, followed by an
    underscore, and that none of its entry points has in C(meta/argument_specs.yml). An empty list when all are known.
options:
  _terms:
    description: Hosts whose variables are looked at besides those of the host that asks, for a task that runs once.
    type: list
    elements: str
  also:
    description: Roles beside this one whose tasks it imports; a variable that bears their name must be theirs.
    type: list
    elements: str
    default: []
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: preflight | Check that every variable is known
  ansible.builtin.assert:
    that: query('sitewright.platform.unknown_variables') | length == 0

- name: preflight | Check that every variable is known on any host
  ansible.builtin.assert:
    that: query('sitewright.platform.unknown_variables', *ansible_play_hosts) | length == 0
  run_once: true
"""

RETURN = r"""
_raw: {description: Their names, sorted., type: list, elements: str}
"""

# LibYAML where Python has it: without a head start, each of Ansible's workers reads the file.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def options(role: str) -> frozenset[str]:
    """The variables a role has, by all its entry points.

    Args:
        role: The role's folder.

    Raises:
        OSError: If the role says nothing of its variables.
    """
    text = Path(role, "meta", "argument_specs.yml").read_text(encoding="utf-8")
    entries = yaml.load(text, Loader=LOADER)["argument_specs"].values()  # noqa: S506 - a safe loader, either of the two
    return frozenset(option for entry in entries for option in entry.get("options") or {})


def unknown(role: str, names: Iterable[str]) -> set[str]:
    """Those of the names that bear the role's and are none of its variables; see `options`."""
    prefix = f"{Path(role).name}_"
    return {name for name in names if name.startswith(prefix)} - options(role)


class LookupModule(LookupBase):  # type: ignore[misc] # ansible ships no types
    """What Ansible finds here."""

    def run(self, terms: Sequence[str], variables: Mapping[str, Any], also: Sequence[str] = ()) -> list[str]:
        """See the documentation above."""
        own = str(variables["role_path"])
        roles = [own, *(str(Path(own).with_name(name)) for name in also)]
        here = variables["inventory_hostname"]
        names = set(variables).union(*(variables["hostvars"][host] for host in terms if host != here))
        return sorted(name for role in roles for name in unknown(role, names))
