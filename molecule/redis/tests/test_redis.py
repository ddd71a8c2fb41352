"""What an operator sees of the cache: one master, mutual TLS 1.3, and users that may do just their work."""

from __future__ import annotations

import pytest
from testinfra.host import Host

AUTHORITY = "--tls --cacert /etc/sitewright/tls/ca.crt"
CERTIFICATE = f"{AUTHORITY} --cert /etc/sitewright/tls/redis/tls.crt --key /etc/sitewright/tls/redis/tls.key"
REDIS, SENTINEL = 6379, 26379


def _ask(host: Host, port: int, user: str, words: str, tls: str = CERTIFICATE) -> str:
    """Ask as one of the users; the password is the site's own and goes by environment."""
    password = host.ansible.get_variables()[f"vault_redis_{user}_password"]
    said = host.run(f"REDISCLI_AUTH={password} redis-cli --no-auth-warning {tls} -p {port} --user {user} {words}")
    return f"{said.stdout}{said.stderr}"


def _master(host: Host) -> str:
    return _ask(host, SENTINEL, "worker", "sentinel get-master-addr-by-name sitewright").split()[0]


@pytest.mark.parametrize("unit", ["redis-server.service", "redis-sentinel.service"])
def test_unit_runs_sandboxed(host: Host, unit: str) -> None:
    assert host.service(unit).is_running, host.run(f"journalctl --unit {unit} --lines 30 --no-pager").stdout
    assert host.service(unit).is_enabled
    scored = host.run(f"systemd-analyze security --threshold=30 --no-pager {unit}")
    assert scored.rc == 0, scored.stdout.splitlines()[-1]


def test_every_node_follows_the_one_master(host: Host) -> None:
    role = _ask(host, REDIS, "admin", "role").split()
    if _master(host) in host.check_output("hostname --all-ip-addresses").split():
        assert role[0] == "master"
        assert "connected_slaves:2" in _ask(host, REDIS, "admin", "info replication")
    else:
        assert (role[0], role[1], role[3]) == ("slave", _master(host), "connected")


def test_three_sentinels_can_decide(host: Host) -> None:
    assert _ask(host, SENTINEL, "admin", "sentinel ckquorum sitewright").startswith("OK 3 usable Sentinels")


def test_worker_uses_its_own_keys_and_no_others(host: Host) -> None:
    target = f"-h {_master(host)}"
    assert _ask(host, REDIS, "worker", "set app:molecule 1", f"{CERTIFICATE} {target}").strip() == "OK"
    for words in ("flushall", "keys '*'", "set elsewhere 1", "config get dir", "eval 'return 1' 0"):
        assert "NOPERM" in _ask(host, REDIS, "worker", words, f"{CERTIFICATE} {target}"), words


@pytest.mark.parametrize("port", [REDIS, SENTINEL])
def test_refuses_who_has_no_certificate_or_an_old_protocol(host: Host, port: int) -> None:
    assert "PONG" in _ask(host, port, "admin", "ping")
    assert "PONG" not in _ask(host, port, "admin", "ping", AUTHORITY)
    old = host.run(f"echo | openssl s_client -connect localhost:{port} -tls1_2 -CAfile /etc/sitewright/tls/ca.crt")
    assert "protocol version" in old.stderr


def test_default_user_is_off(host: Host) -> None:
    assert "NOAUTH" in host.run(f"redis-cli {CERTIFICATE} -p {REDIS} ping").stdout


def test_files_hold_hashes_and_are_hidden_from_other_users(host: Host) -> None:
    passwords = [value for name, value in host.ansible.get_variables().items() if name.startswith("vault_redis_")]
    users = host.file("/etc/redis/sitewright.acl")
    assert (users.user, users.group, users.mode) == ("root", "redis", 0o640)
    assert not any(password in users.content_string for password in passwords)
    for path in ("/etc/redis/sitewright.conf", "/var/lib/redis/sentinel.conf"):
        assert host.run(f"runuser -u nobody -- cat {path}").rc != 0, path


def test_settings_are_managed_and_win_over_what_redis_wrote(host: Host) -> None:
    assert host.file("/etc/redis/sitewright.conf").contains("Managed by Sitewright")
    assert "noeviction" in _ask(host, REDIS, "admin", "config get maxmemory-policy")
    assert "everysec" in _ask(host, REDIS, "admin", "config get appendfsync")
