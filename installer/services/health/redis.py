"""Redis and Sentinel asked about themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis

from installer.report import CheckResult, passed_if
from installer.services.health.answers import of_each

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject


def connect(subject: Subject, host: Host, port: str = "redis_port", *, user: str) -> redis.Redis:
    """Connect to one Redis over mutual TLS 1.3, or to a Sentinel with `redis_sentinel_port`."""
    return redis.Redis(
        host=host.address,
        port=subject.setting(port),
        username=user,
        password=subject.secrets[f"redis_{user}_password"],
        ssl=True,
        ssl_ca_certs=str(subject.clients["site"].ca),
        ssl_certfile=str(subject.clients["site"].certificate),
        ssl_keyfile=str(subject.clients["site"].key),
        ssl_check_hostname=True,
        socket_connect_timeout=5,
        socket_timeout=10,
        decode_responses=True,
    )


def check(subject: Subject) -> list[CheckResult]:
    """One master, every other node its replica, and every Sentinel agreeing on who it is."""
    hosts = subject.group("redis")
    roles: dict[str, dict[str, Any]] = {}

    def server(host: Host) -> list[CheckResult]:
        with connect(subject, host, user="admin") as client:
            roles[host.name] = dict(client.info("replication"))
        return []

    port, sentinel_port = subject.setting("redis_port"), subject.setting("redis_sentinel_port")
    results = of_each(hosts, server, name="cache", port=port, unit="redis-server")
    masters = [host for host in hosts if roles.get(host.name, {}).get("role") == "master"]
    results.append(
        passed_if(
            len(masters) == 1,
            check="cache.master",
            host=subject.name,
            measured=f"master: {', '.join(host.name for host in masters) or 'none'}",
            wanted="one master",
            fix=f"redis-cli on a Sentinel: SENTINEL MASTER {subject.setting('redis_master_name')}",
        )
    )
    for host in hosts:
        if host in masters or host.name not in roles:
            continue
        state = roles[host.name]
        lag = int(state.get("master_last_io_seconds_ago", -1))
        results.append(
            passed_if(
                state.get("master_link_status") == "up",
                check="cache.replica",
                host=host.name,
                measured=f"link {state.get('master_link_status')}, heard of the master {lag} s ago",
                wanted="link up",
                fix="the Redis journal on this host says why it cannot follow its master",
            )
        )
    return results + of_each(
        hosts,
        lambda host: [_sentinel(subject, host, masters)],
        name="cache",
        port=sentinel_port,
        unit="redis-sentinel",
    )


def _sentinel(subject: Subject, host: Host, masters: list[Host]) -> CheckResult:
    """What one Sentinel says of the master and of its peers."""
    others = len(subject.group("redis")) - 1
    with connect(subject, host, "redis_sentinel_port", user="admin") as client:
        state = client.execute_command("SENTINEL", "MASTER", subject.setting("redis_master_name"))
    fields = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    address = fields["ip"]
    known = [name for each in masters for name in (each.address, each.fqdn, each.name)]
    peers = int(fields["num-other-sentinels"])
    replicas = int(fields["num-slaves"])
    return passed_if(
        address in known and fields["flags"] in ("master", {"master"}) and peers == others and replicas == others,
        check="cache.sentinel",
        host=host.name,
        measured=f"master {address} ({fields['flags']}), {peers} other Sentinels, {replicas} replicas",
        wanted=f"the master that runs, {others} other Sentinels, {others} replicas",
        fix=f"SENTINEL RESET {subject.setting('redis_master_name')} on this Sentinel forgets nodes that are gone",
    )
