"""A real Redis group for tests: three nodes and three Sentinels on this machine's loopback, with TLS and users."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from installer.controller.paths import Paths
from installer.pki import Wanted, ensure_authority

PASSWORD = "a password of the test"
START_SECONDS = 90
_PACKAGES = ("redis-server", "redis-tools", "redis-sentinel")
_ALL = "~* &* +@all"


def user(name: str, rules: str) -> str:
    """A user as `ACL LIST` prints it."""
    return f"user {name} on sanitize-payload #{sha256(PASSWORD.encode()).hexdigest()} {rules}"


DEFAULT_USER = "user default off sanitize-payload resetchannels -@all"
SERVER_USERS = [user("admin", _ALL), DEFAULT_USER]


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where Redis is, and what it needs to start."""

    folder: Path
    environment: Mapping[str, str]


def programs() -> Programs:
    """Redis of this machine, else its Debian packages, unpacked beside the tests' own environment, not installed."""
    if found := shutil.which("redis-server"):
        return Programs(folder=Path(found).parent, environment=dict(os.environ))
    root = Paths.from_environment().state / "redis-for-tests"
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        (root / "packages").mkdir(parents=True)
        if not _download(root / "packages"):
            subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True)
            assert _download(root / "packages"), "apt-get download does not bring redis-server"
        for package in (root / "packages").glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
        (root / "complete").touch()
    libraries = ":".join(map(str, root.glob("usr/lib/*-linux-gnu")))
    return Programs(folder=root / "usr/bin", environment={**os.environ, "LD_LIBRARY_PATH": libraries})


def _download(folder: Path) -> bool:
    asked = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"]
    said = _said([*asked, "--no-replaces", "--no-enhances", *_PACKAGES])
    names = sorted({line for line in said.splitlines() if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line)})
    shown = _said(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names])
    there = {line.split()[0] for line in shown.splitlines() if line.endswith(" installed")}
    wanted = [name for name in names if name not in there]
    argv = ["apt-get", "download", *wanted]
    return subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode == 0


def _said(argv: list[str]) -> str:
    """What a program prints; apt-cache and dpkg-query complain of packages they do not know, which is no error here."""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGroup:
    """The group, and what a module is told to reach it."""

    folder: Path
    nodes: list[str]
    arguments: dict[str, Any]

    def write_users(self, users: list[str]) -> None:
        """What the role writes before it asks the running processes to load it."""
        for kind in ("server", "sentinel"):
            for node in self.nodes:
                (self.folder / f"{kind}-{node}.acl").write_text("".join(f"{line}\n" for line in users))


@contextmanager
def running_group(folder: Path) -> Iterator[RunningGroup]:
    """Start three nodes with their Sentinels; the first is the master."""
    found = programs()
    nodes = [f"127.77.{os.getpid() % 250}.{number}" for number in (1, 2, 3)]
    make_certificate(folder, nodes)
    arguments = {
        "nodes": nodes,
        "port": 6390,
        "sentinel_port": 26390,
        "master_name": "main",
        "ca_file": str(folder / "ca.crt"),
        "certificate_file": str(folder / "tls.crt"),
        "key_file": str(folder / "tls.key"),
        "username": "admin",
        "password": PASSWORD,
        "timeout_seconds": 60,
    }
    group = RunningGroup(folder=folder, nodes=nodes, arguments=arguments)
    group.write_users(SERVER_USERS)
    with ExitStack() as stack:
        for kind, port in (("server", 6390), ("sentinel", 26390)):
            for node in nodes:
                file = folder / f"{kind}-{node}.conf"
                file.write_text(_configuration(kind, node, group))
                program = str(found.folder / f"redis-{kind}")
                log = stack.enter_context((folder / f"{kind}-{node}.log").open("wb"))
                process = subprocess.Popen([program, str(file)], env=found.environment, stdout=log, stderr=log)
                stack.callback(process.wait)
                stack.callback(process.kill)
            for node in nodes:
                _wait_for(node, port)
        yield group


def _configuration(kind: str, node: str, group: RunningGroup) -> str:
    master = group.nodes[0]
    folder = group.folder
    data = folder / f"{kind}-{node}"
    data.mkdir()
    lines = [
        f"bind {node}",
        "port 0",
        "protected-mode no",
        f"tls-cert-file {folder}/tls.crt",
        f"tls-key-file {folder}/tls.key",
        f"tls-ca-cert-file {folder}/ca.crt",
        "tls-replication yes",
        f"dir {data}",
        f"aclfile {folder}/{kind}-{node}.acl",
        f"tls-port {group.arguments['port' if kind == 'server' else 'sentinel_port']}",
    ]
    if kind == "server":
        lines += ["masteruser admin", f'masterauth "{PASSWORD}"', "repl-diskless-sync-delay 0", 'save ""']
        lines += [f"replica-announce-ip {node}", "repl-ping-replica-period 1"]
        lines += [f"replicaof {master} 6390"] if node != master else []
    else:
        lines += [
            f"sentinel announce-ip {node}",
            "sentinel sentinel-user admin",
            f'sentinel sentinel-pass "{PASSWORD}"',
            f"sentinel monitor main {master} 6390 2",
            "sentinel auth-user main admin",
            f'sentinel auth-pass main "{PASSWORD}"',
            "sentinel down-after-milliseconds main 3000",
            "sentinel failover-timeout main 10000",
        ]
    return "\n".join(lines) + "\n"


def make_certificate(folder: Path, nodes: list[str]) -> None:
    """A key and a certificate for all nodes, of an authority that stays the same."""
    authority = ensure_authority(folder / "pki", "passphrase", name="test")
    argv = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]
    subprocess.run([*argv, str(folder / "tls.key")], check=True, capture_output=True)
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(folder / "tls.key"), "-pubout"], check=True, capture_output=True
    )
    names = {"dns_names": ["localhost"], "ip_addresses": ["127.0.0.1", *nodes], "usages": ["server", "client"]}
    certificate = authority.certify(
        load_pem_public_key(public.stdout), Wanted.from_variables(names), lifetime=timedelta(days=3)
    )
    (folder / "tls.crt").write_text(certificate)
    (folder / "ca.crt").write_text(authority.pem)


def _wait_for(node: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((node, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"{node}:{port} does not start"
            time.sleep(0.1)
        else:
            return
