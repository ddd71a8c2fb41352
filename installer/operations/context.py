"""What an operation works with: the site, its secrets, and the means to act on its hosts."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.bundle import inspect
from installer.bundle.closure import carried_packages
from installer.checks.audit.catalog import checks as audit_checks
from installer.checks.preflight import CHECKS
from installer.controller.logins import close_logins, sockets_folder
from installer.controller.release import read_release
from installer.errors import BundleError
from installer.manifests import load_manifests
from installer.manifests.controls import control_checks
from installer.operations.keeping import Keeper
from installer.pki import Wanted, certificates_wanted, read_custom
from installer.playbooks.runner import Runner, RunnerSettings, mitogen_available
from installer.rehearsal.access import ssh_argv
from installer.rehearsal.lifecycle import find
from installer.site import load_site, runtime
from installer.site.connection import login_argv
from installer.site.runtime import RehearsalConnection
from installer.vault import become_variables, redactions, vault_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths
    from installer.controller.release import Release
    from installer.manifests import RoleManifest
    from installer.operations.request import Request, SecretsUse, StrategyChoice
    from installer.playbooks.runner import Strategy
    from installer.rehearsal.model import Rehearsal
    from installer.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteContext:
    """A site that is looked at: enough to ask its hosts, and nothing of it is made.

    Attributes:
        request: What was asked for.
        paths: Where things are on the controller.
        terminal: The one writer.
        site: The site.
        manifests: The roles' manifests by role.
        state: Folder of this site's (or rehearsal's) journal, runs, facts and evidence.
        ssh: Host to the command that logs into it.
        rehearsal: The throwaway hosts, when these are the ones worked on.
        become_password: Gives sudo's password, or None; the vault is opened for it only when somebody asks.
        release: Which release of Sitewright this is.
    """

    request: Request
    paths: Paths
    terminal: Terminal
    site: Site
    manifests: Mapping[str, RoleManifest]
    state: Path
    ssh: Mapping[str, tuple[str, ...]]
    rehearsal: Rehearsal | None
    become_password: Callable[[], str | None] = field(repr=False)
    release: Release

    @property
    def bundle(self) -> Path:
        """The bundle to install from."""
        return self.paths.bundle_or(self.request.bundle)

    @property
    def keeper(self) -> Keeper:
        """Who knows where the site's secrets are."""
        return Keeper(
            request=self.request, site=self.site, state=self.state, manifests=self.manifests, terminal=self.terminal
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext(SiteContext):
    """An opened site.

    Attributes:
        secrets: The vault's values, named without their prefix.
        vault_password: The vault's password.
        authority: Folder of the site's certificate authority.
        carried: For each role the packages it asks for and needs, with the bundle's versions; empty without a bundle.
        runner: Runs playbooks on the site's hosts.
    """

    secrets: Mapping[str, str] = field(repr=False)
    vault_password: str = field(repr=False)
    authority: Path
    carried: Mapping[str, Mapping[str, str]]
    runner: Runner


def once(ask: Callable[[], str | None]) -> Callable[[], str | None]:
    """Ask when the answer is first wanted, from whichever thread, and never again."""
    lock, answers = threading.Lock(), list[str | None]()

    def answer() -> str | None:
        with lock:
            if not answers:
                answers.append(ask())
            return answers[0]

    return answer


def load(request: Request, paths: Paths) -> tuple[Site, Mapping[str, RoleManifest]]:
    """Read and check the site; nothing is made or touched.

    Raises:
        ConfigurationError: With everything that is wrong.
    """
    manifests = load_manifests(paths.root)
    site = load_site(
        request.inventory_folder(paths),
        manifests=manifests,
        rehearsal=request.rehearse,
        check_ids={*CHECKS, *control_checks(), *audit_checks()},
    )
    return site, manifests


def state_folder(site: Site, paths: Paths) -> Path:
    """Where a site's journal and all that belongs to it is kept."""
    return paths.rehearsal(site.name) if site.rehearsal else paths.site_state(site.name)


@contextmanager
def looked_at(request: Request, paths: Paths, terminal: Terminal) -> Iterator[SiteContext]:
    """A site to look at for as long as the block runs; no secret is asked for, made or read.

    Raises:
        ConfigurationError: If anything the operator gave cannot be used.
    """
    site, manifests = load(request, paths)
    state = state_folder(site, paths)
    rehearsal, _ = _rehearsal(site, paths)
    _check_custom_certificates(site, manifests)
    with ExitStack() as stack:
        stack.callback(close_logins, sockets_folder(state))
        stack.enter_context(terminal.logging_to(state / "log.jsonl"))
        terminal.note("begin", command=request.command, process=os.getpid())
        keeper = Keeper(request=request, site=site, state=state, manifests=manifests, terminal=terminal)
        yield SiteContext(
            request=request,
            paths=paths,
            terminal=terminal,
            site=site,
            manifests=manifests,
            state=state,
            ssh=_logins(site, rehearsal, sockets_folder(state)),
            rehearsal=rehearsal,
            become_password=once(keeper.become_password),
            release=read_release(paths.root),
        )


@contextmanager
def opened(
    request: Request, paths: Paths, terminal: Terminal, *, use: SecretsUse = "make"
) -> Iterator[OperationContext]:
    """Open a site for as long as the block runs: secrets, authority, inventory, runner.

    Raises:
        InstallerError: If anything the operator gave cannot be used.
    """
    with looked_at(request, paths, terminal) as seen, opened_further(seen, use) as context:
        yield context


@contextmanager
def opened_further(seen: SiteContext, use: SecretsUse) -> Iterator[OperationContext]:
    """Add to a site that is looked at what it takes to work on it.

    Args:
        seen: The site.
        use: Whether the secrets and the authority are made, read or tried; see `Keeper.open`.

    Raises:
        InstallerError: If anything the operator gave cannot be used.
    """
    request, paths, site, state = seen.request, seen.paths, seen.site, seen.state
    with ExitStack() as stack:
        kept = stack.enter_context(seen.keeper.open(use))
        seen.terminal.hide(redactions(kept.secrets.values()))
        bundle = seen.bundle.absolute()
        bundle_id, carried = _read_bundle(bundle, site, seen.manifests)
        extra: dict[str, Any] = {
            "sitewright_bundle_dir": str(bundle),
            "sitewright_bundle_id": bundle_id,
            "sitewright_packages": carried,
            "sitewright_pki_dir": str(kept.authority),
            "sitewright_release": seen.release.version,
        }
        strategy = chosen_strategy(request.strategy)
        become = seen.keeper.become_password(kept.secrets)
        _, connection = _rehearsal(site, paths)
        inventory = runtime.write(
            site,
            # What is only tried must not lie where a real run reads.
            state / ("inventory-tried" if use == "try" else "inventory"),
            vault_file=kept.vault,
            extra=extra,
            python_as_root=strategy == "mitogen",
            connection=connection,
            become_vault=become_variables(become, kept.password) if become else None,
        )
        client = stack.enter_context(vault_client(kept.password))
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
            redact=seen.terminal.redact,
        )
        known = {each.name: getattr(seen, each.name) for each in fields(SiteContext)}
        known["become_password"] = lambda: become
        yield OperationContext(
            **known,
            secrets=kept.secrets,
            vault_password=kept.password,
            authority=kept.authority,
            carried=carried,
            runner=runner,
        )


def _read_bundle(
    bundle: Path, site: Site, manifests: Mapping[str, RoleManifest]
) -> tuple[str, dict[str, dict[str, str]]]:
    """What tells the bundle from others, and what it carries; nothing without one, which whoever needs one says."""
    try:
        manifest = inspect(bundle)
        return manifest.identity, carried_packages(bundle, manifest, site.resolved(), manifests)
    except BundleError:
        return "", {}


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
    """For each host the command that logs into it and runs what follows; of a rehearsal, for those that were booted."""
    if rehearsal is not None:
        return {name: tuple(ssh_argv(rehearsal, name)) for name in site.hosts if name in rehearsal.spec.hosts}
    return {name: tuple(login_argv(host, sockets)) for name, host in site.hosts.items()}


def _check_custom_certificates(site: Site, manifests: Mapping[str, RoleManifest]) -> None:
    """Look at custom certificates, when the site has some."""
    if site.certificates_directory is None:
        return

    resolved = site.resolved()
    wanted = {
        host: {
            service: Wanted.from_variables(want)
            for service, want in certificates_wanted(resolved, host, manifests).items()
            if "authority" not in want  # the others are the private authority's, whatever the hospital has
        }
        for host in site.hosts
    }
    read_custom(site.certificates_directory, wanted)
