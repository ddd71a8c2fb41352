"""Secrets are made once, kept as ansible-vault keeps them, and never lie in clear."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from pathlib import Path

import pytest

from installer.errors import ConfigurationError
from installer.manifests import SecretSpec, load_manifests
from installer.vault import (
    VaultError,
    catalog,
    ensure_vault,
    read_vault,
    redactions,
    rehearsal_password,
    resolve_password,
    vault_client,
)
from installer.vault.vault import encrypt

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_VAULT = Path(sys.executable).with_name("ansible-vault")
PASSWORD = "Straße 7"
WANTED = {
    name: SecretSpec(name=name, length=24, rotation="switched") for name in ("redis_admin_password", "ca_passphrase")
}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A fresh vault."""
    path = tmp_path / "vault.yml"
    assert ensure_vault(path, PASSWORD, WANTED)
    return path


def _ansible_vault(verb: str, path: Path, password: str) -> subprocess.CompletedProcess[str]:
    with vault_client(password) as client:
        argv: list[str | Path] = [ANSIBLE_VAULT, verb, "--vault-password-file", client.script, path]
        environment = {**os.environ, **client.environment}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_catalog_is_what_the_roles_declare_and_the_authoritys_passphrase() -> None:
    names = catalog(load_manifests(ROOT))
    assert names["redis_admin_password"].length == 32
    assert "ca_passphrase" in names


def test_a_new_vault_is_private_and_complete_and_of_letters_and_digits(vault: Path) -> None:
    assert vault.stat().st_mode & 0o777 == 0o600
    values = read_vault(vault, PASSWORD)
    assert set(values) == {"vault_redis_admin_password", "vault_ca_passphrase"}
    for value in values.values():
        assert len(value) == 24
        assert set(value) <= set(string.ascii_letters + string.digits)
    assert len(set(values.values())) == 2


def test_ansible_vault_itself_reads_what_we_wrote(vault: Path) -> None:
    shown = _ansible_vault("view", vault, PASSWORD)
    assert shown.returncode == 0, shown.stderr
    assert f"vault_ca_passphrase: {read_vault(vault, PASSWORD)['vault_ca_passphrase']}" in shown.stdout


def test_we_read_what_ansible_vault_itself_wrote(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    path.write_text("vault_own: chosen by hand\n")
    assert _ansible_vault("encrypt", path, PASSWORD).returncode == 0
    assert read_vault(path, PASSWORD) == {"vault_own": "chosen by hand"}


def test_nothing_is_written_when_nothing_is_missing(vault: Path) -> None:
    before = vault.read_bytes()
    assert not ensure_vault(vault, PASSWORD, WANTED)
    assert vault.read_bytes() == before


def test_a_new_name_is_added_and_the_others_are_kept(vault: Path) -> None:
    before = read_vault(vault, PASSWORD)
    assert ensure_vault(vault, PASSWORD, {**WANTED, "new": SecretSpec(name="new", length=8, rotation="switched")})
    after = read_vault(vault, PASSWORD)
    assert len(after.pop("vault_new")) == 8
    assert after == before
    assert list(vault.parent.iterdir()) == [vault]


def test_a_wrong_password_is_named_as_such_and_changes_nothing(vault: Path) -> None:
    before = vault.read_bytes()
    with pytest.raises(VaultError, match="the vault password is wrong") as caught:
        ensure_vault(vault, "another", WANTED)
    assert caught.value.exit_code == 2
    assert vault.read_bytes() == before


def test_a_flipped_digit_is_noticed(vault: Path) -> None:
    text = vault.read_text()
    vault.write_text(text[:-3] + ("1" if text[-3] != "1" else "2") + text[-2:])
    with pytest.raises(VaultError):
        read_vault(vault, PASSWORD)


@pytest.mark.parametrize("content", ["", "vault_a: in clear\n", "$ANSIBLE_VAULT;1.1;AES256\n3132\n"])
def test_a_file_that_is_no_vault_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vault.yml"
    path.write_text(content)
    with pytest.raises(VaultError, match="is not a whole ansible-vault file"):
        read_vault(path, PASSWORD)


def test_an_unreadable_vault_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    path.mkdir()
    with pytest.raises(VaultError, match="the vault is a folder"):
        read_vault(path, PASSWORD)


def test_broken_content_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    path.write_text("vault_a: [hunter2\n")
    assert _ansible_vault("encrypt", path, PASSWORD).returncode == 0
    with pytest.raises(VaultError, match="is not YAML") as caught:
        read_vault(path, PASSWORD)
    assert "hunter2" not in repr(caught.value.__cause__) + str(caught.value)


def test_the_sources_of_the_password_have_an_order(tmp_path: Path) -> None:
    option, named = tmp_path / "option", tmp_path / "named"
    option.write_text("from option\n")
    named.write_text("from file\n")
    environment = {"SITEWRIGHT_VAULT_PASSWORD_FILE": str(named), "SITEWRIGHT_VAULT_PASSWORD": "from variable"}
    first = resolve_password(site="s", option=option, environment=environment)
    assert (first.value, first.source) == ("from option", f"--vault-password-file: {option}")
    assert resolve_password(site="s", environment=environment).value == "from file"
    del environment["SITEWRIGHT_VAULT_PASSWORD_FILE"]
    third = resolve_password(site="s", environment=environment)
    assert (third.value, third.source) == ("from variable", "SITEWRIGHT_VAULT_PASSWORD")
    assert "from variable" not in repr(third)


def test_an_executable_file_is_run_for_the_password(tmp_path: Path) -> None:
    script = tmp_path / "client"
    script.write_text("#!/bin/sh\necho from script\n")
    script.chmod(0o700)
    assert resolve_password(site="s", option=script, environment={}).value == "from script"
    script.write_text("#!/bin/sh\necho the store is sealed >&2; exit 3\n")
    with pytest.raises(ConfigurationError, match="the client script ends with 3") as caught:
        resolve_password(site="s", option=script, environment={})
    assert caught.value.hint == "the store is sealed"


def test_without_any_source_it_says_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with pytest.raises(ConfigurationError, match="no system keyring") as caught:
        resolve_password(site="s", environment={})
    assert "--vault-password-file" in caught.value.hint


def test_the_terminal_is_asked_last_and_twice_for_a_new_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    answers = iter(["one", "one", "one", "two"])
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return next(answers)

    assert resolve_password(site="s", environment={}, prompt=prompt, confirm=True).source == "terminal"
    assert len(asked) == 2
    with pytest.raises(ConfigurationError, match="differ"):
        resolve_password(site="s", environment={}, prompt=prompt, confirm=True)


def test_a_rehearsals_password_is_made_once_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "rehearsal" / "vault-password"
    first = rehearsal_password(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert rehearsal_password(path) == first
    assert len(first.value) >= 32


def test_the_client_prints_the_password_and_leaves_nothing_behind(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(sockets))
    with vault_client(PASSWORD) as client:
        (folder,) = sockets.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        (socket,) = folder.iterdir()
        assert socket.is_socket()
        assert socket.stat().st_mode & 0o777 == 0o600
        for _time in range(3):
            answer = subprocess.run(
                [client.script], env={**os.environ, **client.environment}, capture_output=True, timeout=30, check=True
            )
            assert answer.stdout.decode() == f"{PASSWORD}\n"
    assert list(sockets.iterdir()) == []
    late = subprocess.run(
        [client.script], env={**os.environ, **client.environment}, capture_output=True, timeout=30, check=False
    )
    assert late.returncode == 1
    assert b"does not answer" in late.stderr


def test_a_temporary_folder_with_a_long_path_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with vault_client(PASSWORD) as client:
        answer = subprocess.run(
            [client.script], env={**os.environ, **client.environment}, capture_output=True, timeout=30, check=True
        )
    assert answer.stdout.decode() == f"{PASSWORD}\n"


def test_a_killed_installer_leaves_no_secret_on_disk(sockets: Path) -> None:
    program = (
        "import os, signal\nfrom installer.vault import vault_client\n"
        f"with vault_client({PASSWORD!r}):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(sockets), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=60, check=False)
    assert done.returncode == -9
    (folder,) = sockets.iterdir()
    assert [entry.is_socket() for entry in folder.iterdir()] == [True]


def test_redactions_leave_ordinary_short_words_alone() -> None:
    assert redactions(["abc", "a-long-secret", "first line\nsecond line"]) == {
        "a-long-secret",
        "first line",
        "second line",
    }


def test_a_vault_that_is_a_pipe_or_a_bomb_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    os.mkfifo(path)
    with pytest.raises(VaultError, match="the vault is a pipe"):
        read_vault(path, "password")
    path.unlink()
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)]
    path.write_bytes(encrypt("\n".join(["a0: &a0 [x]", *levels]).encode(), "password"))
    with pytest.raises(VaultError, match="the vault's content holds more than 20000 values"):
        read_vault(path, "password")
