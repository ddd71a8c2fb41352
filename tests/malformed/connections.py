"""Hosts, groups and the ways to reach them."""

from __future__ import annotations

from typing import Final

from tests.malformed import HOSTS, Case, append, edit

_LOGIN: Final = "ansible_user: sitewright # an ordinary login with sudo, never root"
_CLINIC: Final = "clinic1: {ansible_host: 10.21.0.11}"
_KEY: Final = "ansible_ssh_private_key_file"

# Setting, its value as YAML, words.
_SETTINGS: Final = [
    ("ansible_user", '"-oProxyCommand=touch /tmp/sitewright-ran"', "allowed: a login name"),
    ("ansible_user", '""', "allowed: a login name"),
    ("ansible_user", "7", "allowed: a login name"),
    ("ansible_user", "null", "allowed: a login name"),
    ("ansible_user", "[anna]", "allowed: a login name"),
    ("ansible_user", "anna bella", "allowed: a login name"),
    ("ansible_user", '"anna\\n"', "allowed: a login name"),
    ("ansible_user", '"anna;id"', "allowed: a login name"),
    ("ansible_user", f'"{"a" * 200}"', "allowed: a login name"),
    ("ansible_user", "\"{{ lookup('pipe', 'id') }}\"", "is a template"),
    ("ansible_port", "0", "1 to 65535"),
    ("ansible_port", "-1", "1 to 65535"),
    ("ansible_port", "65536", "1 to 65535"),
    ("ansible_port", "70000", "1 to 65535"),
    ("ansible_port", '"22"', "1 to 65535"),
    ("ansible_port", "22.5", "1 to 65535"),
    ("ansible_port", "true", "1 to 65535"),
    ("ansible_port", '"{{ 22 }}"', "is a template"),
    ("ansible_port", "9" * 200, "is a number of 200 characters"),
    ("ansible_connection", "local", "allowed: ssh"),
    ("ansible_connection", "docker", "allowed: ssh"),
    ("ansible_connection", '"{{ x }}"', "is a template"),
    ("ansible_become_method", "doas", "allowed: sudo"),
    ("ansible_become_method", "su", "allowed: sudo"),
    ("ansible_become_method", '""', "allowed: sudo"),
    ("ansible_python_interpreter", "python3", "an absolute path"),
    ("ansible_python_interpreter", '"/usr/bin/python3 -c id"', "an absolute path"),
    ("ansible_python_interpreter", "/usr/bin/../python3", "an absolute path"),
    ("ansible_python_interpreter", "auto_silent", "an absolute path"),
    ("ansible_ssh_common_args", '"-o \'ProxyCommand=id"', "No closing quotation"),
    ("ansible_ssh_common_args", "'-o \"a'", "No closing quotation"),
    ("ansible_ssh_common_args", '"\\\\"', "No escaped character"),
    ("ansible_ssh_common_args", '"-o"', "wants a word after it"),
    ("ansible_ssh_common_args", "elsewhere", "which is no option"),
    ("ansible_ssh_common_args", '"-- elsewhere"', "which is no option"),
    ("ansible_ssh_extra_args", '"-N"', "no option for a login"),
    ("ansible_ssh_extra_args", '"-o A=b\\n-o C=d"', "allowed: text on one line"),
    ("ansible_ssh_extra_args", '"-o A=b\\0"', "allowed: text on one line"),
    (_KEY, "/nowhere/id_ed25519", "No such file"),
    (_KEY, "/", "which is no file"),
    (_KEY, "/dev/null", "which is no file"),
    (_KEY, "/etc/passwd", "which others may read"),
    (_KEY, "~no-such-user/key", "home"),
    (_KEY, '"/a\\0b"', "allowed: text on one line"),
    (_KEY, f'"/{"a" * 1500}"', "File name too long"),
    (_KEY, '""', "allowed: text on one line"),
    ("ansible_usr", "anna", "did you mean ansible_user?"),
    ("ansible_shell_executable", "/bin/zsh", "is not known"),
    ("ansible_ssh_executable", "/opt/ssh", "is not known"),
    ("ansible_password", "secret", "is not known"),
]
_ADDRESSES: Final = [
    ('"-oProxyCommand=touch /tmp/sitewright-ran"', "a host name or an IPv4 address"),
    ("localhost", "not this machine's own"),
    ("127.0.0.1", "not this machine's own"),
    ("0.0.0.0", "not this machine's own"),  # noqa: S104 - refused
    ("224.0.0.1", "a host name or an IPv4 address"),
    ("10.21.0", "a host name or an IPv4 address"),
    ("10.21.0.999", "a host name or an IPv4 address"),
    ("010.021.000.011", "a host name or an IPv4 address"),
    ("10.21.0.11/24", "a host name or an IPv4 address"),
    ('"10.21.0.11\\n"', "a host name or an IPv4 address"),
    ('"fe80::1%eth0"', "a host name or an IPv4 address"),
    ("root@10.21.0.11", "a host name or an IPv4 address"),
    ('"$(id)"', "a host name or an IPv4 address"),
    ("168099851", "a host name or an IPv4 address"),
    ("null", "a host name or an IPv4 address"),
    ('""', "a host name or an IPv4 address"),
    ("clinic1.clinic.internal", "write the IPv4 address here"),
    ("10.22.0.11", "outside of 10.21.0.0/24"),
    ("10.21.0.0", "the subnet's own"),
    ("10.21.0.255", "the subnet's own"),
    ("10.21.0.10", "is the address of clinic1"),
]
_NAMES: Final = [
    *("localhost", "all", "ungrouped", "engine", "redis", "postgresql", "Clinic1", "1clinic", "clinic_1", "clinic.1"),
    *("-oProxyCommand=id", "clinic1-", "a" * 33, "clinic 1", "ä", "clinic1;id", "../clinic1", "clinic[1:3]"),
]
_STRUCTURE: Final = [
    ("nothing under all", "all:\n  hosts:", "other:\n  hosts:", "all is missing"),
    ("a second top", "all:\n  hosts:", "more: {}\nall:\n  hosts:", "put everything under all:"),
    ("a list of hosts", _CLINIC, "[clinic1]", "allowed: keys with values"),
    ("text for a host", _CLINIC, "clinic1: 10.21.0.11", "allowed: keys with values"),
    ("an unknown group", "    engine:", "    engines:", "did you mean engine?"),
    ("a group in a group", "    engine:\n      hosts:", "    engine:\n      children:", "engine.children is not known"),
    ("an unknown part", "  children:", "  childrn:", "did you mean children?"),
    ("a group without hosts", "    engine:\n      hosts:\n        clinic1:", "    engine: {}", "engine has no host"),
    ("a group of text", "    engine:\n      hosts:\n        clinic1:", "    engine: clinic1", "keys with values"),
    (
        "a misspelt member",
        "    engine:\n      hosts:\n        clinic1:",
        "    engine:\n      hosts:\n        clinic2:",
        "no addr",
    ),
    ("a host without address", _CLINIC, "clinic1: {}", "clinic1 has no address"),
    ("two addresses", _CLINIC, "clinic1: {ansible_host: 10.21.0.11, ansible_host: 10.21.0.12}", "is written twice"),
    ("a host twice", _CLINIC, f"{_CLINIC}\n    {_CLINIC}", "clinic1 is written twice"),
    ("an address for two", _CLINIC, f"{_CLINIC}\n    clinic2: {{ansible_host: 10.21.0.11}}", "which clinic1 has too"),
    ("a host in no group", _CLINIC, f"{_CLINIC}\n    clinic2: {{ansible_host: 10.21.0.12}}", "clinic2 is in no group"),
    ("variables as a list", _LOGIN, "- a", "allowed: keys with values"),
    ("a key that is a number", _CLINIC, "7: {ansible_host: 10.21.0.11}", "the key 7 is not text"),
    (
        "site.yml's content in hosts.yml",
        "all:\n  hosts:",
        "sitewright: {}\nall:\n  hosts:",
        "put everything under all:",
    ),
    ("two login names", _LOGIN, "ansible_user: a\n    ansible_user: b", "is written twice"),
]
_WHOLE: Final = {0, 29}  # the option for a login, and the quote that is not closed


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(
            name=f"{name}: {value[:40]}",
            spoil=edit(HOSTS, _LOGIN, f"{name}: {value}"),
            words=("hosts.yml:7: ", words),
            whole=index in _WHOLE,
        )
        for index, (name, value, words) in enumerate(_SETTINGS)
    ]
    found += [
        Case(
            name=f"ansible_host: {value}",
            spoil=edit(HOSTS, "ansible_host: 10.21.0.11", f"ansible_host: {value}"),
            words=(":", words),
            whole=index == 0,
        )
        for index, (value, words) in enumerate(_ADDRESSES)
    ]
    found += [
        Case(name=f"a host called {name}", spoil=edit(HOSTS, "clinic1:", f'"{name}":'), words=("cannot be the name",))
        for name in _NAMES
    ]
    found += [
        Case(name=name, spoil=edit(HOSTS, old, new), words=("hosts.yml", words)) for name, old, new, words in _STRUCTURE
    ]
    found += [
        Case(
            name=f"an even number in {group}",
            spoil=edit(HOSTS, "        svc3:\n", ""),
            words=("must be odd", group),
            site="hospital-a",
        )
        for group in ("etcd", "redis", "rabbitmq")
    ]
    found += [
        Case(
            name="two repositories",
            spoil=edit(HOSTS, "    repository:\n      hosts:\n", "    repository:\n      hosts:\n        gw1:\n"),
            words=("the group repository has 2 hosts", "at most 1"),
            site="hospital-a",
        ),
        Case(
            name="a login in two files",
            spoil=append("group_vars/all/more.yml", "ansible_user: other\n"),
            words=("is also set in", "keep one of the two"),
        ),
        Case(
            name="a connection setting of no host",
            spoil=append("host_vars/clinic2.yml", "ansible_port: 22\n"),
            words=("there is no host clinic2", "did you mean clinic1?"),
        ),
        Case(
            name="a port of one host",
            spoil=append("host_vars/clinic1.yml", "ansible_port: 99999\n"),
            words=("clinic1.yml:1: ansible_port is 99999", "1 to 65535"),
        ),
        Case(
            name="a port SSH has already",
            spoil=append("host_vars/clinic1.yml", "ansible_port: 6379\n"),
            words=("port 6379 of clinic1 is wanted by",),
        ),
    ]
    return found
