"""Where the vault password comes from, and how we know."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.controller.files import write_atomically
from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_VARIABLE: Final = "SITEWRIGHT_VAULT_PASSWORD_FILE"
PASSWORD_VARIABLE: Final = "SITEWRIGHT_VAULT_PASSWORD"  # noqa: S105 - the variable's name, not a password
KEYRING_SERVICE: Final = "sitewright"
_CLIENT_SECONDS: Final = 60
_SOURCES: Final = (
    f"give --vault-password-file FILE, {FILE_VARIABLE}, {PASSWORD_VARIABLE},"
    f" an entry in the system keyring (keyring set {KEYRING_SERVICE} SITE), or run it on a terminal"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPassword:
    """The password and where it came from; only the source is ever shown."""

    value: str = field(repr=False)
    source: str


def resolve_password(
    *,
    site: str,
    option: Path | None = None,
    environment: Mapping[str, str] | None = None,
    prompt: Callable[[str], str] | None = None,
    confirm: bool = False,
) -> VaultPassword:
    """Take the password from the first source that has one.

    In this order: the option's file, the file an environment variable names, an environment
    variable, the system keyring, the terminal. A file that is executable is run, and what it prints
    is the password, as with ansible-vault's client scripts.

    Args:
        site: Name of the site, under which a keyring keeps its password.
        option: File given on the command line.
        environment: Environment variables; the process's own by default.
        prompt: Asks on the terminal without echo; None when there is no terminal.
        confirm: Ask twice, because a new vault will be made with the answer.

    Raises:
        ConfigurationError: If no source has a password, or the first one that should cannot give it.
    """
    env = os.environ if environment is None else environment
    if option is not None:
        return _from_file(option, "--vault-password-file")
    if name := env.get(FILE_VARIABLE):
        return _from_file(Path(name), FILE_VARIABLE)
    if value := env.get(PASSWORD_VARIABLE):
        return VaultPassword(value=value, source=PASSWORD_VARIABLE)
    value, keyring_note = _from_keyring(site)
    if value:
        return VaultPassword(value=value, source=f"system keyring, entry {KEYRING_SERVICE}/{site}")
    if prompt is not None:
        return _from_prompt(site, prompt, confirm=confirm)
    raise ConfigurationError(f"there is no vault password for {site} ({keyring_note})", hint=_SOURCES)


def rehearsal_password(path: Path) -> VaultPassword:
    """The password of a rehearsal's vault: generated once into a private file of the rehearsal."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    return _from_file(path, "rehearsal")


def become_password(path: Path) -> VaultPassword:
    """Sudo's password on the hosts, from a file or a program that prints it.

    Raises:
        ConfigurationError: If it has none.
    """
    hint = "it must contain, or print, the password of the inventory's login"
    return _from_file(path, "--become-password-file", what="sudo password", hint=hint)


def _from_file(path: Path, name: str, *, what: str = "vault password", hint: str = _SOURCES) -> VaultPassword:
    source = f"{name}: {path}"
    try:
        if path.stat().st_mode & 0o111 and path.is_file():
            value = _stripped(_run_client(path, name), source, what, hint)
            return VaultPassword(value=value, source=f"{source} (client script)")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        hint = "name a readable file whose only content is the password"
        raise ConfigurationError(f"{source}: the {what} cannot be read: {reason}", hint=hint) from error
    return VaultPassword(value=_stripped(text, source, what, hint), source=source)


def _run_client(path: Path, name: str) -> str:
    source = f"{name}: {path}"
    try:
        # The operator named this program for exactly this purpose.
        done = subprocess.run(  # noqa: S603 - the operator's own program, without a shell
            [path.absolute()], stdin=subprocess.DEVNULL, capture_output=True, timeout=_CLIENT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "it takes too long" if isinstance(error, subprocess.TimeoutExpired) else str(error.strerror)
        hint = "run it by hand: it must print the password, or take its executable bit away if it is a plain file"
        raise ConfigurationError(f"{source}: the client script fails: {reason}", hint=hint) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        hint = said[-1] if said else "run it by hand to see why"
        raise ConfigurationError(f"{source}: the client script ends with {done.returncode}", hint=hint)
    return done.stdout.decode(errors="replace")


def _stripped(text: str, source: str, what: str, hint: str) -> str:
    password = text.strip()
    if not password:
        raise ConfigurationError(f"{source}: the {what} is empty", hint=hint)
    return password


def _from_keyring(site: str) -> tuple[str, str]:
    """The password the system keyring has, or why there is none."""
    import keyring  # noqa: PLC0415 - slow to import, and most runs have another source
    import keyring.errors  # noqa: PLC0415 - as above

    try:
        value = keyring.get_password(KEYRING_SERVICE, site)
    except keyring.errors.NoKeyringError:
        return "", "this machine has no system keyring"
    except keyring.errors.KeyringError as error:
        return "", f"the system keyring cannot be opened: {type(error).__name__}"
    return value or "", f"the system keyring has no entry {KEYRING_SERVICE}/{site}"


def _from_prompt(site: str, prompt: Callable[[str], str], *, confirm: bool) -> VaultPassword:
    value = prompt(f"Vault password of {site}: ")
    if not value:
        raise ConfigurationError("the vault password is empty", hint=_SOURCES)
    if confirm and prompt("The same once more: ") != value:
        raise ConfigurationError("the two vault passwords differ", hint="run the same command again")
    return VaultPassword(value=value, source="terminal")
