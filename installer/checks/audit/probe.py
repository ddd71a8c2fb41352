"""Runs on a host as root, sent over SSH's standard input: runs the auditors and looks at files; leaves nothing there.

Only the standard library. Each JSON line on standard input says what to do, a JSON line on standard output is the
answer. The auditors lie in a folder that only root may enter, and that goes when the orders end.
"""

from __future__ import annotations

import base64
import grp
import io
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

# Not in /tmp, /run or /var/tmp: a hardened host lets no program start there.
HOME = "/root"
PREFIX = ".sitewright-audit-"
KILLED = -9
KERNEL_FILE_SYSTEMS = {
    *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs"),
    *("fuse", "fusectl", "hugetlbfs", "mqueue", "nfs", "nfs4", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs"),
    *("securityfs", "selinuxfs", "sysfs", "tmpfs", "tracefs", "cifs"),
}
SECRET_PLACES = ("/etc", "/home", "/opt", "/root", "/srv", "/usr/local", "/var/lib")
LARGEST_SECRET_FILE = 256 * 1024
# What dpkg knows of all packages: behind the name of a configuration file stands its checksum, and some of those files
# are named after passwords.
KNOWN_TO_DPKG = ("/var/lib/dpkg/status", "/var/lib/dpkg/status-old")
# A key, or a value as long as ours are made behind a word for something secret.
SECRET = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
    rb"|(?i:passw(?:or)?d|pass|passphrase|secret|cookie|authtok|masterauth)['\"]?(?:\s*[:=]\s*|[ \t]+)['\"]?"
    rb"(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+_-][A-Za-z0-9+/_-]{23,}(?![\w/.-])"
)
AT_MOST = 200
FOLDER = ""


def tools() -> str:
    """The auditors' folder, made when it is first asked for."""
    global FOLDER  # noqa: PLW0603 - the program is one module, and its end needs to know
    if not FOLDER:
        FOLDER = tempfile.mkdtemp(prefix=PREFIX, dir=HOME)
    return FOLDER


def unpack(order: dict[str, Any]) -> dict[str, Any]:
    """Lay the auditors down, and files that they are given."""
    archive = io.BytesIO(base64.b64decode(order["archive"]))
    with tarfile.open(fileobj=archive, mode="r:gz") as tar:
        # Our own archive, as it is; older Pythons do not know of filters and do not look at this.
        tar.extraction_filter = lambda member, _path: member
        tar.extractall(tools())  # noqa: S202 - packed by the controller from a signed bundle
    for name, content in order["files"].items():
        path = Path(tools(), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o700)
    return {"folder": tools()}


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Run programs one after the other; of each its exit code and what it printed, or read from files it wrote."""
    answers = {}
    for name, job in order["jobs"].items():
        argv = [word.replace("{tools}", tools()) for word in job["argv"]]
        environment = {"PATH": f"{tools()}/bin:{tools()}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        environment |= {key: value.replace("{tools}", tools()) for key, value in job.get("environment", {}).items()}
        environment["HOME"] = environment["TMPDIR"] = tools()
        answers[name] = finished(argv, job, environment)
        for file in job.get("files", ()):
            path = Path(tools(), file)
            answers[name][file] = path.read_text(errors="replace") if path.exists() else ""
    return answers


def finished(argv: list[str], job: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """One program with all that it started, ended when its time is over."""
    folder = job.get("folder", "{tools}").replace("{tools}", tools())
    try:
        process = subprocess.Popen(  # noqa: S603 - argv is the controller's
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        return {"code": 127, "out": "", "err": str(error)}
    try:
        out, err = process.communicate(job.get("input", "").encode(), timeout=job["seconds"])
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code, err = KILLED, err + b"\nended after %d s" % job["seconds"]
    return {"code": code, "out": out.decode(errors="replace"), "err": err.decode(errors="replace")[-2000:]}


def roots() -> list[str]:
    """Where the file systems of the host's own disks begin."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        where = where.encode().decode("unicode_escape")
        if kind not in KERNEL_FILE_SYSTEMS and not kind.startswith("fuse.") and Path(where).is_dir():
            found.append(where)
    return found


def entries(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder that is on the same file system."""
    device = os.lstat(root).st_dev
    waiting = [root]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    try:
                        known = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:  # gone since it was listed
                        continue
                    if known.st_dev != device:
                        continue
                    yield entry.path, known
                    if stat.S_ISDIR(known.st_mode) and entry.path != FOLDER:
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue


def packaged() -> set[str]:
    """Every path that a package brought: what everybody can download is no secret."""
    found = set(KNOWN_TO_DPKG)
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        found.update(listing.read_text(errors="replace").splitlines())
    return found


def holds_secret(path: str, size: int) -> bool:
    """Whether a small file has a private key or a long password in it."""
    if size > LARGEST_SECRET_FILE:
        return False
    try:
        return SECRET.search(Path(path).read_bytes()) is not None
    except OSError:
        return False


def reachable(path: str, closed: dict[str, bool]) -> bool:
    """Whether somebody who is nobody in particular may enter all folders on the way to a file."""
    folder = str(Path(path).parent)
    if folder not in closed:
        enterable = bool(Path(folder).stat().st_mode & stat.S_IXOTH)
        closed[folder] = enterable and (folder == "/" or reachable(folder, closed))
    return closed[folder]


def files(_order: dict[str, Any]) -> dict[str, Any]:
    """What is wrong or worth knowing about the files of the host."""
    users = {entry.pw_uid for entry in pwd.getpwall()}
    groups = {entry.gr_gid for entry in grp.getgrall()}
    brought = packaged()
    ways: dict[str, bool] = {}
    found: dict[str, list[str]] = {"writable": [], "setid": [], "unowned": [], "secrets": []}
    looked = 0
    for root in dict.fromkeys(roots()):
        for path, known in entries(root):
            looked += 1
            mode = known.st_mode
            if stat.S_ISLNK(mode):
                continue
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                found["writable"].append(path)
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                found["setid"].append(path)
            if known.st_uid not in users or known.st_gid not in groups:
                found["unowned"].append(path)
            if (
                stat.S_ISREG(mode)
                and mode & stat.S_IROTH
                and path.startswith(SECRET_PLACES)
                and path not in brought
                and reachable(path, ways)
                and holds_secret(path, known.st_size)
            ):
                found["secrets"].append(path)
    counts = {kind: len(paths) for kind, paths in found.items()}
    return {"looked": looked, "counts": counts, **{kind: sorted(paths)[:AT_MOST] for kind, paths in found.items()}}


def main(orders: TextIO) -> None:
    """Do what each line says, until there are no more."""
    os.nice(19)
    try:
        for line in iter(orders.readline, ""):
            order = json.loads(line)
            answer = {"unpack": unpack, "run": run, "files": files}[order["do"]](order)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        if FOLDER:
            shutil.rmtree(FOLDER)
