"""Tries a site's logins on rehearsal hosts, with the programs an operator would use there; every secret by environment.

A login is tried as its service knows it, so that the answer is the service's own: PONG, a verifier that matches, 200.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from plugins.modules.postgresql_objects import verifies
from tests.site.conftest import Operator

REDIS = "10.20.0.41"
_TLS = "/etc/sitewright/tls"
_REDIS_CLI = f"redis-cli -h {REDIS} --tls --cacert {_TLS}/ca.crt --cert {_TLS}/redis/tls.crt --key {_TLS}/redis/tls.key"
_CURL = "curl --silent --output /dev/null --write-out %{http_code}"
_SERVER_USERS = {"admin": "admin", "replica": "replication", "sentinel": "sentinel", "worker": "worker"}
_SENTINEL_USERS = {"admin": "admin", "sentinel": "sentinel", "worker": "worker"}
_DATABASE_ROLES = {
    "postgres": "superuser",
    "replicator": "replication",
    "rewinder": "rewind",
    "engine": "engine",
    "monitor": "monitor",
}


def _with_secret(operator: Operator, host: str, secret: str, command: str) -> str:
    """What a command says that finds a secret in $SECRET; how it ends is part of what it says."""
    return operator.on(host, "sh", "-c", f"SECRET={shlex.quote(secret)}; {command} 2>&1 || true").strip()


def _redis(operator: Operator, vault: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    for port, users in ((6379, _SERVER_USERS), (26379, _SENTINEL_USERS)):
        for user, name in users.items():
            command = f"REDISCLI_AUTH=$SECRET {_REDIS_CLI} -p {port} --user {user} ping"
            said = _with_secret(operator, "svc1", vault[f"vault_redis_{name}_password"], command)
            assert ("WRONGPASS" in said) != said.endswith("PONG"), said
            yield f"redis {port} {user}", said.endswith("PONG")


def _rabbitmq(operator: Operator, vault: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    for user in ("admin", "worker", "monitor"):
        command = f'printf %s "$SECRET" | rabbitmqctl authenticate_user {user}'
        said = _with_secret(operator, "svc1", vault[f"vault_rabbitmq_{user}_password"], command)
        assert ("Success" in said) != ("failed to authenticate" in said), said
        yield f"rabbitmq {user}", "Success" in said
    for host in ("svc1", "svc2", "svc3"):
        running = operator.on(host, "rabbitmqctl", "--quiet", "eval", "erlang:get_cookie().").strip().strip("'")
        yield f"cookie {host}", running == vault["vault_rabbitmq_erlang_cookie"]


def _postgresql(operator: Operator, vault: Mapping[str, str], primary: str) -> Iterator[tuple[str, bool]]:
    sql = "select rolname || ' ' || rolpassword from pg_authid where rolpassword is not null"
    shown = operator.on(primary, "runuser", "-u", "postgres", "--", "psql", "-At", "-c", sql)
    verifiers = dict(line.split(" ", 1) for line in shown.strip().splitlines())
    assert verifiers.keys() == _DATABASE_ROLES.keys()
    for role, name in _DATABASE_ROLES.items():
        yield f"postgresql {role}", verifies(vault[f"vault_postgresql_{name}_password"], verifiers[role])
    for host, address in (("db1", "10.20.0.31"), ("db2", "10.20.0.32")):
        tls = f"--cacert {_TLS}/patroni/ca.crt --cert {_TLS}/patroni/tls.crt --key {_TLS}/patroni/tls.key"
        url = f"https://{address}:8008/reload"
        command = f'printf "user = patroni:%s" "$SECRET" | {_CURL} {tls} --config - --request POST {url}'
        said = _with_secret(operator, host, vault["vault_patroni_rest_password"], command)
        assert said in {"200", "202", "401"}, said
        yield f"patroni {host}", said != "401"


def _engine(operator: Operator, vault: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    for host in ("app1", "app2"):
        name = operator.on(host, "hostname", "--fqdn").strip()
        for user in ("admin", "worker", "probe"):
            url = f"https://{name}:8443/engine-rest/version"
            command = f'printf "user = {user}:%s" "$SECRET" | {_CURL} --cacert {_TLS}/ca.crt --config - {url}'
            said = _with_secret(operator, host, vault[f"vault_engine_{user}_password"], command)
            assert said in {"200", "401"}, said
            yield f"engine {host} {user}", said == "200"


def _gateway(operator: Operator, vault: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    for host in ("gw1", "gw2"):
        settings = operator.on(host, "cat", "/etc/keepalived/keepalived.conf")
        yield f"vrrp {host}", f"auth_pass {vault['vault_gateway_vrrp_password']}\n" in settings


def logins(operator: Operator, vault: Mapping[str, str], *, primary: str) -> dict[str, bool]:
    """Which logins of a site are accepted with a vault's values.

    Args:
        operator: Who tries them.
        vault: The values.
        primary: Host of the primary database.
    """
    return {
        **dict(_redis(operator, vault)),
        **dict(_rabbitmq(operator, vault)),
        **dict(_postgresql(operator, vault, primary)),
        **dict(_engine(operator, vault)),
        **dict(_gateway(operator, vault)),
    }
