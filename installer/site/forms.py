"""The forms a value may have that reaches a file, a command line or a connection; each with its words for the operator.

An argument specification knows types, not ranges. `meta/limits.yml` beside it names for each variable one of these
forms, or a range of whole numbers; connection settings and the site's own file use the same ones.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Form:
    """What a value must look like.

    Attributes:
        words: What is allowed; ends a sentence.
        fits: Whether a value has the form; it is given the right type of value, or any.
    """

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value, at which keys inside it."""

    keys: tuple[str | int, ...]
    what: str
    fix: str


LAST_PORT: Final = 65535
_FIRST_UNPRIVILEGED_PORT: Final = 1024
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")
_NOT_A_LINE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_LINE: Final = 2000
_LONGEST_PEM: Final = 100_000
_SYSTEM_GROUPS: Final = frozenset({"root", "shadow", "disk", "kmem"})
# Debian's own accounts (base-passwd) and those of the packages we install.
_SYSTEM_ACCOUNTS: Final = frozenset(
    {
        *("root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data"),
        *("backup", "list", "irc", "gnats", "nobody", "_apt", "messagebus", "sshd", "_chrony"),
        *("postgres", "redis", "rabbitmq", "etcd", "nginx", "engine", "worker"),
    }
)
_PUBLIC_KEY: Final = re.compile(
    r'(?:(?:[^\s"]|"(?:[^"\\]|\\.)*")+[ \t]+)?'  # options such as from="10.0.0.0/8"
    r"(?P<kind>ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r"[ \t]+(?P<blob>[A-Za-z0-9+/]+={0,2})(?:[ \t].*)?"
)


def _pattern(words: str, pattern: str, *, longest: int = 255) -> Form:
    """Text of a pattern, which is compiled when the first value asks for it: most runs see none of most forms."""
    return Form(
        words,
        lambda value: isinstance(value, str) and len(value) <= longest and bool(re.fullmatch(pattern, value)),
    )


def is_one_line(value: Any) -> bool:
    """Whether a value can stand in a line of a file without beginning another one."""
    return isinstance(value, str) and len(value) <= _LONGEST_LINE and not _NOT_A_LINE.search(value)


def is_address(value: Any) -> bool:
    """Whether it is an IPv4 address another host can have."""
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        return False
    if not isinstance(value, str):
        return False
    return not (address.is_loopback or address.is_multicast or address.is_unspecified or address.is_reserved)


def is_host_name(value: Any) -> bool:
    """Whether it is a name in DNS's form of something that is not this machine; no bare number, no option."""
    if not isinstance(value, str) or not _HOST_NAME.fullmatch(value):
        return False
    last = value.rstrip(".").rsplit(".", 1)[-1].lower()
    return not last.isdigit() and last not in {"localhost", "localdomain"}


def is_network(value: Any) -> bool:
    """Whether it is an IPv4 network no larger than a tenth of a percent of the internet."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return False
    return isinstance(value, str) and "/" in value and network.prefixlen >= LARGEST_NETWORK


LARGEST_NETWORK: Final = 8


def _is_public_key(value: Any) -> bool:
    found = _PUBLIC_KEY.fullmatch(value) if is_line_of_any_length(value) else None
    if found is None:
        return False
    try:
        blob = base64.b64decode(found["blob"], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
    except (binascii.Error, struct.error):
        return False
    kind = found["kind"].encode()
    # The key says its own kind first; what follows it is long enough for the shortest of keys.
    return length == len(kind) and blob[4 : 4 + length] == kind and len(blob) > 4 + length + 32


def is_line_of_any_length(value: Any) -> bool:
    """Whether it is one line; keys are longer than other lines."""
    return isinstance(value, str) and not _NOT_A_LINE.search(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or is_one_line(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return is_one_line(value) and bool(value.strip())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_tree(value: Any) -> bool:
    """Keys, lists and plain values, each on one line."""
    if isinstance(value, dict):
        return all(is_one_line(key) and _is_tree(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_is_tree(inner) for inner in value)
    return value is None or _is_scalar(value)


def _is_certificates_or_empty(value: Any) -> bool:
    """Whether it is one certificate or several, in PEM."""
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - most runs see none, and it takes its time

    if not isinstance(value, str) or len(value) > _LONGEST_PEM:
        return False
    try:
        return not value or bool(load_pem_x509_certificates(value.encode()))
    except ValueError:
        return False


def whole_number(least: int, most: int, name: str = "a whole number") -> Form:
    """A range of whole numbers, both ends in it."""
    return Form(
        f"{name}, {least} to {most}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most,
    )


FORMS: Final[dict[str, Form]] = {
    # numbers
    "port": whole_number(1, LAST_PORT, "a port"),
    "unprivileged_port": whole_number(_FIRST_UNPRIVILEGED_PORT, LAST_PORT, "a port of a service that is not root"),
    # text
    "one_line": Form(f"text on one line, at most {_LONGEST_LINE} characters, no control characters", is_one_line),
    "scalar": Form("a number, true, false, or text on one line", _is_scalar),
    # where true would be written as True, which the service does not know
    "plain": Form("a number, or text on one line, not empty; yes, no, true and false in quotes", _is_plain),
    "tree": Form("keys, lists and plain values, each on one line", _is_tree),
    "word": _pattern("letters, digits and . _ -, a letter or digit first", r"[A-Za-z0-9][A-Za-z0-9._-]*", longest=128),
    # people and accounts
    "login_name": _pattern(
        "a login name: letters, digits and . _ -, a letter or _ first, at most 32", r"[A-Za-z_][A-Za-z0-9._-]{0,31}"
    ),
    "administrator_name": Form(
        "a person's login: lower-case letters, digits, _ and -, a letter first, at most 32, and no system account",
        lambda value: (
            isinstance(value, str)
            and bool(re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", value))
            and value not in _SYSTEM_ACCOUNTS
            and not value.startswith(("sw-", "systemd-"))
        ),
    ),
    "group_name": Form(
        "a group: lower-case letters, digits, _ and -, a letter or _ first, at most 32; none that equals root",
        lambda value: (
            isinstance(value, str)
            and bool(re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value))
            and value not in _SYSTEM_GROUPS
        ),
    ),
    "engine_id": _pattern("letters and digits", r"[A-Za-z0-9]+", longest=64),
    "ssh_public_key": Form("one public key as in a .pub file, such as: ssh-ed25519 AAAA... anna", _is_public_key),
    # network
    "host": Form(
        "a host name or an IPv4 address, not this machine's own", lambda value: is_address(value) or is_host_name(value)
    ),
    "address": Form("an IPv4 address, not this machine's own", is_address),
    "host_name": Form("a host name, not this machine's own", is_host_name),
    "network": Form(f"an IPv4 network such as 10.20.0.0/24, /{LARGEST_NETWORK} or smaller", is_network),
    "origin": _pattern(
        "a web page's origin as browsers send it, such as https://portal.hospital.example, or with a port behind it",
        r"https://(?=.{1,253}(:|\Z))[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
        r"(:(?!443\Z)[1-9][0-9]{0,4})?",
        longest=300,
    ),
    "interface": _pattern("the name of a network interface", r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}"),
    # time
    "iso_duration": _pattern(
        "an ISO 8601 duration of days to years, such as P180D", r"P(?=\d)(\d{1,3}Y)?(\d{1,3}M)?(\d{1,3}W)?(\d{1,5}D)?"
    ),
    "clock_time": _pattern("a time of day, 00:00 to 23:59, in quotes", r"([01][0-9]|2[0-3]):[0-5][0-9]"),
    # files
    "path": _pattern(
        "an absolute path of letters, digits and . _ + @ -, without ..",
        r"(/(?!\.\.?(/|$))[A-Za-z0-9._+@-]+)+",
        longest=1024,
    ),
    "path_or_empty": _pattern("an absolute path, or empty", r"((/(?!\.\.?(/|$))[A-Za-z0-9._+@-]+)+)?", longest=1024),
    # what services call their settings
    "database_name": _pattern("lower-case letters, digits and _, a letter first", r"[a-z][a-z0-9_]{0,62}"),
    "postgresql_setting": _pattern("the name of a PostgreSQL setting", r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?"),
    "redis_directive": _pattern("the name of a redis.conf directive", r"[a-z][a-z0-9-]*"),
    "rabbitmq_key": _pattern("a rabbitmq.conf key", r"[a-z][a-z0-9_-]*(\.[A-Za-z0-9_$-]+)*"),
    "sysctl_key": _pattern("a kernel setting such as net.core.somaxconn", r"[a-z][a-z0-9_-]*(\.[A-Za-z0-9_-]+)+"),
    "certificates_or_empty": Form(
        "one certificate or several, PEM, as a block of lines (key: |), or empty", _is_certificates_or_empty
    ),
    "distinguished_name_or_empty": _pattern(
        "a distinguished name such as ou=people,dc=hospital,dc=example, or empty",
        r"([A-Za-z][A-Za-z0-9-]*=[^\x00-\x1f\x7f]+)?",
        longest=1000,
    ),
    "ldap_attribute": _pattern("the name of an LDAP attribute", r"[A-Za-z][A-Za-z0-9-]*", longest=64),
    "java_option": _pattern("one option of Java without spaces or quotes", r"-[A-Za-z][^\s\"'`$\\;&|<>{}]*"),
}
