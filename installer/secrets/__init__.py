"""A site's secrets: made once, kept in an ansible-vault file, handed on without touching a disk."""

from installer.secrets.catalog import VAULT_PREFIX, catalog, redactions
from installer.secrets.client import VaultClient, vault_client
from installer.secrets.password import VaultPassword, rehearsal_password, resolve_password
from installer.secrets.vault import VaultError, ensure_vault, read_vault

__all__ = [
    "VAULT_PREFIX",
    "VaultClient",
    "VaultError",
    "VaultPassword",
    "catalog",
    "ensure_vault",
    "read_vault",
    "redactions",
    "rehearsal_password",
    "resolve_password",
    "vault_client",
]
