"""Write the run-time inventory: what Ansible is given of a site, without a secret in clear."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.site.model import Host, Site

HOSTS_FILE: Final = "hosts.json"
# Asking each host which Python it has would cost a round trip; Debian has one.
_PYTHON: Final = "/usr/bin/python3"
_FROM_VAULT: Final = "{{ sitewright_become_password }}"  # of the encrypted become.yml
# With one of these the hospital has its own way to root, and it stays.
_OWN_WAYS: Final = frozenset({"ansible_python_interpreter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalConnection:
    """How the hosts of a rehearsal are reached, whatever the inventory says of the real ones."""

    user: str
    private_key: Path
    known_hosts: Path


def write(
    site: Site,
    directory: Path,
    *,
    vault_file: Path,
    extra: Mapping[str, Any],
    python_as_root: bool,
    connection: RehearsalConnection | None = None,
    become_vault: bytes | None = None,
) -> Path:
    """Replace the run-time inventory in one step and return the file to hand to Ansible.

    Every value stands at its host, where it wins over the playbooks' wiring; nothing is set for the
    controller's own `localhost`.

    Args:
        site: The site.
        directory: Folder to make or replace.
        vault_file: The site's encrypted vault; it is linked, never read.
        extra: Further non-secret variables for all hosts.
        python_as_root: The login starts Python through sudo at once. For Mitogen, which else keeps two Pythons on
            each host, the login's and root's, and prepares the second in the first.
        connection: How to reach the hosts of a rehearsal.
        become_vault: Encrypted variables with sudo's password, when sudo asks for one; then the login cannot start
            Python as root at once.
    """
    python_as_root = python_as_root and become_vault is None
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        variables = fresh / "group_vars" / "all"
        variables.mkdir(parents=True)
        (variables / "vault.yml").symlink_to(vault_file.resolve())
        if become_vault is not None:
            (variables / "become.yml").write_bytes(become_vault)
            (variables / "become.yml").chmod(0o600)
        content = _inventory(site, extra, connection, python_as_root=python_as_root, sudo_asks=become_vault is not None)
        text = json.dumps(content, indent=2, sort_keys=True, default=str)
        (fresh / HOSTS_FILE).write_text(text + "\n", encoding="utf-8")
        _replace(fresh, directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return directory / HOSTS_FILE


def _inventory(
    site: Site,
    extra: Mapping[str, Any],
    connection: RehearsalConnection | None,
    *,
    python_as_root: bool,
    sudo_asks: bool,
) -> dict[str, Any]:
    become = {"ansible_become_password": _FROM_VAULT} if sudo_asks else {}
    hosts = {
        name: {**site.settings_of(name), **_connection(host, connection, python_as_root=python_as_root), **become}
        for name, host in site.hosts.items()
    }
    groups: dict[str, Any] = {
        group: {"hosts": {member: {} for member in members}} for group, members in site.groups.items()
    }
    variables = {
        "site": site.resolved(),
        "sitewright_certificates_dir": str(site.certificates_directory or ""),
        **extra,
    }
    return {"all": {"hosts": hosts, "children": groups, "vars": variables}}


def _connection(host: Host, connection: RehearsalConnection | None, *, python_as_root: bool) -> dict[str, Any]:
    common: dict[str, Any] = {"ansible_become": True, "ansible_python_interpreter": _PYTHON}
    own_way = connection is None and (
        _OWN_WAYS & host.connection.keys() or host.connection.get("ansible_user") == "root"
    )
    if python_as_root and not own_way:
        common = {"ansible_become": False, "ansible_python_interpreter": f"sudo -n -H -u root -- {_PYTHON}"}
    if connection is None:
        return {**common, "ansible_host": str(host.address), **host.connection}
    return {
        **common,
        "ansible_host": str(host.address),
        "ansible_user": connection.user,
        "ansible_ssh_private_key_file": str(connection.private_key),
        "ansible_ssh_common_args": f'-o "UserKnownHostsFile={connection.known_hosts}" -o StrictHostKeyChecking=yes',
    }


def _replace(fresh: Path, directory: Path) -> None:
    """Put the new folder in the old one's place; an interruption leaves one of the two, whole."""
    old = fresh.with_name(f"{fresh.name}.old")
    if directory.exists():
        directory.rename(old)
    fresh.rename(directory)
    shutil.rmtree(old, ignore_errors=True)
