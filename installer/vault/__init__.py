"""A site's secrets: made once, kept in an ansible-vault file, handed on without touching a disk."""

from installer.vault.catalog import VAULT_PREFIX, catalog, entered, made_up, redactions
from installer.vault.client import vault_client
from installer.vault.password import become_password, rehearsal_password, resolve_password
from installer.vault.rotation import PREVIOUS, Choice, choose, forget, is_pending, renew
from installer.vault.vault import VaultError, become_variables, ensure_vault, read_vault

__all__ = [
    "PREVIOUS",
    "VAULT_PREFIX",
    "Choice",
    "VaultError",
    "become_password",
    "become_variables",
    "catalog",
    "choose",
    "ensure_vault",
    "entered",
    "forget",
    "is_pending",
    "made_up",
    "read_vault",
    "redactions",
    "rehearsal_password",
    "renew",
    "resolve_password",
    "vault_client",
]
