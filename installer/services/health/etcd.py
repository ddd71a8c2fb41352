"""etcd asked about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3

from installer.report import CheckResult, passed_if
from installer.services.health.answers import in_words, of_each
from installer.services.health.subject import HTTP_OK

if TYPE_CHECKING:
    from installer.services.health.subject import Host, Subject


def check(subject: Subject) -> list[CheckResult]:
    """Every member is asked for the member list and for a linearizable read, which needs quorum."""
    hosts = subject.group("etcd")
    port = subject.setting("etcd_client_port")

    def member(host: Host) -> list[CheckResult]:
        pool = subject.https(host.address, port, name=host.fqdn, authority="database")
        listed = pool.request("POST", "/v3/cluster/member/list", json={}).json()
        names = sorted(each.get("name", "unnamed") for each in listed.get("members", []))
        read = _read(pool)
        return [
            passed_if(
                names == sorted(each.name for each in hosts) and read == str(HTTP_OK),
                check="etcd.quorum",
                host=host.name,
                measured=f"{len(names)} members ({', '.join(names)}), linearizable read {read}",
                wanted=f"{len(hosts)} members, linearizable read {HTTP_OK}",
                fix="without a read there is no quorum: start the members that do not answer; "
                "etcdctl endpoint health --cluster on a member",
            )
        ]

    return of_each(hosts, member, name="etcd", port=port, unit="etcd")


def _read(pool: urllib3.HTTPSConnectionPool) -> str:
    """Status of a read that needs quorum, or that it had no answer."""
    try:
        return str(pool.request("POST", "/v3/kv/range", json={"key": "Lw==", "limit": 1}).status)
    except urllib3.exceptions.HTTPError as error:
        return f"without an answer ({in_words(error)})"
