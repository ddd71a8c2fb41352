"""A site's vault and authority: made by what installs, read by what looks, tried on copies by what plans."""

from __future__ import annotations

import getpass
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final

from installer.errors import VerificationError
from installer.pki import CERTIFICATE_FILE, change_passphrase, ensure_authority
from installer.stages.journal import Journal
from installer.vault import (
    PREVIOUS,
    VAULT_PREFIX,
    VaultError,
    become_password,
    catalog,
    ensure_vault,
    entered,
    made_up,
    read_vault,
    rehearsal_password,
    resolve_password,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from installer.console.terminal import Terminal
    from installer.manifests import RoleManifest
    from installer.operations.request import Request, SecretsUse
    from installer.site import Site

_SUDO: Final = "become_password"
AUTHORITY_FOLDER: Final = "pki"
VAULT_FILE: Final = "vault.yml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a site keeps.

    Attributes:
        vault: The encrypted vault.
        password: The vault's password.
        secrets: Its values, named without their prefix.
        authority: Folder of the certificate authority.
    """

    vault: Path
    password: str = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Knows where a site keeps its secrets, and what may be done with them.

    Attributes:
        request: What was asked for.
        site: The site.
        state: Folder of its journal and authority.
        manifests: The roles' manifests: which secrets there are.
        terminal: The one writer; told what to hide and what was made.
    """

    request: Request
    site: Site
    state: Path
    manifests: Mapping[str, RoleManifest]
    terminal: Terminal

    @property
    def vault(self) -> Path:
        """The vault's file: in the inventory, or with the rehearsal it belongs to."""
        return (self.state if self.site.rehearsal else self.site.path) / VAULT_FILE

    def become_password(self, secrets: Mapping[str, str] | None = None) -> str | None:
        """Sudo's password on the hosts, None when nobody said one: the option's, else the vault's.

        Args:
            secrets: The vault's values, when it is open already; else it is opened if there is one.

        Raises:
            ConfigurationError: If the file that was named has none, or the vault cannot be opened.
        """
        if self.request.become_password_file is not None:
            value: str | None = become_password(self.request.become_password_file).value
        else:
            if secrets is None:
                secrets = self.read(self.password()) if self.vault.exists() else {}
            value = secrets.get(_SUDO)
        self.terminal.hide([value] if value else [])
        return value

    @contextmanager
    def open(self, use: SecretsUse) -> Iterator[Kept]:
        """The site's secrets and authority, for as long as the block runs.

        Args:
            use: `make` what is missing; only `read`; or `try`: what is missing is made in a folder that goes with the
                block, so that an operation can be played through on a site that has nothing yet.

        Raises:
            VerificationError: If they are only to be read, and the site was never installed from here.
            ConfigurationError: If they cannot be used.
        """
        if use == "make":
            yield self._made(self.vault, self.password(), self.state / AUTHORITY_FOLDER)
        elif use == "read":
            self._require_installed()
            password, authority = self.password(), self.state / AUTHORITY_FOLDER
            secrets = self.read(password)
            _end_change_of_passphrase(authority, secrets)
            yield Kept(vault=self.vault, password=password, secrets=secrets, authority=authority)
        else:
            with tempfile.TemporaryDirectory(prefix="sitewright-plan-") as folder:
                yield self._tried(Path(folder))

    def password(self) -> str:
        """The vault's password.

        Raises:
            ConfigurationError: If nothing has it.
        """
        if self.site.rehearsal:
            password = rehearsal_password(self.state / "vault-password").value
        else:
            password = resolve_password(
                site=self.site.name,
                option=self.request.vault_password_file,
                prompt=getpass.getpass if sys.stdin.isatty() else None,
                confirm=not self.vault.exists(),
            ).value
        self.terminal.hide([password])
        return password

    def read(self, password: str) -> dict[str, str]:
        """The vault's values, named without their prefix.

        Raises:
            VaultError: If it cannot be read.
        """
        return _values(self.vault, password)

    def _made(self, vault: Path, password: str, authority: Path) -> Kept:
        wanted, asked = catalog(self.manifests), entered(self.manifests, self.site.shared)
        if self.site.rehearsal or vault != self.vault:
            wanted |= made_up(asked)
        if ensure_vault(vault, password, wanted) and vault == self.vault:
            self.terminal.say(f"wrote new secrets to {vault}")
        secrets = _values(vault, password)
        self._require(asked, secrets)
        _end_change_of_passphrase(authority, secrets)
        ensure_authority(authority, secrets["ca_passphrase"], name=self.site.name)
        return Kept(vault=vault, password=password, secrets=secrets, authority=authority)

    def _tried(self, folder: Path) -> Kept:
        """As `_made`, but whatever is missing is made in a folder of its own; what is there is used."""
        vault, authority = folder / VAULT_FILE, self.state / AUTHORITY_FOLDER
        password = token_urlsafe()
        if self.vault.exists():
            password = self.password()
            shutil.copy(self.vault, vault)
        if not (authority / CERTIFICATE_FILE).exists():
            authority = folder / AUTHORITY_FOLDER
        return self._made(vault, password, authority)

    def _require(self, asked: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        """Refuse to go on without what the operator must enter, before any host is touched.

        Raises:
            VaultError: If something of it is missing.
        """
        for name, variable in asked.items():
            if name not in secrets:
                raise VaultError(
                    f"{self.vault}: {VAULT_PREFIX}{name} is missing, and {variable} asks for it",
                    hint=f"add it as text in quotes with: ansible-vault edit {self.vault}",
                )

    def _require_installed(self) -> None:
        """Refuse to look into what was never installed from here.

        Raises:
            VerificationError: If it was not.
        """
        if Journal.of(self.state).last() is not None:
            return
        raise VerificationError(
            f"{self.site.name} was never installed from this controller; {self.request.verb} wants a site that was",
            hint=f"install it with: {self.request.install_command} (or run this where it was installed from)",
        )


def _end_change_of_passphrase(authority: Path, secrets: Mapping[str, str]) -> None:
    """A rotation that was killed between writing the vault and the authorities' keys left them different."""
    if previous := secrets.get(f"{PREVIOUS}ca_passphrase"):
        change_passphrase(authority, previous, secrets["ca_passphrase"])


def _values(vault: Path, password: str) -> dict[str, str]:
    return {name.removeprefix(VAULT_PREFIX): str(value) for name, value in read_vault(vault, password).items()}
