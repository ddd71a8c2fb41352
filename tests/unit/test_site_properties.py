"""Whatever an inventory says, it becomes a site or is refused; and what is right is never refused."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from installer.documents import DocumentError
from installer.manifests import load_manifests
from installer.site import Site, load_site
from installer.site.model import GROUPS
from tests.malformed import HOSTS, SITE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = load_manifests(ROOT)
CLINIC = {file: (ROOT / "inventories" / "clinic" / file).read_text() for file in (HOSTS, SITE)}
VARIABLES = sorted(
    name
    for path in (ROOT / "roles").glob("*/meta/limits.yml")
    for name in yaml.safe_load(path.read_text(encoding="utf-8"))
)
KEYS = sorted({*GROUPS, "all", "hosts", "children", "vars", "sitewright", "name", "<<", "ansible_host", "ansible_user"})

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.dates()
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=12) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
# What a role's variables may be, by name, with the bounds of their limits among the values.
good_settings = st.fixed_dictionaries(
    {},
    optional={
        "redis_port": st.integers(20000, 20999),
        "engine_port": st.sampled_from([1024, 65535]),
        "base_time_servers": st.lists(st.from_regex(r"10\.1\.0\.[1-9][0-9]", fullmatch=True), unique=True),
        "base_journal_max_use_mb": st.sampled_from([16, 1048576]),
        "gateway_trusted_networks": st.lists(st.sampled_from(["10.0.0.0/8", "192.168.7.0/24"]), unique=True),
        "redis_settings": st.dictionaries(
            st.from_regex(r"[a-z][a-z-]{2,20}", fullmatch=True), st.integers() | st.sampled_from(["yes", '""'])
        ),
        "engine_history_time_to_live": st.from_regex(r"P[1-9][0-9]{0,4}D", fullmatch=True),
        "base_admin_users": st.lists(
            st.fixed_dictionaries({"name": st.from_regex(r"u[a-z0-9_-]{1,20}", fullmatch=True)}),
            unique_by=lambda user: str(user["name"]),
            max_size=4,
        ),
    },
)


def _load(files: Mapping[str, str | bytes]) -> Site:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, "clinic", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        try:
            return load_site(Path(folder, "clinic"), manifests=MANIFESTS)
        finally:
            shutil.rmtree(Path(folder, "clinic"))


def _load_or_refuse(files: Mapping[str, str | bytes]) -> None:
    try:
        site = _load(files)
    except DocumentError as error:
        assert error.problems
        assert error.hint
    else:
        assert site.hosts


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    found = [here]
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _paths(inner, (*here, key))
    return found


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The document with another value at a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], new)
    return copy


@settings(deadline=None, max_examples=30)
@given(voters=st.sampled_from([1, 3, 5]), others=st.integers(1, 12), values=good_settings)
def test_a_right_inventory_of_any_size_becomes_a_site(voters: int, others: int, values: dict[str, Any]) -> None:
    names = [f"h{number}" for number in range(max(voters, others))]
    groups = {
        group: names[:voters] if rule.voters else names[: rule.at_most or others] for group, rule in GROUPS.items()
    }
    hosts = {
        "all": {
            "hosts": {name: {"ansible_host": f"10.21.0.{number + 11}"} for number, name in enumerate(names)},
            "vars": {"ansible_user": "anna.h"},
            "children": {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()},
        }
    }
    site = _load({HOSTS: yaml.safe_dump(hosts), SITE: CLINIC[SITE], "group_vars/all/more.yml": yaml.safe_dump(values)})
    assert list(site.hosts) == sorted(names)
    assert site.groups["etcd"] == tuple(sorted(names[:voters]))
    assert site.settings_of("h0").items() >= values.items()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_value_in_another_ones_place_never_ends_in_a_defect(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from([HOSTS, SITE]))
    document = yaml.safe_load(CLINIC[file])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_paths(document)))
        document = _changed(document, path, data.draw(trees))
    _load_or_refuse({**CLINIC, file: yaml.safe_dump(document, allow_unicode=data.draw(st.booleans()))})


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_text_in_a_file_never_ends_in_a_defect(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from([HOSTS, SITE]))
    text = CLINIC[file].encode()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 20, len(text))))
        new = data.draw(st.text(max_size=8).map(lambda new: new.encode("utf-8", "replace")) | st.binary(max_size=8))
        text = text[:start] + new + text[end:]
    _load_or_refuse({**CLINIC, file: text})


@settings(deadline=None, max_examples=40)
@given(values=st.dictionaries(st.sampled_from(sorted(GROUPS)), trees, max_size=3), name=st.data())
def test_any_variable_with_any_value_never_ends_in_a_defect(values: dict[str, Any], name: st.DataObject) -> None:
    variables = st.sampled_from(VARIABLES)
    said = {name.draw(variables): value for value in values.values()}
    _load_or_refuse({**CLINIC, "group_vars/all/more.yml": yaml.safe_dump(said)})
