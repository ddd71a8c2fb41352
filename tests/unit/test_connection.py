"""How a host is reached: what an operator may say about it, and that none of it becomes an option of ssh."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from installer.documents import DocumentError
from installer.manifests import load_manifests
from installer.site import load_site
from installer.site.connection import KEY_VARIABLE, connection_fault, key_fault, login_argv
from installer.site.model import Host

if TYPE_CHECKING:
    from installer.site import Site

ROOT = Path(__file__).resolve().parents[2]

GOOD: list[tuple[str, Any]] = [
    ("ansible_user", "sitewright"),
    ("ansible_user", "Anna.Huber-2"),
    ("ansible_user", "_svc"),
    ("ansible_host", "10.20.0.11"),
    ("ansible_host", "db1.hospital-a.internal"),
    ("ansible_port", 1),
    ("ansible_port", 65535),
    (KEY_VARIABLE, "~/.ssh/id_ed25519"),
    ("ansible_ssh_common_args", "-J jump.hospital.internal -o 'ProxyCommand=ssh -W %h:%p jump' -4C"),
    ("ansible_ssh_extra_args", "-oCompression=yes -i/root/key"),
    ("ansible_connection", "ssh"),
    ("ansible_python_interpreter", "/usr/bin/python3.13"),
    ("ansible_become_method", "sudo"),
]
BAD: list[tuple[str, Any, str]] = [
    ("ansible_user", "-oProxyCommand=touch /tmp/pwned", "allowed: a login name"),
    ("ansible_user", "anna huber", "allowed: a login name"),
    ("ansible_user", "anna@elsewhere", "allowed: a login name"),
    ("ansible_user", "", "allowed: a login name"),
    ("ansible_user", 7, "allowed: a login name"),
    ("ansible_user", "a" * 33, "at most 32"),
    ("ansible_user", "anna\n", "allowed: a login name"),
    ("ansible_user", "{{ lookup('pipe', 'id') }}", "is a template"),
    ("ansible_host", "-oProxyCommand=touch /tmp/pwned", "allowed: a host name or an IPv4 address"),
    ("ansible_host", "localhost", "not this machine's own"),
    ("ansible_host", "127.0.0.1", "not this machine's own"),
    ("ansible_host", "0.0.0.0", "not this machine's own"),  # noqa: S104 - refused
    ("ansible_host", "10.20.0", "allowed: a host name"),
    ("ansible_host", "a..b", "allowed: a host name"),
    ("ansible_host", "db1;id", "allowed: a host name"),
    ("ansible_host", "root@db1", "allowed: a host name"),
    ("ansible_port", 0, "1 to 65535"),
    ("ansible_port", -1, "1 to 65535"),
    ("ansible_port", 65536, "1 to 65535"),
    ("ansible_port", "22", "1 to 65535"),
    ("ansible_port", True, "1 to 65535"),
    (KEY_VARIABLE, "", "allowed: text on one line"),
    (KEY_VARIABLE, "/root/key\n-oProxyCommand=id", "allowed: text on one line"),
    ("ansible_ssh_common_args", "-o 'ProxyCommand=id", "cannot be split into words: No closing quotation"),
    ("ansible_ssh_common_args", "-o", "ends in -o"),
    ("ansible_ssh_common_args", "elsewhere", "which is no option"),
    ("ansible_ssh_common_args", "-- elsewhere", "which is no option"),
    ("ansible_ssh_extra_args", "-f -N", "no option for a login"),
    ("ansible_connection", "local", "allowed: ssh"),
    ("ansible_connection", "paramiko", "allowed: ssh"),
    ("ansible_python_interpreter", "python3", "an absolute path"),
    ("ansible_python_interpreter", "/usr/bin/python3 -c x", "an absolute path"),
    ("ansible_python_interpreter", "/usr/../bin/python3", "an absolute path"),
    ("ansible_become_method", "doas", "allowed: sudo"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_what_works_is_accepted(name: str, value: Any) -> None:
    assert connection_fault(name, value) is None


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_what_cannot_work_is_refused_with_what_can(name: str, value: Any, words: str) -> None:
    fault = connection_fault(name, value)
    assert fault is not None
    assert name in fault.what
    assert words in f"{fault.what}; {fault.fix}"


@pytest.mark.parametrize(("setting", "value"), [("ansible_user", "l"), ("ansible_host", "destination")])
def test_nothing_an_inventory_names_can_become_an_option_of_ssh(
    setting: str, value: str, tmp_path: Path, sockets: Path
) -> None:
    """Also without the checks above: real ssh is given the very values that once ran a command on the controller."""
    proof = tmp_path / "ran"
    attack = f"-oProxyCommand=touch {proof}"
    db1 = _site().hosts["db1"]
    host = Host(
        name="db1",
        address=db1.address,
        fqdn=db1.fqdn,
        groups=db1.groups,
        memory_mb=None,
        cores=None,
        connection={"ansible_host": "127.0.0.1", "ansible_port": 1, setting: attack},
        settings={},
        source=db1.source,
    )
    argv = [*login_argv(host, sockets), "true"]
    assert argv[-3] == "--"
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 255, ended.stderr
    assert not proof.exists()
    # The check itself can fail: given as a destination the old way, the same value runs the command.
    old = [*argv[: argv.index("-p")], "-p", "1", f"{attack}@127.0.0.1" if setting == "ansible_user" else attack]
    subprocess.run([*old, "127.0.0.1"], capture_output=True, timeout=20, check=False)
    assert list(tmp_path.iterdir()) != []


def test_the_settings_of_a_login_stand_where_ssh_expects_them(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    folder = _copy(tmp_path, "db1: {", f"db1: {{ansible_port: 2222, {KEY_VARIABLE}: {key}, ")
    argv = login_argv(_site(folder).hosts["db1"], tmp_path / "sockets")
    assert argv[:3] == ["ssh", "-o", "BatchMode=yes"]
    assert argv[-8:] == ["-i", str(key), "-p", "2222", "-l", "sitewright", "--", "10.20.0.31"]


def test_a_key_is_a_private_file_and_a_relative_path_starts_where_the_operator_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "open").touch(mode=0o644)
    assert key_fault("key") is None
    assert key_fault("~/key") is None
    for value, words in (
        ("nothing", "No such file"),
        (".", "which is no file"),
        ("open", "which others may read"),
        ("~nobody-at-all/key", "home"),
    ):
        fault = key_fault(value)
        assert fault is not None
        assert words in fault.what


def test_the_key_of_the_real_hosts_is_not_asked_of_a_rehearsal(tmp_path: Path) -> None:
    folder = _copy(tmp_path, "ansible_user: sitewright", f"{KEY_VARIABLE}: /nowhere/key")
    assert _site(folder, rehearsal=True).hosts["db1"].connection[KEY_VARIABLE] == "/nowhere/key"
    with pytest.raises(DocumentError, match=r"hosts\.yml:16: .*/nowhere/key': No such file"):
        _site(folder)


def _copy(tmp_path: Path, old: str, new: str) -> Path:
    folder = tmp_path / "hospital-a"
    shutil.copytree(ROOT / "inventories" / "hospital-a", folder)
    hosts = folder / "hosts.yml"
    text = hosts.read_text()
    assert old in text
    hosts.write_text(text.replace(old, new))
    return folder


def _site(folder: Path = ROOT / "inventories" / "hospital-a", **options: Any) -> Site:
    return load_site(folder, manifests=load_manifests(ROOT), **options)
