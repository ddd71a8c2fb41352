"""What a verification is given: names, addresses, credentials of its own, and ways to ask."""

from __future__ import annotations

import shlex
import ssl
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import urllib3

from installer.manifests import SITE_AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from installer.manifests import RoleManifest
    from installer.manifests.certificates import ClientCertificate

TIMEOUT_SECONDS: Final = 15.0
HTTPS_PORT: Final = 443
HTTP_OK: Final = 200
HTTP_UNAUTHORIZED: Final = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host of the site."""

    name: str
    address: str
    fqdn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A running site as seen from the controller.

    Attributes:
        site: The resolved site (see `Site.resolved`).
        secrets: The vault's values by name without the `vault_` prefix.
        manifests: The roles' manifests by role name.
        clients: The controller's own short-lived certificates, each with those it may trust, by authority.
        ssh: Host name to the argv prefix that runs a command there.
        carried: For each role the packages it asks for and needs, with the bundle's versions.
        release: What the hosts must say in /etc/sitewright/release; a part that is not known is left out.
        sudo_password: Gives sudo's password on the hosts, or None where it asks for none.
    """

    site: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    manifests: Mapping[str, RoleManifest]
    clients: Mapping[str, ClientCertificate]
    ssh: Mapping[str, Sequence[str]]
    carried: Mapping[str, Mapping[str, str]]
    release: Mapping[str, str]
    sudo_password: Callable[[], str | None] = field(default=lambda: None, repr=False)

    @property
    def name(self) -> str:
        """Name of the site."""
        return str(self.site["name"])

    def host(self, name: str) -> Host:
        """One host by its short name."""
        known = self.site["hosts"][name]
        return Host(name=name, address=known["address"], fqdn=known["fqdn"])

    def group(self, name: str) -> list[Host]:
        """Hosts of a group, in the inventory's order; `all` is every host."""
        names = self.site["hosts"] if name == "all" else self.site["groups"].get(name, [])
        return [self.host(each) for each in names]

    def setting(self, name: str) -> Any:
        """A role variable that others read, resolved; all hosts of its role agree on it."""
        return self.site["settings"][name]

    def tls(self, authority: str = SITE_AUTHORITY) -> ssl.SSLContext:
        """A client context that speaks TLS 1.3 only, trusts an authority and shows a certificate of it."""
        client = self.clients[authority]
        context = ssl.create_default_context(cafile=str(client.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(client.certificate, client.key)
        return context

    def https(
        self, address: str, port: int, *, name: str, authority: str = SITE_AUTHORITY
    ) -> urllib3.HTTPSConnectionPool:
        """A connection pool to one listener, verified by the name its certificate must carry."""
        return urllib3.HTTPSConnectionPool(
            address,
            port,
            maxsize=8,
            block=True,
            timeout=urllib3.Timeout(connect=5, read=TIMEOUT_SECONDS),
            retries=urllib3.Retry(2, allowed_methods=["GET"], backoff_factor=0.2),
            ssl_context=self.tls(authority),
            server_hostname=name,
            assert_hostname=name,
            headers={"Host": name if port == HTTPS_PORT else f"{name}:{port}"},
        )

    def machines(self) -> urllib3.HTTPSConnectionPool:
        """Where workers and probes reach the engine through the virtual IP, with a certificate of the site."""
        port = int(self.setting("gateway_machine_port"))
        return self.https(self.site["virtual_ip"], port, name=self.site["public_name"])

    def gateway(self) -> urllib3.HTTPSConnectionPool:
        """The user's side: the virtual IP under the site's public name."""
        return self.https(self.site["virtual_ip"], HTTPS_PORT, name=self.site["public_name"])

    def run_as_root(self, host: str, script: str) -> str:
        """Let root's shell on a host read what only root may; the script must not read its input.

        Raises:
            OSError: If SSH, sudo or the script fails, with what it said.
        """
        password = self.sudo_password()
        if password is None:
            return self.run(host, ["sudo", "-n", "sh", "-c", shlex.quote(script)])
        return self.run(host, ["sudo", "-S", "-p", "''", "sh", "-c", shlex.quote(script)], said=f"{password}\n")

    def run(self, host: str, argv: Sequence[str], *, said: str = "") -> str:
        """Run a read-only command on a host over SSH.

        Args:
            host: Its short name.
            argv: The command, as the host's shell reads it.
            said: What it reads.

        Raises:
            OSError: If SSH or the command fails, with what it said.
        """
        answer = subprocess.run(  # noqa: S603 - argv is built here, from the inventory's own connection settings
            [*self.ssh[host], *argv], capture_output=True, text=True, timeout=60, check=False, input=said
        )
        if answer.returncode != 0:
            said = answer.stderr.strip() or answer.stdout.strip()
            raise OSError(f"{argv[0]} on {host} ended with {answer.returncode}: {said[-400:]}")
        return answer.stdout
