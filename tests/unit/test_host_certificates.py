"""The judgement a host makes of its own certificates, by a real handshake."""

from __future__ import annotations

import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from installer.pki import Authority, Wanted, ensure_authority, valid_from
from tests.module_runner import run_module

if TYPE_CHECKING:
    from types import ModuleType

MODULE = Path(__file__).resolve().parents[2] / "plugins" / "modules" / "host_certificates.py"
OPENSSL = shutil.which("openssl") or "openssl"
WANTED: dict[str, Any] = {
    "dns_names": ["db1.hospital.internal", "db1"],
    "ip_addresses": ["10.20.0.31"],
    "usages": ["server", "client"],
}


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The Ansible module, imported by its file as Ansible does."""
    specification = importlib.util.spec_from_file_location("host_certificates", MODULE)
    assert specification is not None
    assert specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A private authority."""
    return ensure_authority(tmp_path / "pki", "passphrase", name="hospital")


def _pair(folder: Path, authority: Authority, days: int = 397, **other: Any) -> tuple[Path, Path]:
    """A key made by openssl as on a host, and its certificate."""
    key, certificate = folder / "tls.key", folder / "tls.crt"
    argv = [OPENSSL, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key)]
    subprocess.run(argv, capture_output=True, timeout=30, check=True)
    text = subprocess.run(
        [OPENSSL, "pkey", "-in", str(key), "-pubout"], capture_output=True, timeout=30, check=True
    ).stdout
    wanted = Wanted.from_variables({**WANTED, **other})
    lifetime = timedelta(days=days)
    certificate.write_text(authority.certify(load_pem_public_key(text), wanted, lifetime=lifetime))
    return certificate, key


def test_a_good_pair_is_validated_by_a_handshake_and_shows_its_names(
    module: ModuleType, authority: Authority, tmp_path: Path
) -> None:
    seen = module.validate(*_pair(tmp_path, authority), authority.pem, WANTED)
    assert ("DNS", "db1") in seen["subjectAltName"]
    assert ("IP Address", "10.20.0.31") in seen["subjectAltName"]


@pytest.mark.parametrize("usage", ["server", "client"])
def test_a_pair_of_one_purpose_is_valid_for_it_and_refused_for_the_other(
    module: ModuleType, authority: Authority, tmp_path: Path, usage: str
) -> None:
    pair = _pair(tmp_path, authority, usages=[usage])
    assert module.validate(*pair, authority.pem, {**WANTED, "usages": [usage]})["notAfter"]
    (other,) = {"server", "client"} - {usage}
    with pytest.raises(module.UnfitError, match=r"(unsuitable|unsupported) certificate purpose"):
        module.validate(*pair, authority.pem, {**WANTED, "usages": [other]})


def test_a_certificate_of_another_authority_is_unfit(module: ModuleType, authority: Authority, tmp_path: Path) -> None:
    pair = _pair(tmp_path, authority)
    other = ensure_authority(tmp_path / "other", "passphrase", name="other")
    with pytest.raises(module.UnfitError, match="unable to get local issuer certificate"):
        module.validate(*pair, other.pem, WANTED)


def test_a_key_of_another_certificate_is_unfit(module: ModuleType, authority: Authority, tmp_path: Path) -> None:
    certificate, _key = _pair(tmp_path, authority)
    (tmp_path / "second").mkdir()
    _certificate, key = _pair(tmp_path / "second", authority)
    with pytest.raises(module.UnfitError, match="KEY_VALUES_MISMATCH"):
        module.validate(certificate, key, authority.pem, WANTED)


def test_what_is_not_there_or_not_pem_is_unfit(module: ModuleType, authority: Authority, tmp_path: Path) -> None:
    certificate, key = _pair(tmp_path, authority)
    with pytest.raises(module.UnfitError, match="missing"):
        module.validate(certificate, tmp_path / "none", authority.pem, WANTED)
    certificate.write_text("half a certif")
    with pytest.raises(module.UnfitError):
        module.validate(certificate, key, authority.pem, WANTED)


def test_a_certificate_whose_host_was_renamed_is_unfit(
    module: ModuleType, authority: Authority, tmp_path: Path
) -> None:
    pair = _pair(tmp_path, authority)
    with pytest.raises(module.UnfitError, match="Hostname mismatch"):
        module.validate(*pair, authority.pem, {**WANTED, "dns_names": ["db2.hospital.internal"]})


def test_the_hosts_side_needs_nothing_but_pythons_own_library() -> None:
    tree = ast.parse(MODULE.read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"ansible"}


def test_a_plan_hears_which_certificates_would_be_others_and_why(authority: Authority, tmp_path: Path) -> None:
    parameters = {
        "wanted": {"db": WANTED},
        "authorities": {"site": authority.pem},
        "directory": str(tmp_path / "tls"),
        "renew_before_days": 30,
        "_ansible_check_mode": True,
    }
    said = subprocess.run(
        [sys.executable, MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
        capture_output=True,
        text=True,
        check=True,
    )
    changes = json.loads(said.stdout)["plan"]["changes"]
    assert changes == [{"kind": "file", "name": str(tmp_path / "tls/db/tls.crt"), "note": "missing"}]
    assert not (tmp_path / "tls").exists()


def _judged(authority: Authority, tmp_path: Path, oldest: str) -> dict[str, Any]:
    """What the module says in check mode of a pair that was made now, when older ones are to be replaced."""
    folder = tmp_path / "tls" / "db"
    if not folder.exists():
        folder.mkdir(parents=True)
        _pair(folder, authority)
    arguments = {"wanted": {"db": WANTED}, "authorities": {"site": authority.pem}, "directory": str(tmp_path / "tls")}
    return run_module("host_certificates", {**arguments, "renew_older_than": oldest}, check=True)


def test_only_what_was_signed_before_a_moment_is_renewed(authority: Authority, tmp_path: Path) -> None:
    # What is signed from the moment on is left, be it in the same second: so a resumed rotation repeats nothing.
    began = datetime.now(UTC)
    assert _judged(authority, tmp_path, "")["reasons"] == {}
    assert _judged(authority, tmp_path, f"{valid_from(began):%Y-%m-%dT%H:%M:%SZ}")["reasons"] == {}
    later = _judged(authority, tmp_path, f"{valid_from(began + timedelta(seconds=120)):%Y-%m-%dT%H:%M:%SZ}")
    assert later["reasons"]["db"].endswith("GMT, and is to be newer")
