"""Building a bundle, with the real tools, from a Debian archive in miniature."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from installer.bundle import Manifest, diff, inspect
from installer.bundle.auditors import AUDITOR_PACKAGES
from installer.bundle.debian import HOST_BASE
from installer.bundle.manifest import parse_manifest
from installer.errors import BundleError
from tests.bundle_workshop import Workshop, make_deb, make_workshop, run, sign_archive

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workshop with a bundle, made once."""
    made = make_workshop(tmp_path_factory.mktemp("workshop") / "template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installer.controller.debian_mirror.KEYRING", made.base / "archive-key.asc")
        made.build()
    return made.base


@pytest.fixture
def workshop(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop of the test's own, with a bundle and a filled cache."""
    base = tmp_path / "workshop"
    shutil.copytree(template, base)
    monkeypatch.setattr("installer.controller.debian_mirror.KEYRING", base / "archive-key.asc")
    return Workshop(base=base)


@pytest.fixture
def bare(workshop: Workshop) -> Workshop:
    """A workshop where nothing was built or fetched yet; only the keys are there."""
    shutil.rmtree(workshop.paths.bundle)
    shutil.rmtree(workshop.paths.cache)
    return workshop


def names(manifest: Manifest) -> set[str]:
    return {entry.name for entry in manifest.packages}


def test_a_bundle_holds_what_the_roles_and_payloads_need_and_nothing_else(workshop: Workshop) -> None:
    manifest = workshop.build()
    base = {name for name in HOST_BASE if not name.startswith("?")} | {"base-files", "adduser"}
    demo = {"demo-service", "demo-library", "demo-old", "demo-runtime", "sitewright-demo"}
    assert names(manifest) == base | demo | set(AUDITOR_PACKAGES)
    assert [entry.name for entry in manifest.wheels] == ["demo-tool"]
    assert manifest.snapshot.isoformat() == "2026-11-20T02:11:10+00:00"


def test_a_package_keeps_its_exact_version_and_its_name_has_no_epoch(workshop: Workshop) -> None:
    library = next(entry for entry in workshop.build().packages if entry.name == "demo-library")
    assert library.version == "1:2.0-3"
    assert library.file == "apt/pool/demo-library_2.0-3_all.deb"


def test_the_repository_is_signed_with_the_key_that_travels_along(workshop: Workshop) -> None:
    workshop.build()
    bundle = workshop.paths.bundle
    keyring = workshop.base / "archive.gpg"
    run("gpg", "--batch", f"--output={keyring}", "--dearmor", str(bundle / "keys/archive.asc"))
    release = run("gpgv", f"--keyring={keyring}", "--output=-", str(bundle / "apt/dists/trixie/InRelease"))
    assert "Origin: Sitewright\n" in release
    assert "Date: Fri, 20 Nov 2026 02:11:10 UTC\n" in release


def test_the_list_for_the_repository_host_covers_every_file_of_the_repository(workshop: Workshop) -> None:
    manifest = workshop.build()
    apt = workshop.paths.bundle / "apt"
    run("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS", directory=apt)
    listed = {line.split("  ")[1] for line in (apt / "SHA256SUMS").read_text(encoding="utf-8").splitlines()}
    assert {f"apt/{name}" for name in listed} | {"apt/SHA256SUMS"} == {
        name for name in manifest.files if name.startswith("apt/")
    }


def test_the_same_inputs_give_the_same_bytes(workshop: Workshop) -> None:
    other = workshop.base / "other"
    workshop.paths.bundle.rename(other)
    shutil.rmtree(workshop.paths.cache)
    time.sleep(1.1)  # a date of the clock anywhere would show
    manifest = workshop.build()
    same = [*manifest.files, "manifest.json", "manifest.json.minisig"]
    assert filecmp.cmpfiles(other, workshop.paths.bundle, same, shallow=False) == (same, [], [])


def test_a_second_build_keeps_the_bundle_and_needs_no_network(workshop: Workshop) -> None:
    first = workshop.build()
    shutil.rmtree(workshop.base / "archive")
    shutil.rmtree(workshop.paths.cache)
    assert workshop.build() == first
    assert "up to date" in workshop.lines[-1]


def test_a_refresh_keeps_the_bundle_while_debian_has_nothing_newer(workshop: Workshop) -> None:
    first = workshop.build()
    assert workshop.build(refresh=True) == first
    make_deb(workshop.base / "archive/pool", "demo-newest")
    sign_archive(workshop.base / "archive", "Sat, 21 Nov 2026 09:00:00 UTC")
    second = workshop.build(refresh=True)
    assert second.snapshot > first.snapshot
    assert diff(first, second).changes == ()


def test_a_payload_with_other_contents_has_another_version(workshop: Workshop) -> None:
    first = workshop.build()
    (workshop.payload / "package.json").write_text(json.dumps({"name": "@scope/left", "version": "5.0.0"}))
    second = workshop.build()
    changes = diff(first, second).changes
    assert [change.name for change in changes] == ["sitewright-demo"]
    assert changes[0].before.startswith("1.2.3+")
    assert changes[0].before != changes[0].after
    assert not (workshop.paths.bundle.with_name("bundle.previous")).exists()


def test_a_bundle_names_its_release_and_another_release_is_another_bundle(workshop: Workshop) -> None:
    first = workshop.build()
    project = workshop.paths.root / "pyproject.toml"
    project.write_text(project.read_text().replace("7.1.0", "7.2.0"))
    second = workshop.build()
    assert [(change.kind, change.before, change.after) for change in diff(first, second).changes] == [
        ("release", "7.1.0", "7.2.0")
    ]
    assert first.identity != second.identity
    assert second.describe() == {"id": second.identity, "release": "7.2.0", "debian": "2026-11-20"}


def test_a_bundle_of_release_0_1_is_read_byte_for_byte(workshop: Workshop) -> None:
    manifest = workshop.build()
    old = manifest.to_bytes().replace(b' "release": "7.1.0",\n', b"")
    assert len(old) < len(manifest.to_bytes())
    read = parse_manifest(old, Path("manifest.json"))
    assert read.release == ""
    assert read.to_bytes() == old


def test_the_bill_of_materials_names_all_four_kinds_of_parts(workshop: Workshop) -> None:
    workshop.build()
    bill = json.loads((workshop.paths.bundle / "sbom.cdx.json").read_text(encoding="utf-8"))
    urls = {component["purl"] for component in bill["components"]}
    assert {
        "pkg:deb/debian/demo-service@1:2.0-3?arch=all",
        "pkg:pypi/demo-tool@1.0",
        "pkg:maven/org.example/inner@7.8.9",
        "pkg:npm/%40scope/left@4.5.6",
    } <= urls
    assert bill["bomFormat"] == "CycloneDX"


def test_a_package_nobody_has_ends_the_build_with_its_name(bare: Workshop) -> None:
    manifest = bare.paths.root / "roles/demo/meta/sitewright.yml"
    manifest.write_text("group: all\npackages: [no-such-package]\n", encoding="utf-8")
    with pytest.raises(BundleError, match="no-such-package"):
        bare.build()
    assert not bare.paths.bundle.exists()


def test_a_payload_nobody_builds_ends_the_build_with_its_name(workshop: Workshop) -> None:
    manifest = workshop.paths.root / "roles/demo/meta/sitewright.yml"
    manifest.write_text("group: all\npackages: [sitewright-nothing]\n", encoding="utf-8")
    with pytest.raises(BundleError, match="sitewright-nothing"):
        workshop.build()


def test_a_failing_payload_ends_everything_at_once_and_says_why(bare: Workshop) -> None:
    slow = bare.paths.root / "payloads/slow"
    shutil.copytree(bare.payload, slow)
    text = (slow / "payload.yml").read_text(encoding="utf-8").replace("sitewright-demo", "sitewright-slow")
    (slow / "payload.yml").write_text(text, encoding="utf-8")
    (slow / "build").write_text("#!/bin/sh\nsleep 100 & wait\n", encoding="utf-8")
    (bare.payload / "build").write_text("#!/bin/sh\necho the oven is cold >&2\nexit 3\n", encoding="utf-8")
    started = time.monotonic()
    with pytest.raises(BundleError, match="the oven is cold") as error:
        bare.build()
    assert time.monotonic() - started < 30
    assert Path(error.value.hint.split("all of it: ")[1].rstrip(")")).exists()


def test_a_damaged_download_in_the_cache_is_fetched_again(workshop: Workshop) -> None:
    first = workshop.build()
    shutil.rmtree(workshop.paths.bundle)
    (copy,) = workshop.paths.downloads.glob("debian/debs/demo-library*.deb")
    data = bytearray(copy.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert workshop.build() == first


def test_a_killed_build_leaves_nothing_in_place_and_the_next_one_resumes(bare: Workshop) -> None:
    (bare.payload / "build").write_text("#!/bin/sh\ntouch started\nexec sleep 100\n", encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; import installer.controller.debian_mirror as m\n"
        "from tests.bundle_workshop import Workshop\n"
        "w = Workshop(base=Path(sys.argv[1])); m.KEYRING = w.base / 'archive-key.asc'; w.build()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(bare.base)], start_new_session=True)
    deadline = time.monotonic() + 30
    while not (bare.payload / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    assert not bare.paths.bundle.exists()
    (bare.payload / "build").write_text(
        "#!/bin/sh\nmkdir -p $1/usr/share/demo && cp demo.jar $1/usr/share/demo\n", encoding="utf-8"
    )
    bare.build()
    assert bare.verify() == inspect(bare.paths.bundle)


def test_a_power_loss_between_the_two_renames_loses_no_bundle(workshop: Workshop) -> None:
    first = workshop.build()
    workshop.paths.bundle.rename(workshop.paths.bundle.with_name("bundle.previous"))
    assert workshop.build() == first


def test_two_builds_at_once_wait_for_each_other(bare: Workshop) -> None:
    bare.paths.cache.mkdir()
    lock = FileLock(bare.paths.cache / "bundle.lock", thread_local=False)
    lock.acquire()
    second = threading.Thread(target=bare.build)
    second.start()
    deadline = time.monotonic() + 10
    while not bare.lines and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "waiting for another bundle build" in bare.lines[0]
    assert not bare.paths.bundle.exists()
    lock.release()
    second.join(60)
    assert bare.paths.bundle.is_dir()


def test_the_secret_keys_are_their_owners_alone(workshop: Workshop) -> None:
    workshop.build()
    keys = workshop.paths.state / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE((keys / name).stat().st_mode) for name in ("archive.key", "bundle.key")} == {0o600}


def test_no_agent_of_gpg_outlives_a_build(bare: Workshop, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(sockets))  # another build may run meanwhile, with agents of its own
    bare.build()
    assert [line for line in command_lines() if os.fsencode(sockets) in line] == []
    assert list(sockets.iterdir()) == []


def command_lines() -> Iterator[bytes]:
    """Those of all living processes; one that ended while we look has none."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield path.read_bytes()
