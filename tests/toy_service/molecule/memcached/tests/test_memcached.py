"""What an operator finds: a cache that asks who is there."""

from __future__ import annotations

from testinfra.host import Host

testinfra_hosts = ["memcached"]


def test_it_runs(host: Host) -> None:
    assert host.service("memcached").is_running
    assert host.service("memcached").is_enabled


def test_a_stranger_is_refused(host: Host) -> None:
    address = host.check_output("hostname --all-ip-addresses").split()[0]
    text = f"exec 3<>/dev/tcp/{address}/11211; printf 'get a\\r\\n' >&3; head -n 1 <&3"
    assert "CLIENT_ERROR unauthenticated" in host.check_output("timeout 5 bash -c %s", text)
