"""A checkout, a Debian archive and a Python index in miniature: bundles of them are built in a second.

Everything is real (apt, gpg, dpkg-deb, pip), only small and on this machine's disk.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
import textwrap
import zipfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from installer.bundle import Manifest, build, inspect, verify
from installer.bundle.additions import parse_additions
from installer.bundle.auditors import AUDITOR_PACKAGES
from installer.bundle.build import keys_folder
from installer.bundle.commands import Commands
from installer.bundle.debian import HOST_BASE
from installer.bundle.keys import ensure_keys, gpg_home, sign_manifest
from installer.bundle.manifest import MANIFEST_FILE, SIGNATURE_FILE
from installer.bundle.repository import write_repository
from installer.bundle.trust import trusted_folder
from installer.bundle.verify import describe_files
from installer.controller.paths import Paths

ARCHIVE_DATE: Final = "Fri, 20 Nov 2026 02:11:10 UTC"
PAYLOAD_BUILD: Final = """\
#!/bin/sh
set -eu
mkdir -p "$1/usr/lib/demo/node_modules/@scope/left"
cp demo.jar "$1/usr/lib/demo/"
cp package.json "$1/usr/lib/demo/node_modules/@scope/left/"
"""


@dataclass(kw_only=True)
class Workshop:
    """All that a build needs, under one folder.

    Attributes:
        base: The folder.
        lines: What builds and verifications reported.
    """

    base: Path
    lines: list[str] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        """Checkout, state and cache of this workshop's controller."""
        return Paths(root=self.base / "root", state=self.base / "state", cache=self.base / "cache")

    @property
    def payload(self) -> Path:
        """The folder of the one payload."""
        return self.paths.root / "payloads/demo"

    @property
    def trusted(self) -> Path:
        """Keys this workshop's controller accepts."""
        return trusted_folder(keys_folder(self.paths))

    def build(self, *, refresh: bool = False, taken: tuple[str, ...] = ()) -> Manifest:
        """Build into the usual place; `taken` as the option --from has it."""
        mirror = f"file:{self.base}/archive"
        return build(
            self.paths,
            out=self.paths.bundle,
            report=self.lines.append,
            mirror=mirror,
            additions=parse_additions(taken),
            refresh=refresh,
        )

    def verify(self, *, key: Path | None = None) -> Manifest:
        """Verify what is in the usual place."""
        return verify(self.paths.bundle, trusted=self.trusted, report=self.lines.append, key=key)


def make_workshop(base: Path) -> Workshop:
    """Lay everything down; `base` must be empty or missing."""
    workshop = Workshop(base=base)
    base.mkdir(exist_ok=True)
    _make_archive(base / "archive", base / "archive-key.asc")
    _make_checkout(workshop)
    return workshop


def run(*argv: str, directory: Path | None = None) -> str:
    """Run a program that has to succeed; what it complained about stands in the failure."""
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: exit {done.returncode}: {done.stderr}"
    return done.stdout


def make_deb(folder: Path, name: str, **fields: str) -> Path:
    """A Debian package with nothing in it but its name."""
    tree = folder / f".{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = {
        "Package": name,
        "Version": "1:2.0-3",
        "Architecture": "all",
        "Maintainer": "Nobody <nobody@example.org>",
        "Priority": "optional",
        "Description": f"the package {name}",
        **{key.replace("_", "-"): value for key, value in fields.items()},
    }
    text = "".join(f"{key}: {value}\n" for key, value in control.items())
    (tree / "DEBIAN/control").write_text(text, encoding="utf-8")
    target = folder / f"{name}_{control['Version'].rpartition(':')[2]}_all.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(target))
    shutil.rmtree(tree)
    return target


def make_newer_bundle(bundle: Path, out: Path, *, package: str, paths: Paths) -> tuple[str, str]:
    """A bundle that differs in one package from another, as when Debian's updates have a newer one.

    Args:
        bundle: The bundle to start from.
        out: Where; it must not exist.
        package: Which package is newer.
        paths: Whose controller signs it.

    Returns:
        The package's version before and after.
    """
    manifest = inspect(bundle)
    entry = next(each for each in manifest.packages if each.name == package)
    version = f"{entry.version}+deb13u9"
    shutil.copytree(bundle, out, ignore=shutil.ignore_patterns("apt", f"{MANIFEST_FILE}*"))
    with tempfile.TemporaryDirectory() as work:
        tree, deb = Path(work, "tree"), Path(work, "newer.deb")
        run("dpkg-deb", "--raw-extract", str(bundle / entry.file), str(tree))
        control = tree / "DEBIAN/control"
        fields = control.read_text(encoding="utf-8")
        control.write_text(fields.replace(f"\nVersion: {entry.version}\n", f"\nVersion: {version}\n"), encoding="utf-8")
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(deb))
        commands = Commands()
        keys = ensure_keys(keys_folder(paths), commands)
        moment = manifest.snapshot + timedelta(days=1)
        packages = write_repository(
            out / "apt",
            debs={Path(each.file).name: deb if each is entry else bundle / each.file for each in manifest.packages},
            payloads=[Path(each.file).name for each in manifest.packages if each.origin != "Debian"],
            architecture=manifest.architecture,
            keys=keys,
            moment=moment,
            commands=commands,
        )
    suites = {**manifest.suites, "trixie-updates": moment}
    changed = {"packages": packages, "files": describe_files(out), "snapshot": moment, "suites": suites}
    data = manifest.model_copy(update=changed).to_bytes()
    (out / MANIFEST_FILE).write_bytes(data)
    (out / SIGNATURE_FILE).write_bytes(sign_manifest(data, keys=keys, moment=moment))
    return entry.version, version


def sign_archive(archive: Path, date: str = ARCHIVE_DATE) -> None:
    """Index and sign the miniature Debian archive: trixie, its updates, and every suite that has a pool of its own."""
    with gpg_home() as home:
        gpg = ["gpg", f"--homedir={home}", "--batch", "--quiet"]
        run(*gpg, "--import", f"{archive.parent}/archive-key.secret")
        further = sorted(path.name.removeprefix("pool-") for path in archive.glob("pool-*"))
        for suite in ("trixie", "trixie-updates", *further):
            dist = archive / "dists" / suite
            _index(archive, suite, date)
            run(*gpg, f"--output={dist}/InRelease", "--clearsign", f"{dist}/Release")


def _index(archive: Path, suite: str, date: str) -> None:
    dist = archive / "dists" / suite
    index = dist / "main/binary-amd64"
    index.mkdir(parents=True, exist_ok=True)
    pool = "pool" if suite == "trixie" else f"pool-{suite}"
    packages = run("apt-ftparchive", "packages", pool, directory=archive) if (archive / pool).is_dir() else ""
    (index / "Packages").write_text(packages, encoding="utf-8")
    for name in ("Release", "InRelease"):
        (dist / name).unlink(missing_ok=True)  # or the new Release would list the old ones
    names = {"Origin": "Debian", "Suite": suite, "Codename": suite, "Date": date}
    names |= {"Architectures": "amd64", "Components": "main"}
    options = [f"-oAPT::FTPArchive::Release::{key}={value}" for key, value in names.items()]
    text = run("apt-ftparchive", *options, "release", str(dist))
    (dist / "Release").write_text(text, encoding="utf-8")


def _make_archive(archive: Path, key: Path) -> None:
    pool = archive / "pool"
    pool.mkdir(parents=True)
    for name in HOST_BASE:
        if not name.startswith("?"):
            make_deb(pool, name)
    make_deb(pool, "base-files", Essential="yes", Priority="required")
    make_deb(pool, "adduser", Priority="important")
    make_deb(pool, "demo-service", Depends="demo-library (>= 1:1.0), demo-old | demo-new")
    for name in ("demo-library", "demo-old", "demo-new", "demo-runtime", "demo-unwanted", *AUDITOR_PACKAGES):
        make_deb(pool, name)
    with gpg_home() as home:
        gpg = ["gpg", f"--homedir={home}", "--batch", "--quiet", "--armor"]
        run(*gpg, "--passphrase=", "--quick-generate-key", "archive of a test", "ed25519", "sign", "never")
        key.write_text(run(*gpg, "--export"), encoding="ascii")
        key.with_suffix(".secret").write_text(run(*gpg, "--export-secret-keys"), encoding="ascii")
    sign_archive(archive)


def _make_checkout(workshop: Workshop) -> None:
    root = workshop.paths.root
    meta = root / "roles/demo/meta"
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text('[project]\nversion = "7.1.0"\n', encoding="utf-8")
    meta.mkdir(parents=True)
    (meta / "sitewright.yml").write_text("group: all\npackages: [demo-service, sitewright-demo]\n", encoding="utf-8")
    _make_wheel(root / "requirements.txt", workshop.base / "index")
    payload = workshop.payload
    payload.mkdir(parents=True)
    description = """\
        package: sitewright-demo
        version: 1.2.3
        description: a payload for tests
        depends: [demo-runtime (>= 1)]
        inputs: [demo.jar, package.json]
        """
    (payload / "payload.yml").write_text(textwrap.dedent(description), encoding="utf-8")
    (payload / "package.json").write_text(json.dumps({"name": "@scope/left", "version": "4.5.6"}), encoding="utf-8")
    _make_jar(payload / "demo.jar")
    (payload / "build").write_text(PAYLOAD_BUILD, encoding="utf-8")
    (payload / "build").chmod(0o755)


def _make_wheel(lock: Path, index: Path) -> None:
    """A wheel, and a lock file by which pip finds it here and nowhere else."""
    index.mkdir()
    wheel = index / "demo_tool-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo_tool.py", "")
        archive.writestr("demo_tool-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo-tool\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("demo_tool-1.0.dist-info/WHEEL", tags)
        archive.writestr("demo_tool-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    text = f"--no-index\n--find-links ../{index.name}\ndemo-tool==1.0 --hash=sha256:{digest}\n"
    lock.write_text(text, encoding="utf-8")


def _make_jar(path: Path) -> None:
    """A jar inside a jar, as Spring Boot packs them; both say who they are."""
    inner = path.with_name("inner.jar")
    with zipfile.ZipFile(inner, "w") as archive:
        pom = "groupId=org.example\nartifactId=inner\nversion=7.8.9\n"
        archive.writestr("META-INF/maven/org.example/inner/pom.properties", pom)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "BOOT-INF/lib/inner-7.8.9.jar")
        archive.writestr(
            "META-INF/maven/org.example/demo/pom.properties", "groupId=org.example\nartifactId=demo\nversion=1\n"
        )
    inner.unlink()
