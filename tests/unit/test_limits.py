"""Ranges and forms of the values an operator may set; every form with what it takes and what it must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from installer.documents import DocumentError
from installer.site.forms import FORMS
from installer.site.limits import LIMITS_FILE, read_limits
from installer.site.role_variables import check_value, read_role_variables
from tests.hospital_authority import hospital_certificate

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = read_role_variables(sorted((ROOT / "roles").iterdir()))
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8bUKmqBXrEWMxHgYqg5TQ4Zp8rYqzTq5rBnCMB4xkq"

FORM_EXAMPLES: dict[str, tuple[list[Any], list[Any]]] = {
    "port": ([1, 65535], [0, -1, 65536, 70000, True, "443", 4.5]),
    "unprivileged_port": ([1024, 65535], [443, 1023, 65536]),
    "one_line": (["", "a b", "ä"], ["a\nb", "a\r", "a\x00", "a\x1b[2J", "a\u2028b", "a" * 2001, 7]),
    "scalar": (["a", 7, True, 0.5], ["a\nb", None, [1], {"a": 1}]),
    "plain": (["yes", 7, 0.5, '""'], [True, False, "", "  ", "a\nb", None, float("inf"), float("nan")]),
    "tree": ([{"a": [1, {"b": "c"}], "d": None}], [{"a": ["x\ny"]}, {"a\nb": 1}]),
    "word": (["db1", "a.b_c-d"], ["", "-a", "a b", "a/b", "a\n", "a" * 129]),
    "login_name": (["anna", "_svc", "Anna.H"], ["-a", "1a", "a b", "a" * 33, ""]),
    "administrator_name": (
        ["anna", "a-b_2"],
        ["root", "postgres", "redis", "sw-tls", "systemd-x", "Anna", "anna.h", "-a", "1a", "a" * 33, "a\n", ""],
    ),
    "group_name": (["adm", "systemd-journal"], ["root", "shadow", "a b", "A", ""]),
    "engine_id": (["admin", "A1"], ["", "a b", "a-b", "admin@x"]),
    "ssh_public_key": (
        [ED25519, f"{ED25519} anna@desk", f'from="10.0.0.0/8",no-pty {ED25519}'],
        [
            *("", "ssh-ed25519", "AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----", ED25519[:60], f"{ED25519}\n{ED25519}"),
            *(ED25519.replace("ssh-ed25519", "ssh-rsa"), ED25519.replace("AAAAC3", "!!!!C3"), f"{ED25519}====", 7),
        ],
    ),
    "host": (
        ["ntp.hospital.internal", "10.0.0.1", "ntp1"],
        ["localhost", "127.0.0.1", "a.localhost", "0.0.0.0", "224.0.0.1", "10.0.0", "-a", "a b", "a;b", "a_b", "1", ""],  # noqa: S104 - refused
    ),
    "address": (["10.0.0.1"], ["ntp1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "10.0.0", "10.0.0.0/8", "", 7]),  # noqa: S104 - refused
    "host_name": (["ldap1.hospital.example", "ad1"], ["10.0.0.1", "localhost", "-a", "a b", "a=b", "a,b", "a_b", ""]),
    "network": (
        ["10.0.0.0/8", "10.20.0.11/32"],
        ["0.0.0.0/0", "10.0.0.0/7", "10.0.0.1/24", "10.0.0.1", "::/0", "a", 8, ""],
    ),
    "origin": (
        ["https://portal.hospital.example", "https://portal:8443", "https://10.0.0.1"],
        [
            *("*", "null", "", "portal.hospital.example", "http://portal.hospital.example", "https://", "https://a/"),
            *(
                "https://a/b",
                "https://a:443",
                "https://a:0",
                "https://A.example",
                'https://a";',
                "https://a b",
                "https://.a",
            ),
            *("https://a\n", "https://*.example", "https://anna@a", 7),
        ],
    ),
    "interface": (["eth0", "bond0.12"], ["", "-a", "a" * 16, "a b", "a/b"]),
    "iso_duration": (["P180D", "P1Y6M", "P2W"], ["P", "180D", "P-1D", "PT1H", "P1D;", "180", "P1DT"]),
    "clock_time": (["00:00", "23:59"], ["24:00", "5:00", "05:60", "0500", 300, "05:00\n"]),
    "path": (["/a/b.c", "/srv/x@y"], ["a", "/", "/a/", "/a/../b", "/a/./b", "/a b", "/a;b", "/a\nb", "//a", "~/a", ""]),
    "path_or_empty": (["", "/a"], ["a", "/a/..", " "]),
    "database_name": (["engine", "a_1"], ["Engine", "1a", "a-b", "a;drop", "", "a" * 64]),
    "postgresql_setting": (["work_mem", "auto_explain.log_min_duration"], ["work mem", "a.b.c", "A", "a=b", ""]),
    "redis_directive": (["maxmemory", "client-output-buffer-limit"], ["a b", "A", "a\nb", "#a", ""]),
    "rabbitmq_key": (["channel_max", "listeners.ssl.1"], ["a b", "a = b", "A", "#a", ""]),
    "sysctl_key": (["net.core.somaxconn", "net.ipv4.conf.eth0.rp_filter"], ["vm", "a b", "a.b=1", "-w", ""]),
    "certificates_or_empty": (
        ["", hospital_certificate(), 2 * hospital_certificate()],
        [
            "no certificate",
            hospital_certificate()[:-40],
            hospital_certificate().replace("CERTIFICATE", "PRIVATE KEY"),
            7,
        ],
    ),
    "distinguished_name_or_empty": (
        ["", "dc=hospital,dc=example", "CN=Über\\, die Ärzte,OU=Groups,DC=h"],
        ["hospital.example", "=a", "1a=b", "a=", "cn=a\nb", " ", 7],
    ),
    "ldap_attribute": (["uid", "sAMAccountName"], ["", "a b", "uid=", "*", "(uid", "1a"]),
    "java_option": (["-Dfoo=bar", "-XX:+UseZGC"], ["Dfoo", "-D a", "-a\nb", "-Da=$(id)", '-D"a"', "-", "@file"]),
}


def test_every_form_has_examples() -> None:
    assert FORM_EXAMPLES.keys() == FORMS.keys()


@pytest.mark.parametrize("name", FORMS)
def test_a_form_takes_what_is_right_and_nothing_else(name: str) -> None:
    right, wrong = FORM_EXAMPLES[name]
    assert [value for value in right if not FORMS[name].fits(value)] == []
    assert [value for value in wrong if FORMS[name].fits(value)] == []
    for value in (None, 3j, b"a", object()):
        FORMS[name].fits(value)  # whatever it is given, a form answers


@pytest.mark.parametrize(
    ("name", "value", "keys", "words"),
    [
        ("redis_port", 70000, (), "redis_port is 70000; allowed: a port of a service that is not root, 1024 to 65535"),
        ("engine_heap_mb", -1, (), "allowed: a whole number, 128 to 262144"),
        ("engine_pool_size", 10**30, (), "allowed: a whole number, 2 to 1000"),
        ("base_time_servers", ["ntp1", "ntp1 iburst\nserver x"], (1,), "servers.1 is 'ntp1 iburst\\nserver x'"),
        ("base_time_servers", ["ntp1", "ntp1"], (1,), "base_time_servers has 'ntp1' twice"),
        ("base_admin_users", [{"name": "root"}], (0, "name"), "no system account"),
        ("base_admin_users", [{"name": "anna"}, {"name": "anna"}], (1,), "has 'anna' twice"),
        ("base_admin_users", [{"name": "anna", "ssh_keys": ["x"]}], (0, "ssh_keys", 0), "one public key as in a .pub"),
        ("redis_settings", {"save": "60 1\nport 6379"}, ("save",), "redis_settings.save is '60 1\\nport 6379'"),
        ("redis_settings", {"a b": 1}, ("a b",), "redis_settings has the key 'a b'"),
        ("redis_settings", {"appendonly": True}, ("appendonly",), "yes, no, true and false in quotes"),
        ("redis_settings", {"save": {"a": 1}}, ("save",), "redis_settings.save is keys with values"),
        ("redis_settings", {"save": [["a\nb"]]}, ("save", 0, 0), "redis_settings.save.0.0 is 'a\\nb'"),
        ("engine_settings", {"a": {"b": ["x\ny"]}}, (), "allowed: keys, lists and plain values"),
        ("gateway_trusted_networks", ["0.0.0.0/0"], (0,), "/8 or smaller"),
        (
            "rabbitmq_policies",
            [{"name": "p", "pattern": ".*", "definition": {"a b": 1}}],
            (0, "definition", "a b"),
            "rabbitmq_policies.0.definition has the key 'a b'",
        ),
    ],
)
def test_a_value_outside_of_its_limit_is_refused_at_its_place(
    name: str, value: Any, keys: tuple[str | int, ...], words: str
) -> None:
    faults = check_value(name, value, VARIABLES, {})
    assert [fault.keys for fault in faults] == [keys]
    assert words in f"{faults[0].what}; {faults[0].fix}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_settings", {"slowlog-max-len": 300, "save": "900 1 300 10", "appendonly": "yes"}),
        ("engine_settings", {"camunda": {"bpm": {"generic-properties": {"properties": {"a": True}}}}}),
        ("base_admin_users", [{"name": "anna", "ssh_keys": [ED25519], "groups": []}]),
        ("rabbitmq_policies", [{"name": "ttl", "pattern": "^x", "definition": {"message-ttl": 1000}}]),
        ("postgresql_wal_directory", ""),
    ],
)
def test_a_value_within_its_limit_passes(name: str, value: Any) -> None:
    assert check_value(name, value, VARIABLES, {}) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: prot", "there is no form prot"),
        ("a: [5, 1]", "a is a list"),
        ("a: {keys: word}", "a is keys with values"),
        ("a: {keys: word, values: {options: {b: wird}}}", "there is no form wird"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / LIMITS_FILE).write_text(text)
    with pytest.raises(DocumentError, match=words):
        read_limits(tmp_path)
