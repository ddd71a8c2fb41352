"""What each role says about itself: packages, secrets, certificates, ports, data.

`roles/<role>/meta/sitewright.yml` is the one place where the rest of the house learns about a
role, so everything derived from it (bundle, vault, certificates, preflight, docs) stays in step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from installer.documents import Document, DocumentError, Problem, read_document

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL_HOSTS: Final = "all"
CONTROLLER: Final = "controller"
# Whoever opens the public name: anybody, unless the site names their networks.
USERS: Final = "users"

Usage = Literal["server", "client"]
ExtraName = Literal["public_name", "virtual_ip", "engine_name"]
# Who signs a certificate, and whose clients a listener lets in; each has a key of its own.
AuthorityName = Literal["site", "database"]
SITE_AUTHORITY: Final = "site"
Protocol = Literal["tcp", "udp", "vrrp"]
StartTls = Literal["postgresql"]
# How `rotate secrets` brings a new value to a running site:
# - both: the servers take the old one and the new one until the last stage;
# - switched: its stage changes it on the server, where connections that are open stay open;
# - paused: it is changed while those who log in with it stand still for a moment;
# - agreed: no login but something several programs must have alike; all of them take it at the same moment;
# - kept: it is not rotated, for the reason that is given.
Rotation = Literal["both", "switched", "paused", "agreed", "kept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSpec:
    """A secret the site gets once, kept in its vault as `vault_<name>`.

    Attributes:
        name: Its name, without the `vault_` in front.
        length: How many letters and digits it has.
        rotation: How it is made anew on a running site.
        reason: Why it is not.
    """

    name: str
    length: int
    rotation: Rotation
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSpec:
    """A key pair each host of the role's group needs."""

    service: str
    usages: tuple[Usage, ...]
    names: tuple[ExtraName, ...]
    authority: AuthorityName


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSpec:
    """Something that listens, who may talk to it, and how it is protected.

    Attributes:
        port: Its number, or the role variable that holds it (see `installer.manifests.shared`).
        protocol: Of the transport layer, or the name of an IP protocol.
        purpose: What it is for.
        sources: Groups whose hosts connect; `all`, the `controller`, and the hospital's `users`.
        tls: Version of TLS it speaks.
        reason: Why it speaks none.
        starttls: Protocol in which a client asks for TLS, when it does not begin with it.
        server_name: Name of the site a client asks for; None for the host's own full name.
        authority: Who signed its certificate and those of the clients it lets in.
    """

    port: int | str
    protocol: Protocol
    purpose: str
    sources: tuple[str, ...]
    tls: Literal["1.3", "none"]
    reason: str
    starttls: StartTls | None
    server_name: ExtraName | None
    authority: AuthorityName


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationSpec:
    """A system outside the site that a role's hosts connect to by TCP, when the operator names it.

    Attributes:
        servers: Role variable with a list of mappings, each with an `address`.
        port: Role variable with the port they listen on.
        purpose: What it is for.
    """

    servers: str
    port: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleManifest:
    """All that others may know about a role.

    Attributes:
        role: Name of the role.
        path: The manifest's file.
        group: Inventory group whose hosts get the role, or `all`.
        packages: Debian packages, the payloads' among them.
        early_files: Files, by path, that must be there before the packages are installed.
        secrets: Secrets by name, without the `vault_` in front.
        certificates: Certificates by service.
        ports: Everything that listens.
        destinations: Systems outside the site its hosts connect to.
        entered_secrets: Secrets the operator enters into the vault, by name, each with the role variable that asks
            for it by not being empty.
        data_directories: Where data lives that must not be lost: paths, or role variables that hold them.
        fsync_directories: Directories whose disk must be quick to sync, likewise.
        shared: Role variables that others read as well, beside those of ports and directories.
        shared_by_host: Likewise, but each host may have a value of its own.
        overridable: Role variables the wiring sets and an operator may set to something better.
    """

    role: str
    path: Path
    group: str
    packages: tuple[str, ...]
    early_files: Mapping[str, str]
    secrets: Mapping[str, SecretSpec]
    certificates: Mapping[str, CertificateSpec]
    ports: tuple[PortSpec, ...]
    destinations: tuple[DestinationSpec, ...]
    entered_secrets: Mapping[str, str]
    data_directories: tuple[str, ...]
    fsync_directories: tuple[str, ...]
    shared: tuple[str, ...]
    shared_by_host: tuple[str, ...]
    overridable: tuple[str, ...]


@cache
def known_manifests() -> dict[str, RoleManifest]:
    """This checkout's manifests, read once per process and its forks, after the installer has checked them."""
    return load_manifests(Path(__file__).resolve().parents[2], checked=True)


def load_manifests(root: Path, *, checked: bool = False) -> dict[str, RoleManifest]:
    """Read the manifest of every role under `root`/roles, by role name.

    Args:
        root: The checkout.
        checked: The installer has read them before in this run, so their form needs no second look.
            For filter plugins, which run once per task and host: the look costs 0.13 s.

    Raises:
        DocumentError: With everything that is wrong in any of them.
    """
    manifests: dict[str, RoleManifest] = {}
    problems: list[Problem] = []
    for path in sorted((root / "roles").glob("*/meta/sitewright.yml")):
        role = path.parent.parent.name
        try:
            document = read_document(path, own=True)
            if not checked:
                _check(document)
            manifests[role] = _manifest(role, document)
        except DocumentError as error:
            problems += error.problems
    problems += _contradictions(manifests)
    if problems:
        raise DocumentError(problems)
    return manifests


def roles_of(manifests: Mapping[str, RoleManifest], groups: tuple[str, ...]) -> list[RoleManifest]:
    """The roles a host in these groups gets, by name."""
    return [manifests[role] for role in sorted(manifests) if manifests[role].group in (ALL_HOSTS, *groups)]


def _check(document: Document) -> None:
    from installer.manifests.schema import check  # noqa: PLC0415 - see `checked` above

    check(document)


def _manifest(role: str, document: Document) -> RoleManifest:
    said: dict[str, Any] = document.value
    return RoleManifest(
        role=role,
        path=document.path,
        group=said["group"],
        packages=tuple(said.get("packages", ())),
        early_files=said.get("early_files", {}),
        secrets={
            name: SecretSpec(name=name, length=spec["length"], rotation=spec["rotation"], reason=spec.get("reason", ""))
            for name, spec in said.get("secrets", {}).items()
        },
        certificates={
            service: CertificateSpec(
                service=service,
                usages=tuple(spec["usages"]),
                names=tuple(spec.get("names", ())),
                authority=spec.get("authority", SITE_AUTHORITY),
            )
            for service, spec in said.get("certificates", {}).items()
        },
        ports=tuple(_port(port) for port in said.get("ports", ())),
        destinations=tuple(DestinationSpec(**destination) for destination in said.get("destinations", ())),
        entered_secrets=said.get("entered_secrets", {}),
        data_directories=tuple(said.get("data_directories", ())),
        fsync_directories=tuple(said.get("fsync_directories", ())),
        shared=tuple(said.get("shared", ())),
        shared_by_host=tuple(said.get("shared_by_host", ())),
        overridable=tuple(said.get("overridable", ())),
    )


def _port(said: dict[str, Any]) -> PortSpec:
    return PortSpec(
        port=said["port"],
        protocol=said.get("protocol", "tcp"),
        purpose=said["purpose"],
        sources=tuple(said["from"]),
        tls=said["tls"],
        reason=said.get("reason", ""),
        starttls=said.get("starttls"),
        server_name=said.get("server_name"),
        authority=said.get("authority", SITE_AUTHORITY),
    )


def _contradictions(manifests: Mapping[str, RoleManifest]) -> list[Problem]:
    """Two roles that claim one certificate, or one secret with two lengths or rotations."""
    problems = []
    certificates: dict[str, RoleManifest] = {}
    secrets: dict[str, tuple[SecretSpec, RoleManifest]] = {}
    for manifest in manifests.values():
        for service in manifest.certificates:
            other = certificates.setdefault(service, manifest)
            if other is not manifest:
                what = f"certificates.{service} is also declared by role {other.role}"
                problems.append(Problem(str(manifest.path), what, "let one role declare it"))
        for name, spec in manifest.secrets.items():
            first, owner = secrets.setdefault(name, (spec, manifest))
            if first != spec:
                what = (
                    f"secrets.{name} has length {spec.length} and rotation {spec.rotation},"
                    f" in role {owner.role} {first.length} and {first.rotation}"
                )
                problems.append(Problem(str(manifest.path), what, "agree on one of each"))
    return problems
