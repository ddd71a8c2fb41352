"""Which secrets a site has, and how they are made."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Final

from installer.manifests import SecretSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from installer.manifests import RoleManifest

VAULT_PREFIX: Final = "vault_"
# Letters and digits alone need no quoting in any configuration file, URL or shell.
_ALPHABET: Final = string.ascii_letters + string.digits
_CA_PASSPHRASE: Final = SecretSpec(name="ca_passphrase", length=40, rotation="agreed")
_MADE_UP_LENGTH: Final = 32
# A shorter text would black out ordinary words.
_SHORTEST_REDACTION: Final = 6


def catalog(manifests: Mapping[str, RoleManifest]) -> dict[str, SecretSpec]:
    """Every secret of a site by name: the roles' own and the certificate authority's passphrase."""
    found = {_CA_PASSPHRASE.name: _CA_PASSPHRASE}
    for manifest in manifests.values():
        found |= manifest.secrets
    return dict(sorted(found.items()))


def entered(manifests: Mapping[str, RoleManifest], settings: Mapping[str, object]) -> dict[str, str]:
    """Secrets that an operator must enter by hand, each with the variable that asks for it.

    Args:
        manifests: The roles' manifests.
        settings: The role variables that others read, resolved.
    """
    return {
        name: variable
        for manifest in manifests.values()
        for name, variable in manifest.entered_secrets.items()
        if settings.get(variable)
    }


def made_up(names: Iterable[str]) -> dict[str, SecretSpec]:
    """What stands for such secrets where the system they are of is not there, as in a rehearsal."""
    reason = "the operator enters it"
    return {name: SecretSpec(name=name, length=_MADE_UP_LENGTH, rotation="kept", reason=reason) for name in names}


def generate(spec: SecretSpec) -> str:
    """A fresh value from the operating system's random source."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(spec.length))


def is_generated(spec: SecretSpec, value: str) -> bool:
    """Whether a value has the form of those made here; else an operator wrote it."""
    return len(value) == spec.length and set(value) <= set(_ALPHABET)


def redactions(values: Iterable[str]) -> frozenset[str]:
    """What the one writer must black out: every line of every secret that could be recognised."""
    lines = {line.strip() for value in values for line in value.splitlines()}
    return frozenset(line for line in lines if len(line) >= _SHORTEST_REDACTION)
