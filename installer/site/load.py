"""Read a site's inventory into a checked `Site`, or say everything that is wrong with it."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from installer.documents import Document, DocumentError, Problem, nearest, read_document, shown
from installer.documents.schema import refusal, validate
from installer.site.applications import choose_applications
from installer.site.connection import KEY_VARIABLE, key_fault, key_file
from installer.site.forms import FORMS, LARGEST_NETWORK, is_address, is_one_line
from installer.site.inventory import HOSTS_FILE, SITE_KEY, Inventory, Scope, read_inventory
from installer.site.model import GROUPS, Host, Setting, Site, SiteClass, Waiver
from installer.site.relations import relations
from installer.site.role_variables import Option, check_value, read_role_variables
from installer.site.rules import RULES, Rule, connections
from installer.site.shared import listeners, resolve_shared, wired_variables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from installer.documents import Source
    from installer.manifests import RoleManifest

_SITE_FILE: Final = "group_vars/all/site.yml"
_SITE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# A network of two addresses would hold a host and no virtual IP.
_SMALLEST_NETWORK: Final = 30
# DNS allows 253 characters; a host's own name of up to 32 stands before the domain.
_LONGEST_NAME: Final = 220
_DOMAIN: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refusal(f"is {shown(value)}: {error}", "write the subnet like 10.20.0.0/24") from error
    if not LARGEST_NETWORK <= network.prefixlen <= _SMALLEST_NETWORK or not is_address(str(network.network_address)):
        fix = f"write the hosts' own subnet like 10.20.0.0/24, /{LARGEST_NETWORK} to /{_SMALLEST_NETWORK}"
        raise refusal(f"is {value!r}, no subnet of hosts", fix)
    return network


def _address(value: object) -> object:
    try:
        return ipaddress.IPv4Address(value) if isinstance(value, str) else value
    except ValueError as error:
        raise refusal(f"is {shown(value)}: {error}", "write an IPv4 address like 10.20.0.10") from error


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value) or len(value) > _LONGEST_NAME:
        raise refusal(f"is {shown(value)}, not a full domain name", "write it in lower case, like hospital-a.internal")
    return value


def _timezone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        # A controller without a time zone database cannot judge; base's role then fails on the host.
        if known:
            guess = nearest(value, known)
            fix = f"did you mean {guess}?" if guess else "write it like Europe/Vienna or UTC"
            raise refusal(f"is {shown(value)}, not a time zone", fix) from None
    return value


def _date(value: object) -> object:
    """A date in quotes is text to YAML; what is meant is plain."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise refusal(f"is {value!r}: {error}", "write a date like 2027-01-31") from error
    return value


def _line(value: str) -> str:
    if not value.strip():
        raise refusal("is empty", "write a text, or leave the key out")
    if not is_one_line(value):
        raise refusal(f"is {shown(value)}", f"allowed: {FORMS['one_line'].words}")
    return value


def _site_name(value: str) -> str:
    if not _SITE_NAME.fullmatch(value):
        fix = "allowed: lower-case letters, digits and hyphens, 2 to 32, a letter first, no hyphen last"
        raise refusal(f"is {shown(value)}", fix)
    return value


Network = Annotated[ipaddress.IPv4Network, BeforeValidator(_network)]
Address = Annotated[ipaddress.IPv4Address, BeforeValidator(_address)]
Line = Annotated[str, AfterValidator(_line)]
Domain = Annotated[str, AfterValidator(_domain)]
SiteName = Annotated[str, AfterValidator(_site_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Waiver(_Strict):
    check: Line
    host: Line | None = None
    about: Line | None = None
    reason: Line
    expires: Annotated[date, BeforeValidator(_date)]


class _Tls(_Strict):
    certificates: Line


class _HostCaps(_Strict):
    address: Address | None = None
    memory_mb: int | None = Field(default=None, ge=1024, le=16 * 1024 * 1024)
    cores: int | None = Field(default=None, ge=1, le=4096)


class _SiteFile(_Strict):
    name: SiteName
    site_class: SiteClass = "production"
    domain: Domain
    public_name: Domain
    network: Network
    virtual_ip: Address
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    tls: _Tls | None = None
    applications: list[Line] = []
    hosts: dict[str, _HostCaps] = {}
    waivers: list[_Waiver] = []


def load_site(
    path: Path,
    *,
    manifests: Mapping[str, RoleManifest],
    rehearsal: bool = False,
    check_ids: Collection[str] | None = None,
    rules: Iterable[Rule] = (),
    today: date | None = None,
) -> Site:
    """Read and check a site's inventory.

    Args:
        path: The inventory folder.
        manifests: The roles, whose argument specifications name the variables that may be set.
        rehearsal: Whether the hosts will be throwaway containers.
        check_ids: Ids of the checks which waivers may name; None leaves them unchecked.
        rules: Further rules for the site as a whole.
        today: The day on which waivers are judged.

    Raises:
        DocumentError: With everything that is wrong.
    """
    if not _is_folder(path):
        raise DocumentError([Problem(str(path), "is not an inventory folder", _choice_of_sites(path))])
    inventory = read_inventory(path)
    model = _read_site_file(inventory)
    roles = sorted({manifest.path.parents[2] for manifest in manifests.values()})
    variables = read_role_variables(role for folder in roles for role in sorted(folder.iterdir()))
    wired = {name: by for folder in roles for name, by in wired_variables(folder.parent, manifests).items()}
    _check_variables(inventory, variables, wired)
    if model is None or inventory.problems:
        raise DocumentError(inventory.problems)
    document = inventory.site
    if document is None:  # _read_site_file has reported it
        raise DocumentError(inventory.problems)
    hosts = _hosts(inventory, document, model, rehearsal=rehearsal)
    waivers = _waivers(inventory, document, model, check_ids, today or datetime.now(UTC).date())
    certificates = _certificates_directory(inventory, document, model)
    applications = choose_applications(inventory, document, model.applications, roles)
    _check_other_sites(inventory, document, model.name)
    if len(hosts) < len(inventory.hosts):
        raise DocumentError(inventory.problems)
    site = Site(
        path=path,
        name=model.name,
        site_class=model.site_class,
        domain=model.domain,
        public_name=model.public_name,
        network=model.network,
        virtual_ip=model.virtual_ip,
        timezone=model.timezone,
        rehearsal=rehearsal,
        hosts=hosts,
        groups={group: tuple(name for name in hosts if group in hosts[name].groups) for group in GROUPS},
        waivers=waivers,
        applications=applications,
        certificates_directory=certificates,
        sources={key: document.at(SITE_KEY, key) for key in _SiteFile.model_fields},
    )
    site, contradictions = resolve_shared(site, manifests, variables)
    inventory.problems += contradictions
    defaults = {name: option.default for name, option in variables.items()}
    computed = {name for manifest in manifests.values() for name in manifest.overridable}
    related = relations([role for folder in roles for role in sorted(folder.iterdir())], variables, computed)
    for rule in (*RULES, listeners(manifests), connections(defaults), related, *rules):
        inventory.problems += rule(site)
    if inventory.problems:
        raise DocumentError(inventory.problems)
    return site


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name longer than any
        return False


def _read_site_file(inventory: Inventory) -> _SiteFile | None:
    if inventory.site is None:
        where = str(inventory.path / _SITE_FILE)
        fix = f"describe the site there under {SITE_KEY}: (see inventories/clinic)"
        inventory.problems.append(Problem(where, f"{SITE_KEY} is missing", fix))
        return None
    try:
        return validate(_SiteFile, inventory.site, at=(SITE_KEY,))
    except DocumentError as error:
        inventory.problems += error.problems
        return None


def _check_variables(inventory: Inventory, variables: Mapping[str, Option], wired: Mapping[str, str]) -> None:
    for scope in (inventory.everyone, *inventory.by_group.values(), *inventory.by_host.values()):
        for name, setting in scope.settings.items():
            document = scope.documents[name]
            prefix = _keys_before(document, name, setting.source)
            for fault in check_value(name, setting.value, variables, wired):
                inventory.report(document.at(*prefix, *fault.keys), fault.what, fault.fix)


def _keys_before(document: Document, name: str, source: Source) -> tuple[str | int, ...]:
    """The keys that lead to a variable, which may stand deep in hosts.yml."""
    for keys, line in document.lines.items():
        if keys and keys[-1] == name and line == source.line:
            return keys
    return ()


def _hosts(inventory: Inventory, document: Document, model: _SiteFile, *, rehearsal: bool) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for name in model.hosts:
        if name not in inventory.hosts:
            guess = nearest(name, inventory.hosts)
            fix = f"did you mean {guess}?" if guess else f"known hosts: {', '.join(inventory.hosts)}"
            inventory.report(document.at(SITE_KEY, "hosts", name), f"there is no host {name} in {HOSTS_FILE}", fix)
    for name, source in inventory.hosts.items():
        caps = model.hosts.get(name) or _HostCaps()
        groups = inventory.groups_of(name)
        connection = _merge(inventory, name, groups, lambda scope: scope.connection)
        settings = _merge(inventory, name, groups, lambda scope: scope.settings)
        if not groups:
            fix = f"add it to a group under children: {', '.join(GROUPS)}"
            inventory.report(source, f"{name} is in no group", fix)
        address = caps.address or _ansible_host(inventory, name, source, connection)
        if address is None:
            continue
        hosts[name] = Host(
            name=name,
            address=address,
            fqdn=f"{name}.{model.domain}",
            groups=groups,
            memory_mb=caps.memory_mb,
            cores=caps.cores,
            connection=_connection(inventory, connection, rehearsal=rehearsal),
            settings=settings,
            source=source,
        )
    return hosts


def _connection(inventory: Inventory, settings: Mapping[str, Setting], *, rehearsal: bool) -> dict[str, Any]:
    """How a host is reached; a key's file is looked at and becomes absolute, the same for all that use it."""
    connection = {name: setting.value for name, setting in settings.items()}
    key = settings.get(KEY_VARIABLE)
    if key is None or rehearsal:  # throwaway hosts have a key of their own
        return connection
    if wrong := key_fault(key.value):
        inventory.report(key.source, wrong.what, wrong.fix)
        return connection
    return {**connection, KEY_VARIABLE: str(key_file(key.value))}


def _ansible_host(
    inventory: Inventory, name: str, source: Source, connection: Mapping[str, Setting]
) -> ipaddress.IPv4Address | None:
    setting = connection.get("ansible_host")
    if setting is None:
        inventory.report(source, f"{name} has no address", "add ansible_host: with the host's IPv4 address")
        return None
    try:
        return ipaddress.IPv4Address(setting.value)
    except ValueError:
        fix = f"write the IPv4 address here, or add {SITE_KEY}.hosts.{name}.address to {_SITE_FILE}"
        inventory.report(setting.source, f"ansible_host of {name} is {shown(setting.value)}", fix)
        return None


def _merge(inventory: Inventory, host: str, groups: tuple[str, ...], part: Any) -> dict[str, Setting]:
    """A host's variables: its own win over its groups', theirs over everyone's."""
    of_groups: dict[str, Setting] = {}
    own: dict[str, Setting] = part(inventory.by_host.get(host) or Scope())
    for group in groups:
        for name, setting in part(inventory.by_group.get(group) or Scope()).items():
            first = of_groups.setdefault(name, setting)
            if first.value != setting.value and name not in own:
                what = f"{name} of {host} is also set in {first.source}, to another value"
                inventory.report(setting.source, what, f"set it for {host} itself in host_vars/{host}.yml")
    return {**part(inventory.everyone), **of_groups, **own}


def _waivers(
    inventory: Inventory, document: Document, model: _SiteFile, check_ids: Collection[str] | None, today: date
) -> tuple[Waiver, ...]:
    waivers = []
    for index, waiver in enumerate(model.waivers):
        keys = (SITE_KEY, "waivers", index)
        if check_ids is not None and waiver.check not in check_ids:
            guess = nearest(waiver.check, check_ids)
            fix = f"did you mean {guess}?" if guess else f"known checks: {', '.join(sorted(check_ids))}"
            inventory.report(document.at(*keys, "check"), f"there is no check {waiver.check}", fix)
        if waiver.host is not None and waiver.host not in inventory.hosts:
            guess = nearest(waiver.host, inventory.hosts)
            fix = f"did you mean {guess}?" if guess else f"known hosts: {', '.join(inventory.hosts)}"
            inventory.report(document.at(*keys, "host"), f"there is no host {waiver.host}", fix)
        if waiver.expires < today:
            what = f"the waiver of {waiver.check} expired on {waiver.expires}"
            inventory.report(document.at(*keys, "expires"), what, "cure the cause, or extend it with a new reason")
        waivers.append(
            Waiver(
                check=waiver.check,
                host=waiver.host,
                about=waiver.about,
                reason=waiver.reason,
                expires=waiver.expires,
                source=document.at(*keys),
            )
        )
    return tuple(waivers)


def _certificates_directory(inventory: Inventory, document: Document, model: _SiteFile) -> Path | None:
    if model.tls is None:
        return None
    folder = inventory.path / model.tls.certificates
    if not folder.is_dir():
        source = document.at(SITE_KEY, "tls", "certificates")
        fix = "name a folder (relative to the inventory) with <host's full name>/<service>.crt and .key, and ca.crt"
        inventory.report(source, f"{SITE_KEY}.tls.certificates: there is no folder {folder}", fix)
    return folder.resolve()


def _check_other_sites(inventory: Inventory, document: Document, name: str) -> None:
    """Two sites of one name would share state on the controller."""
    own = inventory.path.resolve()
    for other in sorted(own.parent.glob(f"*/{_SITE_FILE}")):
        if other.parents[2].resolve() == own:
            continue
        try:
            content = read_document(other).value
        except DocumentError:
            continue  # it is reported when that site is the one to load
        described = content.get(SITE_KEY) if isinstance(content, dict) else None
        if isinstance(described, dict) and described.get("name") == name:
            source = document.at(SITE_KEY, "name")
            inventory.report(source, f"the name {name} is also used by {other}", "give each site its own name")


def _choice_of_sites(path: Path) -> str:
    names = sorted(folder.parent.name for folder in path.parent.glob(f"*/{HOSTS_FILE}"))
    if not names:
        return f"make the folder with {HOSTS_FILE} and {_SITE_FILE}"
    guess = nearest(path.name, names)
    return f"did you mean {guess}?" if guess else f"found there: {', '.join(names)}"
