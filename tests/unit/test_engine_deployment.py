"""The Ansible module that deploys models: what it sends, and when it decides to send it."""

from __future__ import annotations

import importlib.util
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

MODULE = Path(__file__).resolve().parents[2] / "plugins" / "modules" / "engine_deployment.py"
PROCESS = b"<definitions>\r\n--not a boundary--\r\n</definitions>"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The Ansible module, imported by its file as Ansible does."""
    specification = importlib.util.spec_from_file_location("engine_deployment", MODULE)
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


def test_form_carries_fields_and_files_byte_for_byte(module: ModuleType) -> None:
    body, content_type = module.multipart({"deployment-name": "n"}, {"a.bpmn": PROCESS, "b.dmn": b""})
    parsed = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = list(parsed.walk())[1:]
    contents = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}
    assert contents == {"deployment-name": b"n", "a.bpmn": PROCESS, "b.dmn": b""}
    assert [part.get_filename() for part in parts] == [None, "a.bpmn", "b.dmn"]


def test_same_set_is_not_different(module: ModuleType) -> None:
    assert module.difference({"a.bpmn": b"1"}, {"a.bpmn": b"1"}) == ""


def test_difference_names_what_is_new_changed_and_removed(module: ModuleType) -> None:
    said = module.difference({"a.bpmn": b"2", "b.dmn": b"1"}, {"a.bpmn": b"1", "c.form": b"1"})
    assert said == "new: b.dmn; removed: c.form; changed: a.bpmn"


def test_nothing_deployed_is_said_as_such(module: ModuleType) -> None:
    assert module.difference({"a.bpmn": b"1"}, {}) == "nothing of that name is deployed"


def test_only_models_belong_to_the_set(module: ModuleType, tmp_path: Path) -> None:
    for name in ("z.bpmn", "a.dmn", "f.form", "notes.txt", "a.dmn.bak"):
        (tmp_path / name).write_text(name)
    assert list(module.read_models(tmp_path)) == ["a.dmn", "f.form", "z.bpmn"]
    assert module.read_models(tmp_path / "missing") == {}


def test_engine_that_is_not_there_is_told_from_one_that_refuses(module: ModuleType) -> None:
    parameters = {"url": "https://127.0.0.1:1/engine-rest", "user": "u", "password": "p", "ca_path": None}
    with pytest.raises(module.EngineUnavailableError, match="refused"):
        module.Engine(parameters).newest("revenue-cycle")


def test_plain_http_is_refused(module: ModuleType) -> None:
    parameters = {"url": "http://127.0.0.1/engine-rest", "user": "u", "password": "p", "ca_path": None}
    with pytest.raises(module.EngineRefusedError, match="not an https address"):
        module.Engine(parameters)


def test_engines_own_words_about_a_refusal_are_kept(module: ModuleType) -> None:
    assert module.said_in(b'{"type": "ParseException", "message": "line 3"}') == "line 3"
    assert module.said_in(b"<html>\n bad   gateway</html>") == "<html> bad gateway</html>"
