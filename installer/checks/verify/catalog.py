"""Ids of all checks of a verification with one sentence each, as docs/checks.md shows them."""

from __future__ import annotations

from typing import Final

from installer.services import known_services

# Of no single service; a service's own stand in its file.
_OWN: Final = {
    "process.engine": "the engine answers through the virtual IP, under the site's public name",
    "process.finished": "process instances started as a user would are finished in time",
    "process.history": "each of them stands in the engine's history, once",
    "process.queue": "each of them put its message into the application's queue",
    "process.cache": "each of them left its mark in the cache",
    "process.answers": "every tier an instance goes through gives an answer",
    "listeners.tls": "a listener speaks TLS 1.3 only, with a certificate of the site's that is valid for a while",
    "listeners.certificate": "every listener of a host shows a certificate that lies there, and none from before",
    "listeners.model": "a host listens on what its roles declare, and on nothing else",
    "listeners.answers": "a listener, or a host asked over SSH for what listens, gives an answer",
    "packages.versions": "the packages of the platform are installed in the bundle's versions",
    "packages.answers": "a host says which packages it has",
    "release.hosts": "a host was last worked on with the release and bundle that the journal names",
    "hardening.controls": "every control of docs/hardening.md that the site does not waive is in force",
    "hardening.integrity": "programs and settings of a host are as the last installation left them, for information",
    "hardening.answers": "a host, asked as root, says which settings are in force",
    "firewall.rules": "the rules in a host's kernel are those of the model, and everything else is dropped",
    "firewall.egress": "a host gets nowhere outside the site, nor to a port of another host that it does not need",
    "firewall.answers": "a host says which rules it has, and what becomes of connections nobody needs",
    "release.answers": "a host says which release it has",
}


def checks() -> dict[str, str]:
    """Every id a verification may show, with what it makes sure of."""
    services = {
        f"{health.name}.{check}": sentence
        for service in known_services().values()
        for health in service.health
        for check, sentence in health.checks.items()
    }
    answers = {
        f"{health.name}.answers": f"{service.name} gives an answer on each of its hosts"
        for service in known_services().values()
        for health in service.health
    }
    return dict(sorted((_OWN | services | answers).items()))
