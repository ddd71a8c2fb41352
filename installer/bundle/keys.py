"""The two keys of a bundle: one for its apt repository, one for its manifest. Made once, kept here.

The apt repository needs an OpenPGP signature, because apt on the hosts checks nothing else; the
manifest has a minisign signature, which anyone can check with one small program. The secret keys
are not encrypted: whoever can read them can also change the installer that would ask for a
passphrase. They lie in a folder nobody but its owner may enter.
"""

from __future__ import annotations

import base64
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minisign import KeyPair, ParseError, PublicKey, SecretKey, Signature

from installer.controller.files import sockets_home
from installer.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from installer.bundle.commands import Commands

UNTRUSTED_COMMENT: Final = "signature of a Sitewright bundle's manifest"
_OWNER: Final = "Sitewright bundle"
# A signature must not be older than its key, and a bundle's signatures carry the date of its Debian
# snapshot; so the key is dated before Debian 13 existed.
_KEY_DATE: Final = datetime(2025, 1, 1, tzinfo=UTC)
_HINT: Final = "see that gpg works on this controller: gpg --version"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """What this controller signs bundles with.

    Attributes:
        archive_secret: Armored OpenPGP secret key of the apt repository.
        archive_public: Its armored public key, which hosts put into `Signed-By`.
        archive_fingerprint: Its fingerprint.
        bundle_secret: Secret key of the manifest.
        bundle_public: Its public key in minisign's own form.
    """

    archive_secret: Path
    archive_public: bytes
    archive_fingerprint: str
    bundle_secret: Path
    bundle_public: bytes

    @property
    def bundle_id(self) -> str:
        """The manifest key's identity as minisign prints it."""
        return key_id(PublicKey.from_bytes(self.bundle_public))


def key_id(key: PublicKey | Signature) -> str:
    """Identity of a key, or of the key that made a signature; minisign prints it the same way."""
    text = key.to_base64() if isinstance(key, PublicKey) else bytes(key).split(b"\n")[1]
    raw = base64.standard_b64decode(text)[2:10]  # two bytes of algorithm, eight of identity
    return raw[::-1].hex().upper()


def ensure_keys(folder: Path, commands: Commands) -> SigningKeys:
    """Read this controller's signing keys, and make them where they do not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    archive, public = folder / "archive.key", folder / "archive.asc"
    if not archive.exists():
        _make_archive_key(archive, public, commands)
    bundle = folder / "bundle.key"
    if not bundle.exists():
        _write_secret(bundle, bytes(KeyPair.generate().secret_key) + b"\n")
    try:
        pair = SecretKey.from_file(bundle)
    except ParseError as error:
        raise BundleError(f"{bundle} is not a minisign key: {error}", hint="restore it from your backup") from error
    bundle_public = pair.get_public_key()
    bundle_public.untrusted_comment = f"minisign public key {key_id(bundle_public)}"
    return SigningKeys(
        archive_secret=archive,
        archive_public=public.read_bytes(),
        archive_fingerprint=_fingerprint(archive, commands),
        bundle_secret=bundle,
        bundle_public=bytes(bundle_public) + b"\n",
    )


def sign_release(release: Path, destination: Path, *, keys: SigningKeys, moment: datetime, commands: Commands) -> None:
    """Write the Release file's signed form, dated like the Release itself."""
    with gpg_home() as home:
        gpg = _gpg(home)
        commands.run([*gpg, "--import", "--", str(keys.archive_secret)], doing="reading the archive key", hint=_HINT)
        argv = [
            *gpg,
            f"--faked-system-time={moment:%Y%m%dT%H%M%S}!",
            "--digest-algo=SHA512",
            f"--local-user={keys.archive_fingerprint}",
            f"--output={destination}",
            "--clearsign",
            "--",
            str(release),
        ]
        commands.run(argv, doing="signing the apt repository", hint=_HINT)


def sign_manifest(manifest: bytes, *, keys: SigningKeys, moment: datetime) -> bytes:
    """The minisign signature over a manifest, the same for the same manifest."""
    with SecretKey.from_file(keys.bundle_secret) as secret:
        comment = f"timestamp:{int(moment.timestamp())}\tfile:manifest.json\thashed"
        signature = secret.sign(manifest, untrusted_comment=UNTRUSTED_COMMENT, trusted_comment=comment)
    return bytes(signature) + b"\n"


def _make_archive_key(secret: Path, public: Path, commands: Commands) -> None:
    with gpg_home() as home:
        gpg = _gpg(home)
        date = f"--faked-system-time={_KEY_DATE:%Y%m%dT%H%M%S}!"
        make = ["--passphrase=", "--quick-generate-key", _OWNER, "ed25519", "sign", "never"]
        commands.run([*gpg, date, *make], doing="making the archive key", hint=_HINT)
        export = ["--pinentry-mode=loopback", "--passphrase=", "--armor", "--export-secret-keys"]
        exported = commands.run([*gpg, "--armor", "--export"], doing="exporting the archive key", hint=_HINT)
        public.write_text(exported, encoding="ascii")
        text = commands.run([*gpg, *export], doing="exporting the archive key", hint=_HINT)
        _write_secret(secret, text.encode("ascii"))  # last: its presence says that both are complete


def _fingerprint(secret: Path, commands: Commands) -> str:
    with gpg_home() as home:
        argv = [*_gpg(home), "--with-colons", "--show-keys", "--", str(secret)]
        listing = commands.run(argv, doing="reading the archive key", hint=_HINT)
    for line in listing.splitlines():
        fields = line.split(":")
        if fields[0] == "fpr":
            return fields[9]
    raise BundleError(f"{secret} holds no OpenPGP key", hint="restore it from your backup")


def _gpg(home: Path) -> list[str]:
    return ["gpg", f"--homedir={home}", "--batch", "--quiet", "--yes"]


@contextmanager
def gpg_home() -> Iterator[Path]:
    """A gpg home for one task: its agent ends with it, and its sockets' paths are always short enough."""
    with sockets_home("sitewright-gpg-") as home:
        try:
            yield home
        finally:
            end = ["gpgconf", f"--homedir={home}", "--kill", "all"]
            subprocess.run(end, check=False, capture_output=True, timeout=30)  # noqa: S603 - no shell, our own arguments


def _write_secret(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.chmod(0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
