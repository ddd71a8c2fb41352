"""What a role's variable decides has one owner: whoever else needs it reads what the site resolved.

All variables an operator may set are set at once, each to a value nothing else has. The rest of the house is then
looked at from outside: what the wiring tells the other roles (rendered by Ansible), what preflight asks the hosts, whom
the health checks call and what may listen. A value seen there must be of a variable its manifest shares; a default that
is still seen there has a second owner. Which variables only their role reads is nobody's list: it is what remains.
"""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import yaml

from installer.checks import preflight
from installer.checks.preflight import network
from installer.checks.verify import health_checks
from installer.documents import Source
from installer.manifests import ALL_HOSTS, load_manifests, roles_of
from installer.manifests.shared import agreed_variables, host_variables, listeners_of
from installer.manifests.traffic import rules_of
from installer.pki import ensure_authority, issue_client
from installer.services.health.subject import Subject
from installer.site import Setting, Site, load_site, runtime
from installer.site.role_variables import Option, read_role_variables
from installer.site.shared import resolve_shared, wired_variables
from installer.vault import catalog

ROOT: Final = Path(__file__).resolve().parents[2]
WIRING_FOLDER: Final = ROOT / "playbooks" / "group_vars" / "all"
MANIFESTS: Final = load_manifests(ROOT)
ROLE_FOLDERS: Final = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
VARIABLES: Final = read_role_variables(ROLE_FOLDERS)
WIRED: Final = wired_variables(ROOT, MANIFESTS)
OWNERS: Final = {name: folder.name for folder in ROLE_FOLDERS for name in read_role_variables([folder])}
OFFERED: Final = sorted(name for name, option in VARIABLES.items() if not option.secret and name not in WIRED)
SHARED: Final = {
    name for manifest in MANIFESTS.values() for name in (*agreed_variables(manifest), *host_variables(manifest))
}
# What the wiring computes is read by others where it stands, at the host.
OVERRIDABLE: Final = {name for manifest in MANIFESTS.values() for name in manifest.overridable}
FIRST_NUMBER: Final = 41000
# Rooms beside the roles, and what of a role is its program; its interface states the default, that is what it is for.
_ROOMS: Final = ("installer", "plugins", "playbooks", "payloads")
_PROGRAM: Final = ("tasks", "templates", "vars")


def other_value(name: str, option: Option) -> Any:
    """A value of the variable's kind that no other variable has, or None where there is no such thing."""
    if option.kind == "int":
        return FIRST_NUMBER + OFFERED.index(name)
    if option.choices or option.kind not in {"str", "path"} or isinstance(option.default, bool):
        return None
    return f"/moved/{name}" if str(option.default).startswith("/") or option.kind == "path" else f"moved-{name}"


MOVED: Final = {name: value for name in OFFERED if (value := other_value(name, VARIABLES[name])) is not None}


def site(changes: Mapping[str, Any]) -> Site:
    """hospital-a, with every role somewhere, and variables set for all hosts of their role."""
    loaded = load_site(ROOT / "inventories" / "hospital-a", manifests=MANIFESTS)
    nowhere = Source(ROOT, 1)
    last = list(loaded.hosts)[-1]
    absent = {each.group for each in MANIFESTS.values() if not loaded.groups.get(each.group)} - {ALL_HOSTS}
    groups = {**loaded.groups, **dict.fromkeys(absent, (last,))}
    members = {host: tuple(group for group in groups if host in groups[group]) for host in loaded.hosts}
    hosts = {
        host.name: replace(
            host,
            groups=members[host.name],
            settings={
                name: Setting(value=value, source=nowhere)
                for name, value in changes.items()
                if MANIFESTS[OWNERS[name]].group in (ALL_HOSTS, *members[host.name])
            },
        )
        for host in loaded.hosts.values()
    }
    resolved, contradictions = resolve_shared(replace(loaded, hosts=hosts, groups=groups), MANIFESTS, VARIABLES)
    assert contradictions == []
    return resolved


def words(value: Any) -> Iterator[str]:
    """Every word and number somewhere in a value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from words(key)
            yield from words(inner)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from words(inner)
    else:
        yield from re.findall(r"[\w./-]+", str(value).replace(":", " ").replace("=", " "))


def rendered(described: Site, folder: Path) -> dict[str, dict[str, Any]]:
    """What Ansible makes of the wiring: by role and host, the variables the wiring sets."""
    vault = folder / "vault.yml"
    vault.write_text(yaml.safe_dump({f"vault_{name}": "hidden" for name in catalog(MANIFESTS)}))
    extra = {f"sitewright_{word}": "/usual" for word in ("bundle_dir", "bundle_id", "pki_dir", "release")}
    extra["ansible_connection"] = "local"
    inventory = runtime.write(described, folder / "inventory", vault_file=vault, extra=extra, python_as_root=False)
    (folder / "group_vars").symlink_to(ROOT / "playbooks" / "group_vars")
    by_role = {
        file.stem: sorted(yaml.safe_load(file.read_text()))
        for file in sorted(WIRING_FOLDER.glob("*.yml"))
        if file.stem in MANIFESTS
    }
    # One host of each kind is enough; the others are there for what is worked out from all of them.
    kinds = {host.groups: host for host in described.hosts.values()}
    wanted = {
        host.name: [role.role for role in roles_of(MANIFESTS, host.groups) if role.role in by_role]
        for host in kinds.values()
    }
    measured = {
        "memtotal_mb": 16000,
        "processor_vcpus": 4,
        "mounts": [{"mount": "/", "size_total": 10**12}],
        "eth0": {"device": "eth0", "ipv4": {"address": "{{ site.hosts[inventory_hostname].address }}"}},
    }
    tasks: list[dict[str, Any]] = [{"ansible.builtin.set_fact": {**measured, "cacheable": True}}]
    tasks += [
        {
            "ansible.builtin.copy": {
                "dest": f"{folder}/{host}.json",
                "content": "{{ dict(names | zip(query('ansible.builtin.vars', *names))) | to_json }}",
                "mode": "0600",
            },
            "vars": {"names": sorted({name for role in roles for name in by_role[role]})},
            "when": f"inventory_hostname == '{host}'",
        }
        for host, roles in wanted.items()
    ]
    play = {"hosts": "all", "gather_facts": False, "become": False, "tasks": tasks}
    (folder / "render.yml").write_text(json.dumps([play]))
    command: list[str | Path] = [
        Path(sys.executable).with_name("ansible-playbook"),
        "-i",
        inventory,
        folder / "render.yml",
    ]
    command += ["--extra-vars", json.dumps({"ansible_become": False, "ansible_python_interpreter": sys.executable})]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found: dict[str, dict[str, Any]] = {}
    for host, roles in wanted.items():
        values = json.loads((folder / f"{host}.json").read_text())
        for role in roles:
            found.setdefault(role, {})[host] = {name: values[name] for name in by_role[role]}
    return found


def called(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Ports the health checks call, and words of what they say; nobody answers."""
    seen: set[str] = set()

    def refuse(_socket: socket.socket, address: tuple[str, int]) -> None:
        seen.add(str(address[1]))
        raise ConnectionRefusedError(address)

    def refuse_database(**arguments: Any) -> None:
        seen.update(words([arguments["port"], arguments["dbname"], arguments["user"]]))
        raise psycopg.OperationalError("refused")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", refuse)
        patched.setattr(psycopg, "connect", refuse_database)
        for check in health_checks(subject).values():
            with suppress(Exception):  # each client has its own kind of refusal, and some checks report it
                check(subject)
    assert seen
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """All words in the house that are not of a role itself: in the wiring of the others, and in the other rooms."""

    wiring: Mapping[str, set[str]]
    rooms: set[str]

    def of(self, role: str) -> set[str]:
        """What is seen outside of one role."""
        return self.rooms.union(*(found for other, found in self.wiring.items() if other != role))


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """The house around a site that has every variable moved."""
    folder = tmp_path_factory.mktemp("moved")
    servers = [{"name": "directory.example", "address": "192.0.2.9"}]
    named = {spec.servers: servers for manifest in MANIFESTS.values() for spec in manifest.destinations}
    described = site({**MOVED, **named})
    wiring = {role: set(words(hosts)) for role, hosts in rendered(described, folder).items()}
    resolved = described.resolved()
    rooms: set[str] = set()
    for host in described.hosts:
        rooms.update(words(preflight._order(resolved, MANIFESTS, host)))
        rooms.update(words([target["port"] for target in network.targets_of(resolved, MANIFESTS, host)]))
        rooms.update(words([rule["match"] for rule in rules_of(resolved, host, MANIFESTS)["output"]]))
        rooms.update(str(listener.port) for listener in listeners_of(resolved, host, MANIFESTS))
    secrets = dict.fromkeys(catalog(MANIFESTS), "hidden")
    ensure_authority(folder / "pki", "passphrase", name="moved")
    with issue_client(folder / "pki", "passphrase", "test") as client, pytest.MonkeyPatch.context() as monkeypatch:
        subject = Subject(
            site=resolved,
            secrets=secrets,
            manifests=MANIFESTS,
            clients={"site": client, "database": client},
            ssh={host: ["false"] for host in described.hosts},
            carried={},
            release={},
        )
        rooms.update(called(subject, monkeypatch))
    return Outside(wiring=wiring, rooms=rooms)


@cache
def _programs() -> tuple[tuple[Path, str], ...]:
    """Every program text of the rooms and the roles, without its comments."""
    roots = [*(ROOT / room for room in _ROOMS), *(folder / part for folder in ROLE_FOLDERS for part in _PROGRAM)]
    return tuple(
        (path, re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8")))
        for root in roots
        for path in sorted(root.rglob("*"))
        if path.suffix in {".py", ".yml", ".j2", ".js"} and not {"node_modules", "test"} & set(path.parts)
    )


def _sources(role: str) -> Iterator[tuple[Path, str]]:
    """The programs outside of a role's own folder and its own wiring."""
    own_wiring = WIRING_FOLDER / f"{role}.yml"
    for path, text in _programs():
        if path != own_wiring and not path.is_relative_to(ROOT / "roles" / role):
            yield path, text


@cache
def _strings(path: Path) -> frozenset[str]:
    """The strings in a Python program; advice in a message tells a variable's name as part of one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _reads(path: Path, text: str, name: str) -> bool:
    """Whether a program takes a variable."""
    return name in _strings(path) if path.suffix == ".py" else re.search(rf"\b{name}\b", text) is not None


@pytest.mark.parametrize("name", sorted(SHARED & MOVED.keys()))
def test_what_a_manifest_shares_is_followed_outside_of_its_role(name: str, outside: Outside) -> None:
    assert str(MOVED[name]) in outside.of(OWNERS[name]), "nobody else reads it: take it out of the manifest"


@pytest.mark.parametrize("name", sorted(MOVED.keys() - SHARED - OVERRIDABLE))
def test_what_a_manifest_does_not_share_is_seen_nowhere_else(name: str, outside: Outside) -> None:
    assert str(MOVED[name]) not in outside.of(OWNERS[name]), "another room reads it: share it in the manifest"


def _ports_and_paths() -> list[str]:
    return [name for name in MOVED if name.endswith("_port") or str(VARIABLES[name].default).startswith("/")]


@pytest.mark.parametrize("name", _ports_and_paths())
def test_a_moved_port_or_path_is_nowhere_at_its_old_place(name: str, outside: Outside) -> None:
    assert str(VARIABLES[name].default) not in outside.of(OWNERS[name])


@pytest.mark.parametrize("name", _ports_and_paths())
def test_no_other_room_writes_the_default_of_a_port_or_path(name: str) -> None:
    beyond = r"\w" if name.endswith("_port") else r"\w./-"
    literal = re.compile(rf"(?<![{beyond}]){re.escape(str(VARIABLES[name].default))}(?![{beyond}])")
    found = [str(path.relative_to(ROOT)) for path, text in _sources(OWNERS[name]) if literal.search(text)]
    assert found == [], f"they should read {name}"


@pytest.mark.parametrize("name", OFFERED)
def test_a_variable_named_in_another_room_is_one_its_manifest_shares(name: str) -> None:
    if name in SHARED | OVERRIDABLE:
        return
    # The rules of the site judge what the operator wrote, where it was written.
    named = [
        str(path.relative_to(ROOT))
        for path, text in _sources(OWNERS[name])
        if _reads(path, text, name) and path.parent != ROOT / "installer" / "site"
    ]
    assert named == []


@pytest.mark.parametrize("name", sorted(SHARED | OVERRIDABLE))
def test_other_roles_wiring_reads_the_resolved_value(name: str) -> None:
    """Bare, a variable is what it is at the host that reads it, where its owner's settings do not hold."""
    for path, text in _sources(OWNERS[name]):
        if path.parent == WIRING_FOLDER:
            bare = re.sub(
                rf"site\.(settings|hosts\[inventory_hostname\]\.settings)\.{name}\b|hostvars, '{name}'"
                rf"|site\.hosts, 'settings'\)\s*\| map\(attribute='{name}'",
                "",
                text,
            )
            assert not re.search(rf"\b{name}\b", bare), path.name


def test_every_overridable_variable_is_wired() -> None:
    files = WIRING_FOLDER.glob("*.yml")
    assert {name for file in files for name in yaml.safe_load(file.read_text())} >= OVERRIDABLE
    assert VARIABLES.keys() >= OVERRIDABLE
