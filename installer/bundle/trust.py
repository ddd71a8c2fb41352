"""Whose bundles this controller accepts: the keys it was told, or the first one it met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minisign import Error, PublicKey, Signature

from installer.bundle.keys import key_id
from installer.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path


def trusted_folder(keys_folder: Path) -> Path:
    """Where the public keys of accepted bundles lie, one file per key."""
    return keys_folder / "trusted"


def choose_key(signature: Signature, source: Path, *, enclosed: Path, trusted: Path, given: Path | None) -> PublicKey:
    """The public key a signature has to be checked with.

    Args:
        signature: The manifest's signature, which names its key.
        source: The file it was read from.
        enclosed: The key that came with the bundle: believed only when no other is known.
        trusted: Folder of keys accepted before.
        given: A key the operator named; then nothing else counts.

    Raises:
        BundleError: If the signature is by a key this controller does not accept.
    """
    if given is not None:
        return read_key(given)
    wanted = key_id(signature)
    known = [read_key(path) for path in sorted(trusted.glob("*.pub"))] if trusted.is_dir() else []
    for key in known:
        if key_id(key) == wanted:
            return key
    if known:
        accepted = ", ".join(key_id(key) for key in known)
        raise BundleError(
            f"{source} is by key {wanted}; this controller accepts {accepted}",
            hint="get the publisher's public key over another way than the bundle and name it with --key",
        )
    return read_key(enclosed)


def remember_key(key: PublicKey, trusted: Path) -> bool:
    """Accept this key from now on; true when it was not accepted before."""
    path = trusted / f"{key_id(key)}.pub"
    if path.exists():
        return False
    trusted.mkdir(parents=True, exist_ok=True)
    trusted.chmod(0o700)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(bytes(key) + b"\n")
    fresh.replace(path)
    return True


def read_key(path: Path) -> PublicKey:
    """A minisign public key.

    Raises:
        BundleError: If the file is missing or something else.
    """
    try:
        return PublicKey.from_bytes(path.read_bytes())
    except (OSError, Error) as error:
        raise BundleError(f"{path} is not a minisign public key: {error}", hint="name the publisher's key") from error
