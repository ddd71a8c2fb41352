"""The module that reads the hospital's certificates on the controller, on keys made by openssl."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from installer.pki import Authority, Wanted, ensure_authority
from tests.module_runner import ModuleFailedError, run_module

NAME = "db1.hospital.internal"
POSTGRESQL: dict[str, Any] = {
    "dns_names": [NAME, "db1"],
    "ip_addresses": ["10.20.0.31"],
    "usages": ["server", "client"],
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whoever signs for the hospital."""
    return ensure_authority(tmp_path / "pki", "passphrase", name="Hospital Root")


@pytest.fixture
def given(tmp_path: Path, authority: Authority) -> Path:
    """The hospital's folder, with one pair for all services of db1."""
    folder = tmp_path / "certificates"
    (folder / NAME).mkdir(parents=True)
    (folder / "ca.crt").write_text(authority.pem)
    _issue(folder / NAME / "host", authority, days=300)
    return folder


def _openssl(*words: str) -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60).stdout


def _issue(stem: Path, authority: Authority, *, days: int) -> None:
    key = stem.with_suffix(".key")
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key))
    public = load_pem_public_key(_openssl("pkey", "-in", str(key), "-pubout"))
    certificate = authority.certify(public, Wanted.from_variables(POSTGRESQL), lifetime=timedelta(days=days))
    stem.with_suffix(".crt").write_text(certificate)


def arguments(folder: Path, **more: Any) -> dict[str, Any]:
    return {"directory": str(folder), "wanted": {"db1": {"postgresql": POSTGRESQL}}, **more}


def test_certificates_and_keys_are_handed_on_by_host_and_service(given: Path, authority: Authority) -> None:
    for check in (True, False):
        read = run_module("custom_certificates", arguments(given), check=check)
        assert (read["changed"], read["authority"]) == (False, authority.pem)
        assert read["certificates"] == {"db1": {"postgresql": (given / NAME / "host.crt").read_text()}}
        key = read["keys"]["db1"]["postgresql"]
        assert key.startswith("-----BEGIN PRIVATE KEY-----")


def test_a_pair_of_the_services_own_goes_before_the_hosts(given: Path, authority: Authority) -> None:
    _issue(given / NAME / "postgresql", authority, days=300)
    wanted = {"db1": {"postgresql": POSTGRESQL, "etcd": POSTGRESQL}}
    read = run_module("custom_certificates", arguments(given, wanted=wanted))["certificates"]["db1"]
    assert read["postgresql"] == (given / NAME / "postgresql.crt").read_text()
    assert read["etcd"] == (given / NAME / "host.crt").read_text()


def test_everything_that_is_wrong_is_told_at_once_with_its_file_and_what_to_do(given: Path) -> None:
    wanted = {
        "db1": {"postgresql": {**POSTGRESQL, "dns_names": [NAME, "another"]}},
        "db2": {"postgresql": {**POSTGRESQL, "dns_names": ["db2.hospital.internal"]}},
    }
    with pytest.raises(ModuleFailedError) as failed:
        run_module("custom_certificates", arguments(given, wanted=wanted))
    said = str(failed.value)
    assert f"{given / NAME / 'host.crt'}" in said
    assert "another" in said
    assert f"{given / 'db2.hospital.internal' / 'postgresql.crt'}" in said
    assert "; " in said


@pytest.mark.parametrize(("spare_days", "fits"), [(299, True), (301, False)])
def test_the_days_they_must_still_be_valid_are_the_tasks(given: Path, spare_days: int, fits: bool) -> None:
    asked = arguments(given, spare_days=spare_days)
    if fits:
        assert run_module("custom_certificates", asked)["changed"] is False
        return
    with pytest.raises(ModuleFailedError, match=r"host\.crt"):
        run_module("custom_certificates", asked)


def test_a_key_with_a_passphrase_is_refused_and_shown_to_nobody(given: Path) -> None:
    key = given / NAME / "host.key"
    _openssl("pkey", "-in", str(key), "-aes256", "-passout", "pass:c4nary", "-out", str(key) + ".new")
    key.write_bytes(Path(str(key) + ".new").read_bytes())
    with pytest.raises(ModuleFailedError, match=r"host\.key") as failed:
        run_module("custom_certificates", arguments(given))
    assert "PRIVATE KEY" not in str(failed.value.result)


def test_another_authority_is_refused(given: Path, tmp_path: Path) -> None:
    (given / "ca.crt").write_text(ensure_authority(tmp_path / "other", "passphrase", name="Other").pem)
    with pytest.raises(ModuleFailedError, match=r"host\.crt"):
        run_module("custom_certificates", arguments(given))
