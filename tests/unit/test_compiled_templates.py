"""The store of compiled templates: used instead of compiling, told apart by settings, harmless when damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2.bccache import bc_magic

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, because the store stays with Ansible's environment once it is installed.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible.template import trust_as_template
from ansible._internal._templating import _jinja_bits as bits
from ansible._internal._templating._engine import TemplateEngine, TemplateOptions
from pathlib import Path
import compiled_templates

compiled = []
plain = bits.AnsibleEnvironment._generate
def counted(self, *args, **rest):
    compiled.append(1)
    return plain(self, *args, **rest)
bits.AnsibleEnvironment._generate = counted
compiled_templates.install(Path(sys.argv[2]))

engine = TemplateEngine(variables={"name": "db1", "ports": [5432, 8008]})
said = []
for text in json.loads(sys.argv[3]):
    try:
        if isinstance(text, dict):
            said.append(engine.evaluate_expression(trust_as_template(text["expression"])))
        elif isinstance(text, list):
            options = TemplateOptions(escape_backslashes=text[1])
            said.append(engine.template(trust_as_template(text[0]), options=options))
        else:
            said.append(engine.template(trust_as_template(text)))
    except Exception as error:
        said.append(type(error).__name__ + ": " + str(error))
print(json.dumps([said, len(compiled)]))
"""


def _template(store: Path, *texts: object) -> tuple[list[object], int]:
    """What the texts become in a fresh process, and how many templates it compiled."""
    argv = [sys.executable, "-c", PROGRAM, str(ROOT / "plugins" / "callback"), str(store), json.dumps(texts)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    said, compiled = json.loads(done.stdout.splitlines()[-1])
    return said, compiled


def test_a_second_process_compiles_nothing_and_says_the_same(tmp_path: Path) -> None:
    """Templates, nested lists, loops and expressions alike come from the store."""
    texts = [
        "{{ name }}:{{ ports | first }}",
        "{% for port in ports %}{{ port }} {% endfor %}",
        "{{ ports | map('string') | join('+') }}",
        {"expression": "ports | length == 2 and name == 'db1'"},
    ]
    first, compiled = _template(tmp_path / "store", *texts)
    assert first == ["db1:5432", "5432 8008 ", "5432+8008", True]
    assert compiled == len(texts)
    assert _template(tmp_path / "store", *texts) == (first, 0)


def test_settings_and_kinds_are_told_apart(tmp_path: Path) -> None:
    """The same text means something else as an expression, and with backslashes taken as they are."""
    texts = ["name", {"expression": "name"}, ["{{ 'a\\tb' }}", True], ["{{ 'a\\tb' }}", False]]
    wanted = ["name", "db1", "a\\tb", "a\tb"]
    assert _template(tmp_path / "store", *texts)[0] == wanted
    assert _template(tmp_path / "store", *texts) == (wanted, 0)


def test_what_does_not_compile_says_so_every_time(tmp_path: Path) -> None:
    """An error is never stored."""
    texts = ["{{ name", {"expression": "name =="}]
    first, _ = _template(tmp_path / "store", *texts)
    assert all("Error" in str(said) for said in first)
    assert _template(tmp_path / "store", *texts)[0] == first


@pytest.mark.parametrize("kept", [0, len(bc_magic) + 3, -20], ids=["nothing", "beginning", "all-but-the-end"])
def test_a_damaged_file_is_compiled_again(tmp_path: Path, kept: int) -> None:
    """A controller that lost power may have cut a file short."""
    store = tmp_path / "store"
    _template(store, "{{ name }}")
    (file,) = store.glob("*/*")
    file.write_bytes(file.read_bytes()[:kept])
    assert _template(store, "{{ name }}") == (["db1"], 1)


def test_other_filters_get_another_store(tmp_path: Path) -> None:
    """What a template compiles to depends on whether its filters want the context."""
    stale = tmp_path / "store" / "of-other-filters"
    stale.mkdir(parents=True)
    _template(tmp_path / "store", "{{ name }}")
    assert not stale.exists()
    assert len(list((tmp_path / "store").glob("*/*"))) == 1


def test_an_environment_that_is_read_only_is_no_obstacle(tmp_path: Path) -> None:
    """Without a store each worker compiles."""
    (tmp_path / "store").write_text("a file where the folder would be")
    assert _template(tmp_path / "store", "{{ name }}") == (["db1"], 1)


def test_only_its_user_may_look_into_the_store(tmp_path: Path) -> None:
    """It holds code that Python will run."""
    _template(tmp_path / "store", "{{ name }}")
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
