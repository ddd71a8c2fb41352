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
# A shorter text would black out ordinary words.
_SHORTEST_REDACTION: Final = 6


def catalog(manifests: Mapping[str, RoleManifest]) -> dict[str, SecretSpec]:
    """Every secret of a site by name: the roles' own and the certificate authority's passphrase."""
    found = {_CA_PASSPHRASE.name: _CA_PASSPHRASE}
    for manifest in manifests.values():
        found |= manifest.secrets
    return dict(sorted(found.items()))


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
