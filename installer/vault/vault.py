"""A site's vault file, in ansible-vault's own format.

The format (version 1.1, AES256) is written here rather than by calling `ansible-vault`: starting
that program costs most of a second each time, and the secrets would pass through another process.
"""

from __future__ import annotations

import binascii
import json
import os
from typing import TYPE_CHECKING, Any, Final

import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from installer.controller.files import write_atomically
from installer.documents.bounds import NotReadableError, check_growth, read_text
from installer.errors import ConfigurationError
from installer.vault.catalog import VAULT_PREFIX, generate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from installer.manifests import SecretSpec

BECOME_VARIABLE: Final = "sitewright_become_password"
_HEADER: Final = "$ANSIBLE_VAULT;1.1;AES256"
_READABLE_HEADERS: Final = (_HEADER, "$ANSIBLE_VAULT;1.2;AES256")
_WIDTH: Final = 80
_ITERATIONS: Final = 10_000  # part of the format
_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 16
_PRIVATE: Final = 0o600


class VaultError(ConfigurationError):
    """The vault file cannot be used."""


def ensure_vault(path: Path, password: str, wanted: Mapping[str, SecretSpec]) -> bool:
    """Create the vault, or add the secrets it lacks; return whether it was written.

    Values that are there are never changed, whoever wrote them.

    Raises:
        VaultError: If it cannot be read or written, or the password is wrong.
    """
    if not password:
        raise VaultError("the vault password is empty", hint="give a vault password with at least one character")
    current = read_vault(path, password) if path.exists() else {}
    missing = {
        f"{VAULT_PREFIX}{name}": generate(spec)
        for name, spec in wanted.items()
        if f"{VAULT_PREFIX}{name}" not in current
    }
    if missing:
        write_vault(path, password, {**current, **missing})
    elif path.stat().st_mode & 0o077:
        path.chmod(_PRIVATE)
    return bool(missing)


def write_vault(path: Path, password: str, content: Mapping[str, Any]) -> None:
    """Write a vault's whole content at once: an interruption leaves the old one or the new one.

    Raises:
        VaultError: If it cannot be written.
    """
    text = yaml.safe_dump(dict(content), explicit_start=True, sort_keys=True, allow_unicode=True)
    try:
        write_atomically(path, encrypt(text.encode(), password), mode=_PRIVATE)
    except OSError as error:
        hint = "make the folder writable for the user that runs ./install"
        raise VaultError(f"{path}: cannot be written: {error.strerror}", hint=hint) from error


def read_vault(path: Path, password: str) -> dict[str, Any]:
    """Decrypt the vault.

    Raises:
        VaultError: If it cannot be read, is no vault, or the password is wrong.
    """
    try:
        data = read_text(path).encode()
    except NotReadableError as error:
        hint = f"make it a file the user that runs ./install can read, for example: chown $USER {path}"
        raise VaultError(f"{path}: the vault {error.what}", hint=hint) from error
    try:
        plain = decrypt(data, password)
        check_growth(yaml.parse(plain))
        content = yaml.safe_load(plain)
    except NotReadableError as error:
        raise VaultError(f"{path}: the vault's content {error.what}", hint=f"ansible-vault edit {path}") from None
    except _NotAVaultError as error:
        hint = "restore it from a backup; without it a new site's secrets would not match its hosts"
        raise VaultError(f"{path}: is not a whole ansible-vault file: {error}", hint=hint) from error
    except InvalidSignature:
        hint = "give the password this vault was made with; see docs/secrets.md for its sources"
        raise VaultError(f"{path}: the vault password is wrong", hint=hint) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        hint = f"correct it with: ansible-vault edit {path}"
        # The cause would quote the secret it stumbled over.
        raise VaultError(f"{path}: the vault's content is not YAML", hint=hint) from None
    if not isinstance(content, dict):
        raise VaultError(f"{path}: the vault's content is not a mapping", hint=f"ansible-vault edit {path}")
    broken = sorted(
        str(name)
        for name, value in content.items()
        if str(name).startswith(VAULT_PREFIX) and not (isinstance(value, str) and value)
    )
    if broken:
        hint = f"write them as text in quotes with: ansible-vault edit {path}"
        raise VaultError(f"{path}: not a text, or empty: {', '.join(broken)}", hint=hint)
    return content


def become_variables(become: str, password: str) -> bytes:
    """A vault file for Ansible with the sudo password in it, for one operation.

    Args:
        become: Sudo's password; whatever is in it, it is no template.
        password: The vault's password.
    """
    return encrypt(f"{BECOME_VARIABLE}: !unsafe {json.dumps(become, ensure_ascii=False)}\n".encode(), password)


class _NotAVaultError(Exception):
    """The bytes do not follow the format."""


def encrypt(plain: bytes, password: str) -> bytes:
    """Encrypt as `ansible-vault encrypt` does."""
    salt = os.urandom(_KEY_BYTES)
    cipher_key, mac_key, nonce = _keys(password, salt)
    padder = padding.PKCS7(_BLOCK_BYTES * 8).padder()
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CTR(nonce)).encryptor()
    ciphertext = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    mac = hmac.HMAC(mac_key, hashes.SHA256())
    mac.update(ciphertext)
    parts = b"\n".join(binascii.hexlify(part) for part in (salt, mac.finalize(), ciphertext))
    body = binascii.hexlify(parts).decode()
    lines = [_HEADER, *(body[start : start + _WIDTH] for start in range(0, len(body), _WIDTH))]
    return ("\n".join(lines) + "\n").encode()


def decrypt(data: bytes, password: str) -> bytes:
    """Decrypt what `ansible-vault encrypt` made.

    Raises:
        _NotAVaultError: If the bytes do not follow the format.
        InvalidSignature: If the password is wrong, or a byte was changed.
    """
    lines = data.decode("ascii", errors="replace").split()
    header, body = (lines[0], "".join(lines[1:])) if lines else ("", "")
    if not header.startswith(_READABLE_HEADERS):
        raise _NotAVaultError(f"it begins with {header[:40]!r}" if header else "it is empty")
    try:
        salt, tag, ciphertext = (binascii.unhexlify(part) for part in binascii.unhexlify(body).split(b"\n"))
    except ValueError as error:
        raise _NotAVaultError("its body is damaged") from error
    cipher_key, mac_key, nonce = _keys(password, salt)
    mac = hmac.HMAC(mac_key, hashes.SHA256())
    mac.update(ciphertext)
    mac.verify(tag)
    decryptor = Cipher(algorithms.AES(cipher_key), modes.CTR(nonce)).decryptor()
    unpadder = padding.PKCS7(_BLOCK_BYTES * 8).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _keys(password: str, salt: bytes) -> tuple[bytes, bytes, bytes]:
    length = 2 * _KEY_BYTES + _BLOCK_BYTES
    kdf = PBKDF2HMAC(algorithm=hashes.SHA256(), length=length, salt=salt, iterations=_ITERATIONS)
    key = kdf.derive(password.encode())
    return key[:_KEY_BYTES], key[_KEY_BYTES : 2 * _KEY_BYTES], key[2 * _KEY_BYTES :]
