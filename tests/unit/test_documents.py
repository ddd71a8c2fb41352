"""What a file of settings may be, before anybody asks what it says."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from installer.documents import DocumentError, read_document
from installer.documents.bounds import LARGEST_BYTES, MOST_LEVELS, MOST_VALUES

if TYPE_CHECKING:
    from pathlib import Path


def _refused(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    assert caught.value.hint
    assert len(f"{caught.value.message}\n{caught.value.hint}".splitlines()) == 2
    return f"{caught.value.message}\n{caught.value.hint}"


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device", "a folder"])
def test_what_is_no_ordinary_file_is_refused_without_being_opened(kind: str, sockets: Path) -> None:
    path = sockets / "hosts.yml"
    match kind:
        case "a pipe":
            os.mkfifo(path)
        case "a socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "a device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    assert f"hosts.yml: is {kind}" in _refused(path)


def test_a_link_to_an_ordinary_file_is_read_and_one_to_nothing_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a: 1\n")
    link = tmp_path / "hosts.yml"
    link.symlink_to(tmp_path / "real")
    assert read_document(link).value == {"a": 1}
    (tmp_path / "real").unlink()
    assert "is a link to a file that does not exist" in _refused(link)


def test_a_file_as_large_as_allowed_is_read_and_a_larger_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text("#" * (LARGEST_BYTES - 5) + "\na: 1")
    assert read_document(path).value == {"a": 1}
    path.write_text("#" * LARGEST_BYTES + "\na: 1")
    assert "is larger than 1024 kB" in _refused(path)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_nesting_is_bounded(opening: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(f"---\na:\n  {opening * 50_000}")
    assert f"hosts.yml:3: nests deeper than {MOST_LEVELS} levels" in _refused(path)


def test_what_is_nested_as_deep_as_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text("[" * MOST_LEVELS + "]" * MOST_LEVELS)
    assert read_document(path).value is not None


@pytest.mark.parametrize("use", ["[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]", "{{<<: [{0}, {0}, {0}, {0}], k{1}: 1}}"])
def test_aliases_count_as_often_as_they_are_used(use: str, tmp_path: Path) -> None:
    lines = ["a0: &a0 {a: 1}"]
    lines += [f"a{level}: &a{level} {use.format(f'*a{level - 1}', level)}" for level in range(1, 30)]
    path = tmp_path / "hosts.yml"
    path.write_text("\n".join(lines) + "\n")
    assert f"holds more than {MOST_VALUES} values" in _refused(path)


def test_an_alias_used_twice_is_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")
    assert read_document(path).value == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [*a]", "contains itself"),
        ("a: &a {<<: *a}", "contains itself"),
        ("a: &a {<<: [*a]}", "contains itself"),
        ("a: {<<: &b [*b]}", "contains itself"),
        ("a: {<<: [[{b: 1}]]}", "<< needs keys with values"),
        ('a: !!int ""', "cannot be understood"),
        ("a: !!bool perhaps", "cannot be understood"),
        ("a: !!timestamp soon", "cannot be understood"),
        ("a: 2027-13-45", "cannot be understood"),
        ("a: " + "9" * 5000, "is a number of 5000 characters"),
        ("a: 1" + ":1" * 100_000, "is a number of 200001 characters"),
        ("a: 0x" + "f" * 100_000, "is a number of 100002 characters"),
        ("a: !python/object:os.system {}", "has the tag"),
        ("a: !!python/object/apply:os.system [id]", "has the tag"),
        ("a: !vault [x]", "has the tag !vault"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("a: \x07", "is not YAML"),
    ],
    ids=lambda value: value[:24],
)
def test_what_yaml_allows_and_no_setting_needs_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(text)
    assert words in _refused(path)


def test_a_byte_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    assert "hosts.yml:2: cannot be read: byte 0xff is not UTF-8" in _refused(path)


def test_what_a_file_says_never_steers_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text('"\\e[2J\\n": 1\n"\\e[2J\\n": 2\n')
    said = _refused(path)
    assert "\x1b" not in said
    assert "\\x1b[2J\\n is written twice" in said


def test_json_is_read_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    path.write_text('{\n\t"a": [1, "x\\/y"],\n\t"b": {"c": null}\n}\n')
    document = read_document(path)
    assert document.value == {"a": [1, "x/y"], "b": {"c": None}}
    assert document.at("b", "c").line == 3
