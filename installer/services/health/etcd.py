"""etcd asked about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.report import CheckResult, passed_if
from installer.services.health.subject import HTTP_OK

if TYPE_CHECKING:
    from installer.services.health.subject import Subject


def check(subject: Subject) -> list[CheckResult]:
    """Every member is asked for the member list and for a linearizable read, which needs quorum."""
    hosts = subject.group("etcd")
    results = []
    for host in hosts:
        pool = subject.https(host.address, subject.setting("etcd_client_port"), name=host.fqdn)
        members = pool.request("POST", "/v3/cluster/member/list", json={}).json()
        read = pool.request("POST", "/v3/kv/range", json={"key": "Lw==", "limit": 1})
        names = sorted(member.get("name", "unnamed") for member in members.get("members", []))
        good = names == sorted(each.name for each in hosts) and read.status == HTTP_OK
        results.append(
            passed_if(
                good,
                check="etcd.quorum",
                host=host.name,
                measured=f"{len(names)} members ({', '.join(names)}), linearizable read {read.status}",
                wanted=f"{len(hosts)} members, linearizable read 200",
                fix="etcdctl endpoint health --cluster on a member",
            )
        )
    return results
