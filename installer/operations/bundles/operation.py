"""`bundle build|verify|inspect|diff`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from installer.bundle import diff as compare
from installer.bundle import inspect as inspect_bundle
from installer.bundle.additions import parse_additions
from installer.bundle.build import build as build_bundle
from installer.bundle.build import keys_folder
from installer.bundle.trust import trusted_folder
from installer.bundle.verify import verify as verify_bundle
from installer.controller.commands import Job, ensure_commands

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from installer.bundle import Manifest
    from installer.console.terminal import Terminal
    from installer.controller.paths import Paths


def build(
    paths: Paths,
    terminal: Terminal,
    *,
    out: Path | None,
    mirror: str,
    security_mirror: str,
    taken: Sequence[str],
    refresh: bool,
) -> None:
    """Build a bundle on a connected machine.

    Raises:
        InstallerError: If it cannot be built.
    """
    started = time.time()
    folder = paths.bundle_or(out)
    additions = parse_additions(taken)
    ensure_commands([Job.BUNDLE], terminal.say)
    manifest = build_bundle(
        paths,
        out=folder,
        report=terminal.say,
        mirror=mirror,
        security_mirror=security_mirror,
        additions=additions,
        refresh=refresh,
    )
    _tell(terminal, "bundle build", folder, manifest, started)


def verify(paths: Paths, terminal: Terminal, *, bundle: Path | None, key: Path | None) -> None:
    """Verify a bundle, offline.

    Raises:
        BundleError: Naming the file that is wrong.
    """
    started = time.time()
    folder = paths.bundle_or(bundle)
    manifest = verify_bundle(folder, trusted=trusted_folder(keys_folder(paths)), report=terminal.say, key=key)
    _tell(terminal, "bundle verify", folder, manifest, started)


def inspect(paths: Paths, terminal: Terminal, *, bundle: Path | None) -> None:
    """Tell what a bundle says it holds."""
    started = time.time()
    folder = paths.bundle_or(bundle)
    manifest = inspect_bundle(folder)
    if terminal.output == "text":
        suites = {package: f" {suite}" for suite, packages in manifest.additions.items() for package in packages}
        terminal.table(
            ("package", "version", "from"),
            [(entry.name, entry.version, entry.origin + suites.get(entry.name, "")) for entry in manifest.packages],
        )
        terminal.table(("wheel", "version"), [(entry.name, entry.version) for entry in manifest.wheels])
    _tell(terminal, "bundle inspect", folder, manifest, started, whole=True)


def diff(terminal: Terminal, *, before: Path, after: Path) -> None:
    """Tell what changes for a site from one bundle to another."""
    difference = compare(inspect_bundle(before), inspect_bundle(after))
    changes = [
        {"kind": change.kind, "name": change.name, "before": change.before, "after": change.after}
        for change in difference.changes
    ]
    if terminal.output == "json":
        terminal.document(
            {
                "operation": "bundle diff",
                "result": "done",
                "changes": changes,
                "files": list(difference.files),
            }
        )
    elif difference.is_empty:
        terminal.result("the two bundles are the same")
    else:
        if changes:
            terminal.table(
                ("kind", "name", "before", "after"),
                [(c["kind"], c["name"], c["before"] or "-", c["after"] or "-") for c in changes],
            )
        terminal.result(f"{len(changes)} part(s) and {len(difference.files)} file(s) differ")


def _tell(
    terminal: Terminal,
    operation: str,
    folder: Path,
    manifest: Manifest,
    started: float,
    *,
    whole: bool = False,
) -> None:
    """What can be said of every bundle."""
    facts: dict[str, Any] = {
        "bundle": str(folder),
        "release": manifest.release_name,
        "id": manifest.identity,
        "debian": manifest.snapshot.date().isoformat(),
        **({"also_from": manifest.described_additions} if manifest.additions else {}),
        "python": manifest.python,
        "signed_with": manifest.bundle_key,
        "packages": len(manifest.packages),
        "wheels": len(manifest.wheels),
        "files": len(manifest.files),
        "bytes": manifest.size,
    }
    if terminal.output == "json":
        document = {
            "operation": operation,
            "result": "done",
            "seconds": round(time.time() - started, 1),
            **facts,
        }
        if whole:
            document["manifest"] = manifest.model_dump(mode="json")
        terminal.document(document)
        return
    for name, value in facts.items():
        terminal.result(f"{name.replace('_', ' ') + ':':<13}{value}")
