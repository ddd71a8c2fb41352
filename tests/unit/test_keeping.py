"""Looking at a site makes no secret and no authority; planning makes them where nobody keeps them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.checks.audit.catalog import checks as audit_checks
from installer.checks.preflight import CHECKS
from installer.console.terminal import Terminal
from installer.errors import VerificationError
from installer.manifests import load_manifests
from installer.operations.keeping import AUTHORITY_FOLDER, Keeper
from installer.operations.request import Request
from installer.pki import open_authority
from installer.site import load_site, runtime
from installer.vault import VaultError, become_variables, catalog
from installer.vault.vault import decrypt, encrypt

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The clinic, whose host no login reaches."""
    folder = tmp_path / "fresh"
    shutil.copytree(ROOT / "inventories" / "clinic", folder, ignore=shutil.ignore_patterns("vault.yml"))
    hosts = yaml.safe_load((folder / "hosts.yml").read_text())
    hosts["all"].setdefault("vars", {})["ansible_ssh_common_args"] = "-o ProxyCommand=/bin/false"
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run(verb: str, site: Path, state: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """A verb as an operator types it, with no source of a vault password."""
    environment = {name: value for name, value in os.environ.items() if "VAULT" not in name}
    environment |= {"SITEWRIGHT_STATE": str(state), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    ended = subprocess.run(
        [sys.executable, "-m", "installer", verb, "--inventory", str(site), "--output", "json"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended, json.loads(ended.stdout)


@pytest.mark.parametrize(("verb", "code"), [("preflight", 3), ("status", 5), ("verify", 5)])
def test_looking_at_a_fresh_site_asks_for_no_password_and_makes_no_secret(
    site: Path, tmp_path: Path, verb: str, code: int
) -> None:
    before = files(site)
    ended, said = run(verb, site, tmp_path / "state")
    assert ended.returncode == code, ended.stderr
    assert files(site) == before
    assert not list((tmp_path / "state").rglob("pki"))
    if verb == "preflight":
        assert {each["check"] for each in said["report"]["results"]} == {"connection.ssh"}
    else:
        assert "clinic was never installed from this controller" in said["error"]["message"]
        assert said["error"]["hint"].startswith(f"install it with: ./install --inventory {site} ")


def keeper(site: Path, state: Path, tmp_path: Path) -> Keeper:
    (tmp_path / "password").write_text(PASSWORD)
    manifests = load_manifests(ROOT)
    request = Request(
        verb="plan", inventory=str(site), arguments=(), vault_password_file=tmp_path / "password", started=0
    )
    return Keeper(
        request=request,
        site=load_site(site, manifests=manifests, rehearsal=False, check_ids={*CHECKS, *audit_checks()}),
        state=state,
        manifests=manifests,
        terminal=Terminal(environment={}),
    )


def test_plan_of_a_fresh_site_works_with_secrets_that_are_gone_afterwards(site: Path, tmp_path: Path) -> None:
    state, before = tmp_path / "state", files(site)
    keeping = keeper(site, state, tmp_path)
    with keeping.open("try") as kept:
        assert kept.secrets.keys() == catalog(keeping.manifests).keys()
        open_authority(kept.authority, kept.secrets["ca_passphrase"])
        assert kept.vault.exists()
    assert not kept.vault.exists()
    assert not kept.authority.exists()
    assert files(site) == before
    assert not state.exists()


def test_plan_of_an_installed_site_uses_what_is_there_and_adds_nothing_to_it(site: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    keeping = keeper(site, state, tmp_path)
    with keeping.open("make") as made:
        assert made.authority == state / AUTHORITY_FOLDER
    content = made.vault.read_bytes()
    with keeping.open("try") as kept:
        assert (kept.secrets, kept.authority) == (made.secrets, made.authority)
    assert made.vault.read_bytes() == content


def test_sudo_password_comes_from_the_option_or_the_vault_and_reaches_ansible_encrypted(
    site: Path, tmp_path: Path
) -> None:
    keeping = keeper(site, tmp_path / "state", tmp_path)
    assert keeping.become_password() is None
    assert not keeping.vault.exists()
    keeping.vault.write_bytes(encrypt(b"vault_become_password: of the vault\n", PASSWORD))
    assert keeping.become_password() == "of the vault"
    given = tmp_path / "given"
    given.write_text("{{ 7 * 7 }}\n")
    named = replace(keeping, request=replace(keeping.request, become_password_file=given))
    password = named.become_password()
    assert password == "{{ 7 * 7 }}"
    assert named.terminal.redact(f"it is {password}") != f"it is {password}"

    inventory = runtime.write(
        keeping.site,
        tmp_path / "inventory",
        vault_file=keeping.vault,
        extra={},
        python_as_root=True,
        become_vault=become_variables(password, PASSWORD),
    )
    assert not any(password in file.read_text() for file in inventory.parent.rglob("*") if file.is_file())
    argv = [str(Path(sys.executable).with_name("ansible")), "all", "-i", str(inventory), "-m", "ansible.builtin.debug"]
    argv += ["-a", "var=ansible_become_password", "--vault-password-file", str(tmp_path / "password")]
    shown = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert '"ansible_become_password": "{{ 7 * 7 }}"' in shown
    (host,) = json.loads(inventory.read_text())["all"]["hosts"].values()
    assert host["ansible_become"] is True
    assert "sudo" not in host["ansible_python_interpreter"]


def test_secrets_of_a_site_that_was_never_installed_from_here_are_not_asked_for(site: Path, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="never installed"), keeper(site, tmp_path, tmp_path).open("read"):
        pass


def test_what_an_operator_must_enter_is_asked_for_before_any_host_is_touched(site: Path, tmp_path: Path) -> None:
    """A plan of a fresh site has nothing to enter it into, and a rehearsal no directory: there it is made up."""
    keeping = keeper(site, tmp_path / "state", tmp_path)
    asked = {**keeping.site.shared, "engine_ldap_servers": [{"name": "ldap.example", "address": "10.1.0.61"}]}
    keeping = replace(keeping, site=replace(keeping.site, shared=asked))
    with keeping.open("try") as kept:
        assert kept.secrets["engine_ldap_bind_password"]
    missing = r"vault_engine_ldap_bind_password is missing, and engine_ldap_servers asks for it"
    with pytest.raises(VaultError, match=missing) as refused, keeping.open("make"):
        pass
    assert "ansible-vault edit" in refused.value.hint
    rehearsal = replace(keeping, site=replace(keeping.site, rehearsal=True), state=tmp_path / "rehearsal")
    with rehearsal.open("make") as kept:
        assert kept.secrets["engine_ldap_bind_password"]
    content = yaml.safe_load(decrypt(keeping.vault.read_bytes(), PASSWORD)) | {
        "vault_engine_ldap_bind_password": "of the hospital"
    }
    keeping.vault.write_bytes(encrypt(yaml.safe_dump(content).encode(), PASSWORD))
    with keeping.open("make") as kept:
        assert kept.secrets["engine_ldap_bind_password"] == "of the hospital"
