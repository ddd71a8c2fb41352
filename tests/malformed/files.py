"""What is no file of settings: bombs, devices, bytes that are no text, and YAML that lies."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING, Final

from tests.malformed import HOSTS, SITE, Case, append, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MORE: Final = "group_vars/all/more.yml"
_LEVELS: Final = 40


def _replace_by(file: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        make(path)

    return spoil


def _socket(path: Path) -> None:
    """A socket; bound by a short name, because the kernel allows no long one."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def _link_to_pipe(path: Path) -> None:
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe)


def _anchors(use: str) -> str:
    """Each line names the one before it several times."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{level}: &a{level} {use.format(one=f'*a{level - 1}')}" for level in range(1, _LEVELS)]
    return "\n".join(lines) + "\n"


_KINDS: Final[list[tuple[str, Callable[[Path], object], str]]] = [
    ("a pipe", os.mkfifo, "is a pipe"),
    ("a socket", _socket, "is a socket"),
    ("a device without an end", lambda path: path.symlink_to("/dev/zero"), "is a device"),
    ("a device without content", lambda path: path.symlink_to("/dev/null"), "is a device"),
    ("a terminal", lambda path: path.symlink_to("/dev/tty"), "is a device"),
    ("a link to a pipe", _link_to_pipe, "is a pipe"),
    ("a link to nothing", lambda path: path.symlink_to("nothing"), "is a link to a file that does not exist"),
    ("a link to itself", lambda path: path.symlink_to(path.name), "is not a file"),
]
_BOMBS: Final = [
    ("an anchor bomb", _anchors("[{one}, {one}, {one}, {one}, {one}, {one}, {one}, {one}, {one}]"), "more than 20000"),
    ("an anchor bomb of keys", _anchors("{{a: {one}, b: {one}, c: {one}}}"), "more than 20000 values"),
    ("a merge bomb", _anchors("{{<<: [{one}, {one}, {one}, {one}, {one}]}}"), "more than 20000 values"),
    ("a merge bomb of keys", _anchors("{{<<: {one}, a: {one}, b: {one}}}"), "more than 20000 values"),
    ("very many values", "a:\n" + "- 1\n" * 200_000, "more than 20000 values"),
    ("very many keys", "".join(f"k{number}: 1\n" for number in range(60_000)), "more than 20000 values"),
    ("20 MB", "# " + "x" * 78 + "\n" + ("#" * 79 + "\n") * 262_144, "is larger than 1024 kB"),
    ("deep lists", "a: " + "[" * 500_000, "deeper than 32 levels"),
    ("deep keys", "a: " + "{b: " * 200_000, "deeper than 32 levels"),
    ("deep items", "a:\n  " + "- " * 400_000, "deeper than 32 levels"),
    ("deep lines", "".join(f"{' ' * level}k:\n" for level in range(1_000)), "deeper than 32 levels"),
    ("a list in itself", "a: &a [*a]\n", "contains itself"),
    ("keys in themselves", "a: &a {b: *a}\n", "contains itself"),
    ("a merge of itself", "a: &a {<<: *a}\n", "contains itself"),
    ("a merge of itself in a list", "a: {<<: &b [*b]}\n", "contains itself"),
    ("a number of a million digits", f"a: {'9' * 900_000}\n", "is a number of 900000 characters"),
    ("a sum of sixties", f"a: 1{':1' * 400_000}\n", "is a number of 800001 characters"),
    ("a long hexadecimal number", f"a: 0x{'f' * 900_000}\n", "is a number of 900002 characters"),
    ("a long binary number", f"a: 0b{'1' * 900_000}\n", "is a number of 900002 characters"),
    ("a long fraction", f"a: 0.{'1' * 900_000}\n", "is a number of 900002 characters"),
    ("ten thousand unknown names", "".join(f"name_{number}: 1\n" for number in range(9_000)), "is not known"),
    ("a very long name", f"? {'n' * 500_000}\n: 1\n", "is not known"),
    ("a very long text", f"redis_master_name: {'n' * 900_000}\n", "allowed: letters, digits"),
]
_YAML: Final = [
    ("an open list", "a: [1\n", "is not YAML"),
    ("an open quote", "a: 'b\n", "is not YAML"),
    ("a tab", "a:\n\tb: 1\n", "is not YAML"),
    ("a colon too many", "a: b: c\n", "is not YAML"),
    ("an unknown alias", "a: *b\n", "is not YAML"),
    ("two documents", "a: 1\n---\nb: 2\n", "is not YAML"),
    ("a control character", "a: \x01\n", "is not YAML"),
    ("half a character", 'a: "\\ud800"\n', "is not YAML"),
    ("a directive", "%FOO\na: 1\n", "is not YAML"),
    ("a command as a tag", "a: !!python/object/apply:os.system [id]\n", "has the tag"),
    ("an object as a tag", "a: !!python/object:os.wrap_close {}\n", "has the tag"),
    ("a name as a tag", "a: !!python/name:os.system\n", "is not YAML"),
    ("a vault's tag", "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n", "has the tag !vault"),
    ("an unsafe tag", "a: !unsafe x\n", "has the tag !unsafe"),
    ("a set", "a: !!set {b}\n", "has the tag"),
    ("an empty number", 'a: !!int ""\n', "cannot be understood"),
    ("a number of letters", "a: !!int abc\n", "cannot be understood"),
    ("an empty fraction", 'a: !!float ""\n', "cannot be understood"),
    ("a truth that is none", "a: !!bool perhaps\n", "cannot be understood"),
    ("a moment that is none", "a: !!timestamp soon\n", "cannot be understood"),
    ("a day that is none", "a: 2027-02-30\n", "cannot be understood"),
    ("bytes that are none", "a: !!binary ä\n", "is not YAML"),
    ("a list at the top", "- a\n", "allowed: keys with values"),
    ("a text at the top", "just text\n", "allowed: keys with values"),
    ("a number at the top", "7\n", "allowed: keys with values"),
    ("a key twice", "base_open_files_max: 65536\nbase_open_files_max: 65536\n", "is written twice"),
    ("a key that is no text", "1: 2\n", "the key 1 is not text"),
    ("a key that is true", "yes: 2\n", "the key yes is not text"),
    ("a key that is a list", "[a]: 2\n", "is not text"),
    ("a merge of a text", "a:\n  <<: b\n", "<< needs keys with values"),
    ("a name that steers a terminal", '"\\e[2J\\e]0;x\\a": 1\n', "\\x1b[2J"),
    ("a name of two lines", '"a\\nb": 1\n', "a\\nb is not known"),
]
_BYTES: Final = [
    ("Latin-1", b"a: \xfc\n", "is not UTF-8"),
    ("UTF-16", "a: 1\n".encode("utf-16"), "is not UTF-8"),
    ("a program", b"\x7fELF\x02\x01\x01\x00", "is not YAML"),
    ("zeros", bytes(1000), "is not YAML"),
    ("a vault", b"$ANSIBLE_VAULT;1.1;AES256\n61\n", "is an encrypted file"),
]
# The bombs, and whatever else stands for hosts.yml, also go through the real command line.
_WHOLE_BOMBS: Final = 12


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(name=f"{name} for {file}", spoil=_replace_by(file, make), words=(file, words), whole=file == HOSTS)
        for name, make, words in _KINDS
        for file in (HOSTS, _MORE)
    ]
    found += [
        Case(name=name, spoil=write(_MORE, text.encode()), words=("more.yml", words), whole=index < _WHOLE_BOMBS)
        for index, (name, text, words) in enumerate(_BOMBS)
    ]
    found += [
        Case(name=name, spoil=write(_MORE, text.encode()), words=("more.yml", words)) for name, text, words in _YAML
    ]
    found += [
        Case(name=f"{name} for {file}", spoil=write(file, content), words=(file, words))
        for name, content, words in _BYTES
        for file in (_MORE, "host_vars/clinic1.yml")
    ]
    return [*found, *_places()]


def _places() -> list[Case]:
    """Files that are missing, or stand where none belong."""
    return [
        Case(name="no hosts.yml", spoil=lambda folder: (folder / HOSTS).unlink(), words=("hosts.yml: does not exist",)),
        Case(name="no site.yml", spoil=lambda folder: (folder / SITE).unlink(), words=("sitewright is missing",)),
        Case(name="an empty hosts.yml", spoil=write(HOSTS, b""), words=("hosts.yml:1: all is missing",)),
        Case(name="an empty site.yml", spoil=write(SITE, b""), words=("sitewright is missing",)),
        Case(name="no folder", spoil=shutil.rmtree, words=("is not an inventory folder",)),
        Case(name="a file of notes", spoil=append("group_vars/all/notes.txt", "a\n"), words=("is not a file of var",)),
        Case(name="a program", spoil=append("group_vars/engine.py", "a\n"), words=("is not a file of variables",)),
        Case(name="a file for group_vars", spoil=_file_for_folder, words=("is not a readable folder",)),
        Case(name="a circle of folders", spoil=_circle, words=("leads in a circle",)),
        Case(name="an unknown group's file", spoil=append("group_vars/engines.yml", "{}"), words=("mean engine?",)),
        Case(name="an unknown host's file", spoil=append("host_vars/clinc1.yml", "{}"), words=("mean clinic1?",)),
        Case(name="broken JSON", spoil=append("group_vars/engine.json", '{"a": '), words=("engine.json", "not YAML")),
        Case(name="a list as JSON", spoil=append("group_vars/engine.json", "[1]"), words=("keys with values",)),
        Case(
            name="the site in a group's file",
            spoil=append("group_vars/engine.yml", "sitewright: {}\n"),
            words=("describes the whole site",),
        ),
        Case(name="the site twice", spoil=append(_MORE, "sitewright: {}\n"), words=("is also written in",)),
    ]


def _file_for_folder(folder: Path) -> None:
    shutil.rmtree(folder / "group_vars")
    (folder / "group_vars").write_text("a: 1\n")


def _circle(folder: Path) -> None:
    (folder / "group_vars" / "engine").mkdir()
    (folder / "group_vars" / "engine" / "again").symlink_to(folder / "group_vars")
