"""How the controller reaches a host: what an operator may say about it, and the ssh command made of that."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from installer.controller.logins import sharing
from installer.documents import shown
from installer.site.forms import FORMS, Fault, Form, is_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from installer.site.model import Host

KEY_VARIABLE: Final = "ansible_ssh_private_key_file"
_ARGUMENT_VARIABLES: Final = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
# The options of ssh that take a word, and those that do not but may be wanted (ssh(1), OpenSSH 10).
_OPTIONS_WITH_WORD: Final = frozenset("BbcDEeFIiJLlmopQRSW")
_OPTIONS_ALONE: Final = frozenset("46AaCKkqvXxYy")


def _arguments_fault(value: str) -> str:
    """What is wrong with options of ssh, or an empty string."""
    try:
        words = shlex.split(value)
    except ValueError as error:
        return f"cannot be split into words: {error}"
    waiting = False
    for word in words:
        if waiting:
            waiting = False
            continue
        if not word.startswith("-") or word in {"-", "--"}:
            return f"has the word {shown(word)}, which is no option"
        for index, letter in enumerate(word[1:], start=1):
            if letter in _OPTIONS_WITH_WORD:
                waiting = index == len(word) - 1
                break
            if letter not in _OPTIONS_ALONE:
                return f"has {shown(word)}, which is no option for a login"
    return f"ends in {words[-1]}, which wants a word after it" if waiting else ""


_LINE: Final = Form("text on one line", lambda value: is_one_line(value) and bool(value.strip()))
# How a host may be reached; everything else about a connection is the wrapper's business. Preflight, the proof and
# Ansible with either strategy log in by OpenSSH and become root by sudo, so nothing else is offered.
CONNECTION_VARIABLES: Final[Mapping[str, Form]] = {
    "ansible_host": FORMS["host"],
    "ansible_user": FORMS["login_name"],
    "ansible_port": FORMS["port"],
    KEY_VARIABLE: _LINE,
    "ansible_ssh_common_args": _LINE,
    "ansible_ssh_extra_args": _LINE,
    "ansible_connection": Form("ssh", lambda value: value == "ssh"),
    "ansible_python_interpreter": Form("an absolute path such as /usr/bin/python3", FORMS["path"].fits),
    "ansible_become_method": Form("sudo", lambda value: value == "sudo"),
}


def connection_fault(name: str, value: Any) -> Fault | None:
    """What is wrong with a connection setting, if anything; no file is looked at."""
    form = CONNECTION_VARIABLES[name]
    if isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#")):
        return Fault((), f"{name} is a template", "write the value itself; a site's files hold plain values only")
    if not form.fits(value):
        return Fault((), f"{name} is {shown(value)}", f"allowed: {form.words}")
    if name in _ARGUMENT_VARIABLES and (wrong := _arguments_fault(value)):
        return Fault((), f"{name} {wrong}", 'write options of ssh, quoted as in a shell: -J jump -o "Compression yes"')
    return None


def key_file(value: str) -> Path:
    """The key file an operator named: `~` is their home, a relative path starts where they are, as for Ansible."""
    return Path(value).expanduser().absolute()


def key_fault(value: str) -> Fault | None:
    """What is wrong with a private key's file, if anything; ssh would only say that the login failed."""
    try:
        path = key_file(value)
        mode = path.stat().st_mode
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Fault((), f"{KEY_VARIABLE} is {shown(value)}: {reason}", "name the file of the login's private key")
    if not stat.S_ISREG(mode):
        return Fault(
            (), f"{KEY_VARIABLE} is {shown(value)}, which is no file", "name the file of the login's private key"
        )
    if mode & 0o077:
        return Fault(
            (), f"{KEY_VARIABLE} is {shown(value)}, which others may read", f"ssh refuses it; chmod 600 {path}"
        )
    return None


def login_argv(host: Host, sockets: Path) -> list[str]:
    """OpenSSH with the connection settings of the inventory; the words of a command may follow.

    Whatever the inventory names stands after the option it belongs to or after `--`, so that none of it can become
    an option of ssh (ProxyCommand would run on the controller).

    Args:
        host: The host.
        sockets: Folder of the connections that are shared.
    """
    given = host.connection
    argv = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", *sharing(sockets)]
    for variable in _ARGUMENT_VARIABLES:
        argv += shlex.split(str(given.get(variable, "")))
    for option, value in (
        ("-i", given.get(KEY_VARIABLE)),
        ("-p", given.get("ansible_port")),
        ("-l", given.get("ansible_user")),
    ):
        if value is not None:
            argv += [option, str(value)]
    return [*argv, "--", str(given.get("ansible_host", host.address))]
