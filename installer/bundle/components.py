"""Find what a built payload is made of: Maven jars, also those inside jars, and npm packages."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POM: Final = re.compile(r"^META-INF/maven/([^/]+)/([^/]+)/pom\.properties$")
_JAR_NAME: Final = re.compile(r"^(?P<name>.+?)-(?P<version>\d[^/]*)\.jar$")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Component:
    """One thing a payload is made of.

    Attributes:
        kind: The registry's kind its coordinates belong to.
        group: Maven group, or npm scope; empty when it has none.
        name: Its name there.
        version: Its exact version.
        sha256: Hash of the jar; empty for npm packages, which are folders.
    """

    kind: Literal["maven", "npm"]
    group: str
    name: str
    version: str
    sha256: str


def find_components(tree: Path) -> list[Component]:
    """Every component under `tree`, each once, sorted."""
    found: set[Component] = set()
    for path in sorted(tree.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if path.suffix == ".jar":
            found.update(_read_jar(path.name, path.read_bytes()))
        elif path.name == "package.json" and "node_modules" in path.parts:
            found.update(_read_npm(path))
    return sorted(found)


def _read_jar(name: str, data: bytes) -> Iterator[Component]:
    """The jar itself and the jars inside it."""
    digest = hashlib.sha256(data).hexdigest()
    with zipfile.ZipFile(io.BytesIO(data)) as jar:
        entries = jar.namelist()
        coordinates = _coordinates(jar, entries, name)
        if coordinates is not None:
            group, artifact, version = coordinates
            yield Component(kind="maven", group=group, name=artifact, version=version, sha256=digest)
        for entry in entries:
            if entry.endswith(".jar"):
                yield from _read_jar(entry.rsplit("/", 1)[-1], jar.read(entry))


def _coordinates(jar: zipfile.ZipFile, entries: list[str], name: str) -> tuple[str, str, str] | None:
    """Group, artifact and version: from the jar's own pom, else what its name says.

    A jar that holds several poms is a shaded one; then the pom that fits its name counts.
    """
    stem = name.removesuffix(".jar")
    poms = [entry for entry in entries if _POM.match(entry)]
    for entry in poms:
        properties = _properties(jar.read(entry).decode("utf-8", "replace"))
        group, artifact, version = (properties.get(key, "") for key in ("groupId", "artifactId", "version"))
        if version and (len(poms) == 1 or stem.startswith(f"{artifact}-{version}")):
            return group, artifact, version
    match = _JAR_NAME.match(name)
    return ("", match["name"], match["version"]) if match else None


def _properties(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def _read_npm(path: Path) -> Iterator[Component]:
    """The package a package.json describes; those without name and version only set options."""
    # Only at a package's root: node_modules/name or node_modules/@scope/name.
    above = path.parent.parent
    if above.name != "node_modules" and not (above.name.startswith("@") and above.parent.name == "node_modules"):
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    full_name, version = content.get("name"), content.get("version")
    if full_name and version:
        scope, _, name = str(full_name).rpartition("/")
        yield Component(kind="npm", group=scope, name=name, version=str(version), sha256="")
