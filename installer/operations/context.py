"""What an operation works with: the site, its secrets, and the means to act on its hosts."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from installer.bundle import inspect
from installer.controller.logins import close_logins, sockets_folder
from installer.controller.release import read_release
from installer.errors import BundleError
from installer.manifests import load_manifests
from installer.pki import Wanted, certificates_wanted, ensure_authority, read_custom
from installer.playbooks.runner import Runner, RunnerSettings, mitogen_available
from installer.preflight import CHECKS
from installer.rehearsal.access import ssh_argv
from installer.rehearsal.lifecycle import find
from installer.site import load_site, runtime
from installer.site.connection import login_argv
from installer.site.runtime import RehearsalConnection
from installer.vault import (
    VAULT_PREFIX,
    catalog,
    ensure_vault,
    read_vault,
    redactions,
    rehearsal_password,
    resolve_password,
    vault_client,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths
    from installer.controller.release import Release
    from installer.manifests import RoleManifest
    from installer.operations.request import Request, StrategyChoice
    from installer.playbooks.runner import Strategy
    from installer.rehearsal.model import Rehearsal
    from installer.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext:
    """An opened site.

    Attributes:
        request: What was asked for.
        paths: Where things are on the controller.
        terminal: The one writer.
        site: The site.
        manifests: The roles' manifests by role.
        state: Folder of this site's (or rehearsal's) journal, runs, facts and evidence.
        secrets: The vault's values, named without their prefix.
        ssh: Host to the command that logs into it.
        rehearsal: The throwaway hosts, when these are the ones worked on.
        runner: Runs playbooks on the site's hosts.
        release: Which release of Sitewright this is.
    """

    request: Request
    paths: Paths
    terminal: Terminal
    site: Site
    manifests: Mapping[str, RoleManifest]
    state: Path
    secrets: Mapping[str, str] = field(repr=False)
    ssh: Mapping[str, tuple[str, ...]]
    rehearsal: Rehearsal | None
    runner: Runner
    release: Release

    @property
    def bundle(self) -> Path:
        """The bundle to install from."""
        return self.request.bundle or self.paths.bundle

    @property
    def authority(self) -> Path:
        """Folder of the site's certificate authority."""
        return self.state / "pki"


def load(request: Request, paths: Paths) -> tuple[Site, Mapping[str, RoleManifest]]:
    """Read and check the site; nothing is made or touched.

    Raises:
        ConfigurationError: With everything that is wrong.
    """
    manifests = load_manifests(paths.root)
    site = load_site(
        request.inventory_folder(paths), manifests=manifests, rehearsal=request.rehearse, check_ids=set(CHECKS)
    )
    return site, manifests


def state_folder(site: Site, paths: Paths) -> Path:
    """Where a site's journal and all that belongs to it is kept."""
    return paths.rehearsal(site.name) if site.rehearsal else paths.site_state(site.name)


@contextmanager
def opened(request: Request, paths: Paths, terminal: Terminal) -> Iterator[OperationContext]:
    """Open a site for as long as the block runs: secrets, authority, inventory, runner.

    Raises:
        ConfigurationError: If anything the operator gave cannot be used.
    """
    site, manifests = load(request, paths)
    state = state_folder(site, paths)
    rehearsal, connection = _rehearsal(site, paths)
    password, vault = _vault_password(request, site, state)
    terminal.hide([password])
    secrets = _secrets(vault, password, manifests, terminal)
    terminal.hide(redactions(secrets.values()))
    ensure_authority(state / "pki", secrets["ca_passphrase"], name=site.name)
    _check_custom_certificates(site, manifests)
    bundle, release = (request.bundle or paths.bundle).absolute(), read_release(paths.root)
    extra = {
        "sitewright_bundle_dir": str(bundle),
        "sitewright_bundle_id": _bundle_id(bundle),
        "sitewright_pki_dir": str(state / "pki"),
        "sitewright_release": release.version,
    }
    strategy = chosen_strategy(request.strategy)
    inventory = runtime.write(
        site,
        state / "inventory",
        vault_file=vault,
        extra=extra,
        python_as_root=strategy == "mitogen",
        connection=connection,
    )
    with ExitStack() as stack:
        client = stack.enter_context(vault_client(password))
        runner = Runner(
            RunnerSettings(
                root=paths.root,
                inventory=inventory,
                vault_password_client=client.script,
                facts=state / "facts",
                sockets=sockets_folder(state),
                forks=max(5, len(site.hosts)),
                strategy=strategy,
                environment=client.environment,
            ),
            redact=terminal.redact,
        )
        stack.callback(close_logins, sockets_folder(state))
        stack.enter_context(terminal.logging_to(state / "log.jsonl"))
        terminal.note("begin", command=request.command, process=os.getpid())
        yield OperationContext(
            request=request,
            paths=paths,
            terminal=terminal,
            site=site,
            manifests=manifests,
            state=state,
            secrets=secrets,
            ssh=_logins(site, rehearsal, sockets_folder(state)),
            rehearsal=rehearsal,
            runner=runner,
            release=release,
        )


def _bundle_id(bundle: Path) -> str:
    """What tells the bundle from others; empty when there is none, which matters only to those who need it."""
    try:
        return inspect(bundle).identity
    except BundleError:
        return ""


def chosen_strategy(choice: StrategyChoice) -> Strategy:
    """The fast strategy when it is installed, unless the operator chose."""
    if choice == "auto":
        return "mitogen" if mitogen_available() else "stock"
    return choice


def _rehearsal(site: Site, paths: Paths) -> tuple[Rehearsal | None, RehearsalConnection | None]:
    """The throwaway hosts and how to reach them; nothing for a real site."""
    if not site.rehearsal:
        return None, None
    rehearsal = find(site.name, paths)
    connection = RehearsalConnection(
        user=rehearsal.user, private_key=rehearsal.private_key, known_hosts=rehearsal.known_hosts
    )
    return rehearsal, connection


def _logins(site: Site, rehearsal: Rehearsal | None, sockets: Path) -> dict[str, tuple[str, ...]]:
    """For each host the command that logs into it and runs what follows."""
    if rehearsal is not None:
        return {name: tuple(ssh_argv(rehearsal, name)) for name in site.hosts}
    return {name: tuple(login_argv(host, sockets)) for name, host in site.hosts.items()}


def _vault_password(request: Request, site: Site, state: Path) -> tuple[str, Path]:
    """The vault's password and file: in the inventory, or with the rehearsal it belongs to."""
    if site.rehearsal:
        return rehearsal_password(state / "vault-password").value, state / "vault.yml"
    vault = site.path / "vault.yml"
    password = resolve_password(
        site=site.name,
        option=request.vault_password_file,
        prompt=getpass.getpass if sys.stdin.isatty() else None,
        confirm=not vault.exists(),
    )
    return password.value, vault


def _secrets(vault: Path, password: str, manifests: Mapping[str, RoleManifest], terminal: Terminal) -> dict[str, str]:
    """The site's secrets; those it lacks are made."""
    if ensure_vault(vault, password, catalog(manifests)):
        terminal.say(f"wrote new secrets to {vault}")
    values = read_vault(vault, password)
    return {name.removeprefix(VAULT_PREFIX): str(value) for name, value in values.items()}


def _check_custom_certificates(site: Site, manifests: Mapping[str, RoleManifest]) -> None:
    """Look at custom certificates, when the site has some."""
    if site.certificates_directory is None:
        return

    resolved = site.resolved()
    wanted = {
        host: {
            service: Wanted.from_variables(want)
            for service, want in certificates_wanted(resolved, host, manifests).items()
        }
        for host in site.hosts
    }
    read_custom(site.certificates_directory, wanted)
