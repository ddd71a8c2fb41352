"""What the site says of itself, and the variables of its roles."""

from __future__ import annotations

from typing import Any, Final

import yaml

from installer.site.limits import LIMITS_FILE, RELATIONS_KEY
from tests.malformed import ROOT, SITE, Case, append, edit

_MORE: Final = "group_vars/all/more.yml"
# Key of the clinic's site file, its line there, another value as YAML, words.
_KEYS: Final = [
    ("name", "name: clinic", 'name: "a"', "a letter first"),
    ("name", "name: clinic", "name: Clinic", "a letter first"),
    ("name", "name: clinic", f"name: {'a' * 33}", "a letter first"),
    ("name", "name: clinic", "name: -oProxyCommand=id", "a letter first"),
    ("name", "name: clinic", "name: ../clinic", "a letter first"),
    ("name", "name: clinic", 'name: "clinic\\n"', "a letter first"),
    ("name", "name: clinic", "name: 7", "text"),
    ("name", "name: clinic", "name: [clinic]", "text"),
    ("name", "  name: clinic\n", "", "is missing"),
    ("site_class", "development", "test", "'production'"),
    ("site_class", "development", "true", "'production'"),
    ("domain", "domain: clinic.internal", "domain: clinic", "a full domain name"),
    ("domain", "domain: clinic.internal", "domain: Clinic.internal", "a full domain name"),
    ("domain", "domain: clinic.internal", "domain: clinic..internal", "a full domain name"),
    ("domain", "domain: clinic.internal", "domain: -a.internal", "a full domain name"),
    ("domain", "domain: clinic.internal", 'domain: "a.internal\\nserver x"', "a full domain name"),
    ("domain", "domain: clinic.internal", "domain: 10.21.0.1", "a full domain name"),
    ("domain", "domain: clinic.internal", f"domain: {'a.' * 120}internal", "a full domain name"),
    ("domain", "domain: clinic.internal", f"domain: {'a' * 64}.internal", "a full domain name"),
    ("domain", "domain: clinic.internal", 'domain: "a.internal;"', "a full domain name"),
    ("public_name", "public_name: workflow.", "public_name: clinic1.", "is the name of clinic1"),
    ("public_name", "public_name: workflow.", "public_name: https://workflow.", "a full domain name"),
    ("public_name", "public_name: workflow.", 'public_name: "*".', "is not YAML"),
    ("public_name", "public_name: workflow.", "public_name: x_y.", "a full domain name"),
    ("network", "network: 10.21.0.0/24", "network: 0.0.0.0/0", "no subnet of hosts"),
    ("network", "network: 10.21.0.0/24", "network: 8.0.0.0/7", "no subnet of hosts"),
    ("network", "network: 10.21.0.0/24", "network: 10.21.0.0/31", "no subnet of hosts"),
    ("network", "network: 10.21.0.0/24", "network: 10.21.0.11", "no subnet of hosts"),
    ("network", "network: 10.21.0.0/24", "network: 127.0.0.0/8", "no subnet of hosts"),
    ("network", "network: 10.21.0.0/24", "network: 224.0.0.0/8", "no subnet of hosts"),
    ("network", "network: 10.21.0.0/24", "network: 10.21.0.0/33", "like 10.20.0.0/24"),
    ("network", "network: 10.21.0.0/24", "network: 10.21.0.1/24", "has host bits set"),
    ("network", "network: 10.21.0.0/24", "network: fd00::/64", "like 10.20.0.0/24"),
    ("network", "network: 10.21.0.0/24", "network: 7", "is 7"),
    ("network", "network: 10.21.0.0/24", "network: 10.22.0.0/24", "outside of 10.22.0.0/24"),
    ("virtual_ip", "virtual_ip: 10.21.0.10", "virtual_ip: 10.21.0.11", "is the address of clinic1"),
    ("virtual_ip", "virtual_ip: 10.21.0.10", "virtual_ip: 10.21.0.0", "is the subnet's own address"),
    ("virtual_ip", "virtual_ip: 10.21.0.10", "virtual_ip: 10.22.0.10", "is outside of 10.21.0.0/24"),
    ("virtual_ip", "virtual_ip: 10.21.0.10", "virtual_ip: 10.21.0", "an IPv4 address like"),
    ("virtual_ip", "virtual_ip: 10.21.0.10", "virtual_ip: 168099850", "is 168099850"),
    ("virtual_ip", "virtual_ip: 10.21.0.10", "virtual_ip: [10.21.0.10]", "is a list"),
    ("virtual_ip", "  virtual_ip: 10.21.0.10 # of the public name\n", "", "is missing"),
    ("timezone", "timezone: UTC", "timezone: Europe/Viena", "did you mean Europe/Vienna?"),
    ("timezone", "timezone: UTC", "timezone: ../../etc/passwd", "not a time zone"),
    ("timezone", "timezone: UTC", 'timezone: "UTC\\0"', "not a time zone"),
    ("timezone", "timezone: UTC", "timezone: Europe", "not a time zone"),
    ("timezone", "timezone: UTC", 'timezone: ""', "not a time zone"),
    ("timezone", "timezone: UTC", "timezone: /etc/localtime", "not a time zone"),
    ("timezone", "timezone: UTC", f"timezone: {'a' * 5000}", "not a time zone"),
    ("applications", "[revenue-cycle]", "[]", "is missing"),
    ("applications", "[revenue-cycle]", "[revenue-cycl]", "did you mean revenue-cycle?"),
    ("applications", "[revenue-cycle]", "[../revenue-cycle]", "there is no application"),
    ("applications", "[revenue-cycle]", "revenue-cycle", "a list"),
    ("applications", "[revenue-cycle]", "[7]", "text"),
    ("applications", "[revenue-cycle]", '["a\\nb"]', "allowed: text on one line"),
    ("applications", "[revenue-cycle]", "[revenue-cycle, revenue-cycle]", "is named twice"),
]
# Below `sitewright:`, words.
_PARTS: Final = [
    ("colour: blue", "colour is not known"),
    ("virtual_ips: []", "did you mean virtual_ip?"),
    ("tls: {certificates: nowhere}", "there is no folder"),
    ('tls: {certificates: ""}', "is empty"),
    ('tls: {certificates: "a\\0b"}', "allowed: text on one line"),
    ("tls: {certificate: x}", "did you mean certificates?"),
    ("tls: certificates", "keys with values"),
    ("hosts: {clinic2: {memory_mb: 4096}}", "did you mean clinic1?"),
    ("hosts: {clinic1: {memory_mb: 1}}", "greater than or equal to 1024"),
    ("hosts: {clinic1: {memory_mb: -4096}}", "greater than or equal to 1024"),
    ("hosts: {clinic1: {memory_mb: 999999999}}", "less than or equal to"),
    ('hosts: {clinic1: {memory_mb: "4096"}}', "a whole number"),
    ("hosts: {clinic1: {memory_mb: 4096.5}}", "a whole number"),
    ("hosts: {clinic1: {cores: 0}}", "greater than or equal to 1"),
    ("hosts: {clinic1: {cores: 100000}}", "less than or equal to 4096"),
    ("hosts: {clinic1: {core: 2}}", "did you mean cores?"),
    ("hosts: {clinic1: {address: 10.22.0.11}}", "outside of 10.21.0.0/24"),
    ("hosts: [clinic1]", "keys with values"),
    ("waivers: {check: disk.size}", "a list"),
    ("waivers: [disk.size]", "keys with values"),
    ("waivers: [{check: disk.size, expires: 2099-01-01}]", "reason is missing"),
    ("waivers: [{check: disk.size, reason: x}]", "expires is missing"),
    ('waivers: [{check: disk.size, reason: " ", expires: 2099-01-01}]', "is empty"),
    ('waivers: [{check: disk.size, reason: "a\\nb", expires: 2099-01-01}]', "allowed: text on one line"),
    ("waivers: [{check: disk.sizes, reason: x, expires: 2099-01-01}]", "did you mean disk.size?"),
    ("waivers: [{check: disk.size, host: clinic2, reason: x, expires: 2099-01-01}]", "did you mean clinic1?"),
    ("waivers: [{check: disk.size, reason: x, expires: 2020-01-01}]", "expired on 2020-01-01"),
    ('waivers: [{check: disk.size, reason: x, expires: "2020-01-01"}]', "expired on 2020-01-01"),
    ('waivers: [{check: disk.size, reason: x, expires: "2099-02-30"}]', "a date like 2027-01-31"),
    ("waivers: [{check: disk.size, reason: x, expires: tomorrow}]", "a date like 2027-01-31"),
    ("waivers: [{check: disk.size, reason: x, expires: 2099}]", "a date like 2027-01-31"),
]
_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8bUKmqBXrEWMxHgYqg5TQ4Zp8rYqzTq5rBnCMB4xkq"
# A role's variable, a value, words.
_VALUES: Final[list[tuple[str, Any, str]]] = [
    *(
        ("base_admin_users", [{"name": name}], "no system account")
        for name in ("root", "postgres", "sw-tls", "-a", "A")
    ),
    ("base_admin_users", [{"name": "anna\nroot"}], "no system account"),
    ("base_admin_users", [{"name": "anna ALL=(ALL) NOPASSWD: ALL"}], "no system account"),
    ("base_admin_users", [{"name": "anna"}, {"name": "anna"}], "has 'anna' twice"),
    ("base_admin_users", [{"name": "anna", "ssh_keys": ["ssh-ed25519 AAAA"]}], "one public key"),
    ("base_admin_users", [{"name": "anna", "ssh_keys": [f"{_KEY}\n{_KEY}"]}], "one public key"),
    ("base_admin_users", [{"name": "anna", "ssh_keys": [_KEY.replace("ed25519", "rsa", 1)]}], "one public key"),
    ("base_admin_users", [{"name": "anna", "ssh_keys": _KEY}], "a list"),
    ("base_admin_users", [{"name": "anna", "groups": ["root"]}], "none that equals root"),
    ("base_admin_users", [{"name": "anna", "shell": "/bin/sh"}], "shell is not known"),
    ("base_admin_users", [{"ssh_keys": []}], "name is missing"),
    ("base_admin_users", {"name": "anna"}, "a list"),
    ("base_time_servers", ["ntp iburst"], "a host name"),
    ("base_time_servers", ["ntp\nallow all"], "a host name"),
    ("base_time_servers", ["localhost"], "not this machine's own"),
    ("base_time_servers", ["ntp1", "ntp1"], "has 'ntp1' twice"),
    ("base_time_servers", ["10.0.0.999"], "a host name"),
    ("base_time_servers", "ntp1", "a list"),
    ("base_sysctls", {"vm": 1}, "a kernel setting"),
    ("base_sysctls", {"vm.swappiness": "1\nkernel.sysrq = 1"}, "text on one line"),
    ("base_sysctls", {"vm.swappiness": None}, "text on one line"),
    ("engine_history_time_to_live", "180", "ISO 8601"),
    ("engine_history_time_to_live", "P-1D", "ISO 8601"),
    ("engine_history_time_to_live", "P180D\nx", "ISO 8601"),
    ("engine_history_cleanup_start", "24:00", "a time of day"),
    ("engine_history_cleanup_end", "5", "a time of day"),
    ("engine_history_cleanup_end", 300, "text"),
    ("engine_history_level", "most", "allowed: none, activity"),
    ("engine_admin_user", "ad min", "letters and digits"),
    ("engine_database_name", "engine;drop", "lower-case letters"),
    ("engine_java_options", ["-Da=b -XX:OnOutOfMemoryError=id"], "one option of Java"),
    ("engine_java_options", ["@/tmp/options"], "one option of Java"),
    ("engine_java_options", ['-Da="b"'], "one option of Java"),
    ("engine_settings", {"a": {"b": "x\ny"}}, "on one line"),
    ("engine_settings", {"a": "{{ x }}"}, "is a template"),
    ("engine_settings", [1], "keys with values"),
    ("engine_admin_password", "secret", "is a secret"),
    ("engine_hide_secrets", "yes", "true or false"),
    ("gateway_trusted_networks", ["0.0.0.0/0"], "/8 or smaller"),
    ("gateway_trusted_networks", ["10.0.0.0/24; allow all"], "/8 or smaller"),
    ("gateway_trusted_networks", ["10.0.0.1/24"], "/8 or smaller"),
    ("gateway_access_log", "/var/log/x", "allowed: all, errors, none"),
    ("gateway_interface", "eth0 label x", "network interface"),
    ("postgresql_settings", {"work_mem": "4MB\nshared_preload_libraries = x"}, "text on one line"),
    ("postgresql_settings", {"work mem": "4MB"}, "PostgreSQL setting"),
    ("postgresql_settings", {"work_mem": ["4MB"], "a": {"b": 1}}, "keys with values"),
    ("postgresql_data_directory", "relative/path", "an absolute path"),
    ("postgresql_data_directory", "/var/lib/../../etc", "an absolute path"),
    ("postgresql_data_directory", "/var/lib/a b", "an absolute path"),
    ("postgresql_wal_directory", "wal", "an absolute path, or empty"),
    ("postgresql_tags", {"no failover": True}, "letters, digits"),
    ("etcd_data_directory", "/", "an absolute path"),
    ("redis_settings", {"save": "60 1\nrequirepass x"}, "text on one line"),
    ("redis_settings", {"save 60": "1"}, "redis.conf directive"),
    ("redis_settings", {"appendonly": True}, "in quotes"),
    ("redis_settings", {"save": ""}, "not empty"),
    ("redis_master_name", "a b", "letters, digits"),
    ("redis_maxmemory_policy", "all", "allowed: noeviction"),
    ("rabbitmq_settings", {"channel_max": "1\nloopback_users = none"}, "text on one line"),
    ("rabbitmq_settings", {"channel max": 1}, "rabbitmq.conf key"),
    ("rabbitmq_settings", {"tcp_listen_options.nodelay": True}, "in quotes"),
    ("rabbitmq_vhost", "a/../b", "letters, digits"),
    ("rabbitmq_policies", [{"name": "a", "pattern": "x"}], "definition is missing"),
    ("rabbitmq_policies", [{"name": "a", "pattern": "x\n", "definition": {}}], "text on one line"),
    ("rabbitmq_policies", [{"name": "a", "pattern": "x", "definition": {}, "priority": 10**9}], "-1000 to 1000"),
    ("repository_root", "srv", "an absolute path"),
    ("redis_port", 5671, "port 5671 of clinic1 is wanted by"),
    ("engine_port", 6379, "port 6379 of clinic1 is wanted by"),
    ("redis_prot", 6379, "did you mean redis_port?"),
    ("redis_address", "10.21.0.11", "follows from the site"),
    ("a" * 5000, 1, "is not known"),
]


def _ranges() -> list[Case]:
    """Each whole number just outside of its range, at both ends."""
    found = []
    for path in sorted((ROOT / "roles").glob(f"*/{LIMITS_FILE}")):
        for name, limit in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items():
            if name == RELATIONS_KEY:
                continue
            least, most = limit if isinstance(limit, list) else (0, 0)
            if isinstance(limit, str) and limit.endswith("port"):
                least, most = (1, 65535) if limit == "port" else (1024, 65535)
            found += [_value(name, value, f"{least} to {most}") for value in (least - 1, most + 1) if most]
    return found


def _together() -> list[Case]:
    """Values that are right one by one and cannot work together."""
    pairs: list[tuple[dict[str, Any], str]] = [
        ({"certificates_lifetime_days": 30}, "certificates_renew_before_days less than certificates_lifetime_days"),
        ({"engine_job_threads_core": 11}, "engine_job_threads_core at most engine_job_threads_max"),
        ({"engine_job_threads_max": 20, "engine_pool_size": 20}, "engine_job_threads_max less than engine_pool_size"),
        (
            {
                "engine_heap_mb": 900,
                "engine_metaspace_mb": 64,
                "engine_direct_memory_mb": 64,
                "engine_memory_max_mb": 1028,
            },
            "is 1028 on clinic1, engine_memory_max_mb is 1028",
        ),
        ({"etcd_heartbeat_milliseconds": 501}, "5 x etcd_heartbeat_milliseconds is 2505 on clinic1"),
        ({"postgresql_leader_ttl_seconds": 20}, "postgresql_loop_wait_seconds + 2 x postgresql_retry_timeout_seconds"),
        (
            {"rabbitmq_memory_watermark_mb": 900, "rabbitmq_disk_free_limit_mb": 899},
            "rabbitmq_memory_watermark_mb at most rabbitmq_disk_free_limit_mb",
        ),
        ({"worker_lock_seconds": 5, "worker_long_poll_milliseconds": 5000}, "less than 1000 x worker_lock_seconds"),
        ({"gateway_drained_engines": ["clinic1"]}, "leaves no engine"),
        ({"gateway_drained_engines": ["clinic2"]}, "clinic2 is no engine"),
    ]
    return [
        Case(name=f"{len(values)} of {words}", spoil=append(_MORE, yaml.safe_dump(values)), words=("more.yml:", words))
        for values, words in pairs
    ]


def _value(name: str, value: Any, words: str) -> Case:
    text = yaml.safe_dump({name: value})
    shown = " ".join(text.split())[:60]
    return Case(name=shown, spoil=append(_MORE, text), words=(":", words))


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(name=f"{key}: {new.strip()[:50] or 'none'}", spoil=edit(SITE, old, new), words=("site.yml:", words))
        for key, old, new, words in _KEYS
    ]
    found += [Case(name=text, spoil=append(SITE, f"  {text}\n"), words=("site.yml:", words)) for text, words in _PARTS]
    found += [_value(name, value, words) for name, value, words in _VALUES]
    return [*found, *_ranges(), *_together()]
