"""New values for a vault's secrets, with the previous ones kept beside them until nobody needs them.

The vault is written once at the beginning of a rotation, all of it or nothing: each secret NAME gets a new value as
`vault_NAME`, and the one the site knows stays as `vault_previous_NAME`. At the end the previous ones go. Whoever finds
a previous value in the vault knows that a rotation was begun, and makes no new values again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.vault.catalog import VAULT_PREFIX, generate, is_generated
from installer.vault.vault import read_vault, write_vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from installer.manifests import SecretSpec

PREVIOUS: Final = "previous_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which secrets of a site are rotated.

    Attributes:
        rotated: Those that get a new value.
        left: Those that keep theirs, by name, with the reason.
    """

    rotated: tuple[SecretSpec, ...]
    left: Mapping[str, str]


def choose(known: Mapping[str, SecretSpec], secrets: Mapping[str, str]) -> Choice:
    """Sort a vault's secrets: the installer's own are rotated, the operator's are left.

    Args:
        known: Every secret the installer makes, by name.
        secrets: The vault's values, named without their prefix; previous ones do not count.
    """
    rotated: list[SecretSpec] = []
    left: dict[str, str] = {}
    for name, value in sorted(secrets.items()):
        spec = known.get(name)
        if name.startswith(PREVIOUS):
            continue
        if spec is None:
            left[name] = "it is not one the installer makes"
        elif spec.rotation == "kept":
            left[name] = spec.reason
        elif not is_generated(spec, secrets.get(f"{PREVIOUS}{name}", value)):
            left[name] = "somebody gave it a value of their own"
        else:
            rotated.append(spec)
    return Choice(rotated=tuple(rotated), left=left)


def renew(path: Path, password: str, rotated: Iterable[SecretSpec]) -> bool:
    """Give secrets new values and keep their previous ones; nothing when that was done before and not ended.

    Args:
        path: The vault.
        password: Its password.
        rotated: Which secrets.

    Returns:
        Whether new values were made.

    Raises:
        VaultError: If the vault cannot be read or written.
    """
    values = read_vault(path, password)
    if is_pending(name.removeprefix(VAULT_PREFIX) for name in values):
        return False
    changed = dict(values)
    for spec in rotated:
        changed[f"{VAULT_PREFIX}{PREVIOUS}{spec.name}"] = values[f"{VAULT_PREFIX}{spec.name}"]
        changed[f"{VAULT_PREFIX}{spec.name}"] = generate(spec)
    write_vault(path, password, changed)
    return True


def forget(path: Path, password: str) -> bool:
    """Take the previous values out of a vault; whether there were some.

    Raises:
        VaultError: If the vault cannot be read or written.
    """
    values = read_vault(path, password)
    left = {name: value for name, value in values.items() if not name.startswith(f"{VAULT_PREFIX}{PREVIOUS}")}
    if left != values:
        write_vault(path, password, left)
    return left != values


def is_pending(names: Iterable[str]) -> bool:
    """Whether a rotation of these secrets, named without their prefix, was begun and not ended."""
    return any(name.startswith(PREVIOUS) for name in names)
