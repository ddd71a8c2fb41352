#!/usr/bin/python
"""Keys and certificates of all services of a host, in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_certificates
short_description: Keys made on the host, certificates validated and installed there
description:
  - Without O(certificates) it judges the certificate of each wanted service and makes a new key and a
    signing request where one is missing, does not fit, or ends soon. The private key never leaves the host.
  - With O(certificates) it validates each certificate, then puts key and certificate in place together.
  - Each judgement is a real TLS 1.3 handshake in memory, with the given authority as the only trust, so
    chain, key, names, dates and purpose are judged as the services themselves will.
  - A key waits beside the one in use until its certificate is there; an interrupted run is taken up.
options:
  wanted:
    description:
      - Certificates by service, each with dns_names, ip_addresses and usages (server, client).
      - C(authority) names who signs it, if not the site's.
    type: dict
    required: true
  authorities:
    description:
      - Certificates of the authorities by name, PEM; empty when there is none yet.
      - The one called C(site) is put into O(directory), every other one beside the certificates that it signed.
    type: dict
    default: {}
  certificates:
    description: Certificate by service with the authorities between it and the root, PEM.
    type: dict
  keys:
    description: Private key by service, PEM, when the hospital made the keys itself.
    type: dict
  directory:
    description: Where they live; each service has a folder of its own.
    type: path
    default: /etc/sitewright/tls
  renew_before_days:
    description: Days before its end at which a certificate is replaced.
    type: int
    default: 30
  renew_older_than:
    description:
      - Moment (C(2026-11-30T18:00:00Z)); what is valid since before it is replaced, unless its O(keys) are given.
    type: str
    default: ""
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Issue | Ensure every service has a key
  sitewright.platform.host_certificates:
    authorities: {site: "{{ lookup('ansible.builtin.file', 'pki/ca.crt', errors='ignore') }}"}
    wanted:
      redis: {dns_names: [db1.site.internal, db1], ip_addresses: [10.0.0.1], usages: [server, client]}
"""

RETURN = r"""
diff:
  description: Each certificate that is or was not fit, and why, in the form that Ansible shows.
  returned: always
  type: dict
requests:
  description: Signing request by service, for those that need a certificate.
  returned: always
  type: dict
reasons:
  description: Why each of those needs one.
  returned: always
  type: dict
expires:
  description: Last day by service, for those that are valid.
  returned: always
  type: dict
"""

import grp
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ansible.module_utils.basic import AnsibleModule

DAY_SECONDS: Final = 86400
GROUP_PREFIX: Final = "sw-"
MOST_FLIGHTS: Final = 10
OWN: Final = "site"


class UnfitError(Exception):
    """A certificate that must be replaced, with the reason in a few words."""


def validate(certificate: Path, key: Path, authority: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Let a server and a client made of the pair shake hands; return what the other side saw.

    Raises:
        UnfitError: If one side refuses the other.
    """
    usages = wanted["usages"]
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            # Clients written for Python 3.13 judge so; better to know here than at run time.
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(cadata=authority)
        server.verify_mode = ssl.CERT_REQUIRED if "client" in usages else ssl.CERT_NONE
        if "server" not in usages:
            client.check_hostname = False
            client.verify_mode = ssl.CERT_NONE
        server_side, client_side = shake_hands(server, client, wanted["dns_names"][0])
    except FileNotFoundError as error:
        raise UnfitError("missing") from error
    except ssl.SSLCertVerificationError as error:
        raise UnfitError(error.verify_message) from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UnfitError(getattr(error, "reason", None) or str(error)) from error
    seen = (client_side if "server" in usages else server_side).getpeercert()
    return dict(seen or {})


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Run a TLS handshake between two contexts over memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server, server_hostname=name)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    unfinished = [client_side, server_side]
    for _flight in range(MOST_FLIGHTS):
        unfinished = [side for side in unfinished if not finished(side)]
        if not unfinished:
            return server_side, client_side
    raise UnfitError("the handshake does not end")


def finished(side: ssl.SSLObject) -> bool:
    """Take a handshake as far as the other side's messages allow."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def day(seconds: float) -> str:
    """A moment as a date."""
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def write_beside(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Write a new file in the folder where it will get its name later."""
    descriptor, name = tempfile.mkstemp(prefix=".tls.", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    return Path(name)


def holds(path: Path, text: str) -> bool:
    """Whether a file says exactly this."""
    return path.is_file() and path.read_bytes() == text.encode()


class Service:
    """The key and the certificate of one service."""

    def __init__(self, store: Store, name: str, wanted: Mapping[str, Any]) -> None:
        """Know where they are; nothing is read yet."""
        self.store = store
        self.name = name
        self.wanted = wanted
        self.folder = store.directory / name
        self.signed_by: str = wanted.get("authority", OWN)
        self.authority: str = store.authorities.get(self.signed_by, "")
        self.certificate = self.folder / "tls.crt"
        self.key = self.folder / "tls.key"
        # A new key waits here until its certificate has come, so that an old pair stays whole.
        self.pending = self.folder / ".tls.key.new"

    @property
    def group(self) -> int:
        """Id of the group that may read the key; in check mode it may not exist yet."""
        try:
            return grp.getgrnam(GROUP_PREFIX + self.name).gr_gid
        except KeyError:
            return 0

    def judge(self, certificate: Path, key: Path, *, exact: bool) -> str:
        """Validate a pair, look at its names and its end, and return its last day.

        Raises:
            UnfitError: If it must be replaced.
        """
        if not self.authority:
            raise UnfitError("there is no authority yet")
        seen = validate(certificate, key, self.authority, self.wanted)
        names = {value for kind, value in seen.get("subjectAltName", ()) if kind in ("DNS", "IP Address")}
        needed = {*self.wanted["dns_names"], *self.wanted["ip_addresses"]}
        if missing := sorted(needed - names):
            raise UnfitError(f"lacks the names {', '.join(missing)}")
        if exact and (surplus := sorted(names - needed)):
            raise UnfitError(f"has the names {', '.join(surplus)}, which are no longer wanted")
        begin, end = (ssl.cert_time_to_seconds(seen[date]) for date in ("notBefore", "notAfter"))
        if exact and begin < self.store.renew_older_than:
            raise UnfitError(f"is valid since {seen['notBefore']}, and is to be newer")
        if end - time.time() < self.store.renew_before_days * DAY_SECONDS:
            raise UnfitError(f"ends on {day(end)}")
        return day(end)

    def prepare(self) -> None:
        """The group, the folder, and the modes of what is there."""
        self.store.ensure_group(GROUP_PREFIX + self.name)
        self.store.ensure_folder(self.folder)
        self.store.ensure_mode(self.key, 0o640, self.group)
        self.store.ensure_mode(self.certificate, 0o644, 0)

    def request(self) -> str:
        """A signing request for a new key, made here if it does not wait here already."""
        self.store.changed = True
        if self.store.module.check_mode:
            return ""
        code, request, stderr = self.openssl_request() if self.pending.exists() else (1, "", "")
        if code != 0:
            fresh = self.pending.with_suffix(".part")
            curve = ["-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve"]
            argv = ["openssl", "genpkey", "-algorithm", "EC", *curve, "-out", str(fresh)]
            self.store.module.run_command(argv, check_rc=True, umask=0o077)
            fresh.replace(self.pending)
            code, request, stderr = self.openssl_request()
        if code != 0:
            self.store.module.fail_json(msg=f"openssl makes no signing request for {self.name}: {stderr.strip()}")
        return request

    def openssl_request(self) -> tuple[int, str, str]:
        """Ask openssl; names and usages are the authority's business, so the request carries none."""
        argv = ["openssl", "req", "-new", "-key", str(self.pending), "-subj", "/CN=sitewright"]
        code, request, stderr = self.store.module.run_command(argv)
        return code, request, stderr

    def install(self, certificate: str, key: str | None) -> None:
        """Validate a new pair beside the old one, then put it in place, the key first.

        Raises:
            UnfitError: If the pair is refused; the old one is then still in place.
        """
        if key is not None and holds(self.key, key) and holds(self.certificate, certificate):
            return
        self.store.changed = True
        if self.store.module.check_mode:
            self.store.replaced[str(self.certificate)] = "another one is given"
            return
        new_key = self.pending if key is None else write_beside(self.folder, key)
        new_certificate = write_beside(self.folder, certificate, 0o644)
        try:
            self.judge(new_certificate, new_key, exact=key is None)
            os.chown(new_key, 0, self.group)
            new_key.chmod(0o640)
            new_key.replace(self.key)
            new_certificate.replace(self.certificate)
        finally:
            new_certificate.unlink(missing_ok=True)
            if key is not None:
                new_key.unlink(missing_ok=True)


class Store:
    """The directory with the keys and certificates of this host."""

    def __init__(self, module: AnsibleModule) -> None:
        """Take what the task said."""
        self.module = module
        self.directory = Path(module.params["directory"])
        self.authorities: dict[str, str] = module.params["authorities"]
        self.renew_before_days: int = module.params["renew_before_days"]
        oldest = module.params["renew_older_than"]
        self.renew_older_than = datetime.fromisoformat(oldest).timestamp() if oldest else 0.0
        self.services = [Service(self, name, wanted) for name, wanted in module.params["wanted"].items()]
        self.changed = False
        self.replaced: dict[str, str] = {}  # in check mode: path, and why it would be another

    def prepare(self) -> None:
        """Groups, folders and modes."""
        for folder in (self.directory.parent, self.directory):
            self.ensure_folder(folder)
        for service in self.services:
            service.prepare()

    def ensure_group(self, name: str) -> None:
        """Make a system group that is not there."""
        try:
            grp.getgrnam(name)
        except KeyError:
            self.changed = True
            if not self.module.check_mode:
                self.module.run_command(["groupadd", "--system", name], check_rc=True)

    def ensure_folder(self, folder: Path) -> None:
        """Make a folder anyone may enter and only root may change."""
        if not folder.is_dir():
            self.changed = True
            if self.module.check_mode:
                return
            folder.mkdir()
        self.ensure_mode(folder, 0o755, 0)

    def ensure_mode(self, path: Path, mode: int, group: int) -> None:
        """Owner root, this group and this mode, for what is there."""
        if not path.exists():
            return
        found = path.stat()
        if (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, 0, group):
            return
        self.changed = True
        if not self.module.check_mode:
            os.chown(path, 0, group)
            path.chmod(mode)

    def ensure_authorities(self) -> None:
        """Certificates of authorities, for everyone: the site's, and those of services that have another."""
        places = {self.directory: self.authorities.get(OWN, "")}
        places |= {service.folder: service.authority for service in self.services if service.signed_by != OWN}
        for folder, authority in places.items():
            if authority:
                self.ensure_authority(folder / "ca.crt", authority)

    def ensure_authority(self, path: Path, authority: str) -> None:
        """One authority's certificate."""
        if holds(path, authority):
            self.ensure_mode(path, 0o644, 0)
            return
        self.changed = True
        self.replaced[str(path)] = "of another authority" if path.exists() else "new"
        if not self.module.check_mode:
            write_beside(path.parent, authority, 0o644).replace(path)


def run(module: AnsibleModule) -> None:
    """Judge, ask or install, and validate, service by service."""
    certificates: dict[str, str] = module.params["certificates"] or {}
    keys: dict[str, str] = module.params["keys"] or {}
    store = Store(module)
    store.prepare()
    requests: dict[str, str] = {}
    reasons: dict[str, str] = {}
    expires: dict[str, str] = {}
    for service in store.services:
        name = service.name
        try:
            if name in certificates:
                service.install(certificates[name], keys.get(name))
            expires[name] = service.judge(service.certificate, service.key, exact=name not in keys)
        except UnfitError as error:
            reasons[name] = str(error)
            if name not in certificates:
                requests[name] = service.request()
    refused = [f"{name}: {reason}" for name, reason in reasons.items() if name in certificates]
    if refused and not module.check_mode:
        module.fail_json(msg=f"certificates refused on this host: {'; '.join(refused)}", changed=store.changed)
    if not requests:
        store.ensure_authorities()
    made = {name: request for name, request in requests.items() if request}
    asked = {str(service.certificate): reasons[service.name] for service in store.services if service.name in requests}
    changes = [{"kind": "file", "name": path, "note": why} for path, why in {**asked, **store.replaced}.items()]
    plan = {"plan": {"changes": changes}} if module.check_mode else {}
    diff = {"before": "", "after": "".join(f"{change['name']}: {change['note']}\n" for change in changes)}
    module.exit_json(changed=store.changed, requests=made, reasons=reasons, expires=expires, diff=diff, **plan)


def main() -> None:
    """Run as a module."""
    os.umask(0o022)  # whatever the login has: folders on the way to a service's files are for all
    module = AnsibleModule(
        argument_spec={
            "wanted": {"type": "dict", "required": True},
            "authorities": {"type": "dict", "default": {}},
            "certificates": {"type": "dict"},
            "keys": {"type": "dict", "no_log": True},
            "directory": {"type": "path", "default": "/etc/sitewright/tls"},
            "renew_before_days": {"type": "int", "default": 30},
            "renew_older_than": {"type": "str", "default": ""},
        },
        required_by={"keys": ["certificates"]},
        supports_check_mode=True,
    )
    run(module)


if __name__ == "__main__":
    main()
