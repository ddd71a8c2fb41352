"""The manifests of the roles: strict, and every error with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.documents import DocumentError
from installer.manifests import load_manifests, roles_of

ROOT = Path(__file__).resolve().parents[2]


def _role(root: Path, name: str, text: str) -> None:
    path = root / "roles" / name / "meta" / "sitewright.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_the_manifests_of_this_repository_are_valid() -> None:
    manifests = load_manifests(ROOT)
    assert manifests["redis"].group == "redis"
    assert manifests["redis"].certificates["redis"].usages == ("server", "client")
    assert [port.port for port in manifests["redis"].ports] == ["redis_port", "redis_sentinel_port"]


def test_a_host_gets_the_roles_of_its_groups_and_of_all(tmp_path: Path) -> None:
    _role(tmp_path, "base", "group: all\n")
    _role(tmp_path, "etcd", "group: etcd\n")
    _role(tmp_path, "redis", "group: redis\n")
    assert [role.role for role in roles_of(load_manifests(tmp_path), ("etcd",))] == ["base", "etcd"]


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_right_one(tmp_path: Path) -> None:
    _role(tmp_path, "redis", "group: redis\npackges: [redis]\n")
    with pytest.raises(DocumentError) as caught:
        load_manifests(tmp_path)
    assert "sitewright.yml:2: packges is not known" in caught.value.message
    assert caught.value.hint == "did you mean packages?"
    assert caught.value.exit_code == 2


def test_an_unquoted_tls_version_is_refused_because_it_is_a_number(tmp_path: Path) -> None:
    _role(tmp_path, "redis", "group: redis\nports:\n  - {port: 6379, purpose: data, from: [worker], tls: 1.3}\n")
    with pytest.raises(DocumentError) as caught:
        load_manifests(tmp_path)
    assert "sitewright.yml:3: ports.0.tls is the number 1.3" in caught.value.message
    assert caught.value.hint == 'write it as text: "1.3"'


def test_a_listener_without_tls_needs_a_reason(tmp_path: Path) -> None:
    _role(tmp_path, "gateway", "group: gateway\nports:\n  - {port: 80, purpose: web, from: [all], tls: none}\n")
    with pytest.raises(DocumentError, match="no TLS and no reason"):
        load_manifests(tmp_path)


def test_two_roles_may_not_claim_one_certificate(tmp_path: Path) -> None:
    for role in ("one", "two"):
        _role(tmp_path, role, "group: engine\ncertificates:\n  engine: {usages: [server]}\n")
    with pytest.raises(DocumentError, match="also declared by role one"):
        load_manifests(tmp_path)


def test_all_errors_of_all_roles_are_listed_at_once(tmp_path: Path) -> None:
    _role(tmp_path, "one", "group: 5\n")
    _role(tmp_path, "two", "packages: redis\n")
    with pytest.raises(DocumentError) as caught:
        load_manifests(tmp_path)
    assert len(caught.value.problems) == 3
    assert "3 settings cannot be used" in caught.value.message
