"""What a site gets beside Debian: built from source here, packed as Debian packages."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from installer.bundle.components import Component, find_components
from installer.errors import BundleError

if TYPE_CHECKING:
    from installer.bundle.commands import Commands

DESCRIPTION_FILE: Final = "payload.yml"
BUILD_FILE: Final = "build"
# Every file of a payload bears this date, whenever it was built: 2025-01-01T00:00:00Z.
SOURCE_DATE_EPOCH: Final = 1735689600
_PACKING: Final = 2  # raise it when the way a payload is packed changes
_HASH_CHARACTERS: Final = 8
# Jars are compressed already: xz took 29 s for the engine and saved nothing, zstd takes less than one.
# One thread, because the number of threads may show in the bytes.
_PACK_OPTIONS: Final = ("--root-owner-group", "-Zzstd", "-z3", "--threads-max=1")


class _Description(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    package: str = Field(pattern=r"^sitewright-[a-z0-9.+-]+$")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.~]*$")
    description: str = Field(min_length=1)
    depends: list[str] = []
    inputs: list[str] = Field(min_length=1)
    architecture: str = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One payload's source.

    Attributes:
        folder: Where its description and its build program are.
        package: Name of the Debian package.
        version: The payload's own version and a hash of its inputs, so that a package with other
            contents always has another version.
        summary: One line on what it is.
        depends: Relations to other packages, as a Depends field has them.
        architecture: `all`, unless it holds machine code.
    """

    folder: Path
    package: str
    version: str
    summary: str
    depends: tuple[str, ...]
    architecture: str

    @property
    def file_name(self) -> str:
        """The package file's name in the pool."""
        return f"{self.package}_{self.version}_{self.architecture}.deb"

    @property
    def depended_packages(self) -> tuple[str, ...]:
        """Names out of `depends`; the first of alternatives, without versions."""
        return tuple(re.split(r"[\s(|:]", relation.strip())[0] for relation in self.depends)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPayload:
    """A payload's package file and what is inside it."""

    payload: Payload
    deb: Path
    components: tuple[Component, ...]


def load_payloads(root: Path) -> list[Payload]:
    """Read the description of every payload under `root`/payloads.

    Raises:
        BundleError: If a description is wrong, names no file, or has no build program.
    """
    found = sorted((root.absolute() / "payloads").glob(f"**/{DESCRIPTION_FILE}"))
    return [_load(path) for path in found if "node_modules" not in path.parts]


def build_payload(payload: Payload, *, cache: Path, commands: Commands) -> BuiltPayload:
    """Build and pack a payload, or take the package an earlier build made of the same inputs."""
    deb = cache / payload.file_name
    listing = deb.with_suffix(".components.json")
    if not (deb.is_file() and listing.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{payload.package}-", dir=cache) as scratch:
            _build(payload, Path(scratch), cache, commands)
            (Path(scratch) / "components.json").replace(listing)
            (Path(scratch) / "package.deb").replace(deb)
    components = tuple(Component(**entry) for entry in json.loads(listing.read_bytes()))
    return BuiltPayload(payload=payload, deb=deb, components=components)


def _load(path: Path) -> Payload:
    folder = path.parent
    try:
        description = _Description.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        what = str(error).replace("\n", " ")
        raise BundleError(f"{path} is not a payload's description: {what}", hint="correct it") from error
    build = folder / BUILD_FILE
    if not os.access(build, os.X_OK):
        raise BundleError(f"{build} is not an executable file", hint=f"make it so: chmod +x {build}")
    digest = _hash_inputs(folder, description)
    return Payload(
        folder=folder,
        package=description.package,
        version=f"{description.version}+{digest[:_HASH_CHARACTERS]}",
        summary=description.description,
        depends=tuple(description.depends),
        architecture=description.architecture,
    )


def _hash_inputs(folder: Path, description: _Description) -> str:
    """A hash of every file that can change what the build makes."""
    files = {folder / DESCRIPTION_FILE, folder / BUILD_FILE}
    for pattern in description.inputs:
        matches = {match for match in folder.glob(pattern) if match.is_file()}
        if not matches:
            raise BundleError(
                f"{folder / DESCRIPTION_FILE}: no file matches the input {pattern!r}", hint="correct the pattern"
            )
        files |= matches
    digest = hashlib.sha256(f"{_PACKING}\n".encode())
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(folder)} {os.access(file, os.X_OK)} {content}\n".encode())
    return digest.hexdigest()


def _build(payload: Payload, scratch: Path, cache: Path, commands: Commands) -> None:
    tree = scratch / "tree"
    tree.mkdir()
    commands.run(
        [str(payload.folder / BUILD_FILE), str(tree)],
        doing=f"building {payload.package}",
        hint=f"read what {payload.folder / BUILD_FILE} said",
        directory=payload.folder,
        environment={"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH), "TZ": "UTC"},
        log=cache / "logs" / f"{payload.package}.log",
    )
    if not any(tree.iterdir()):
        raise BundleError(f"{payload.folder / BUILD_FILE} made nothing", hint="it must lay its files under $1")
    components = [asdict(component) for component in find_components(tree)]
    (scratch / "components.json").write_text(json.dumps(components), encoding="utf-8")
    _normalise(tree)
    _write_control(payload, tree)
    commands.run(
        ["dpkg-deb", *_PACK_OPTIONS, "--build", str(tree), f"{scratch}/package.deb"],
        doing=f"packing {payload.package}",
        hint="see that dpkg-deb is 1.21.18 or newer: dpkg-deb --version",
        environment={"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)},
    )
    shutil.rmtree(tree)


def _normalise(tree: Path) -> None:
    """Modes and dates that say nothing about the machine or the hour of the build."""
    for parent, folders, files in os.walk(tree):
        for name in [*folders, *files, "."]:
            path = Path(parent, name)
            if not path.is_symlink():
                executable = path.is_dir() or (os.access(path, os.X_OK) and path.stat().st_mode & 0o100)
                path.chmod(0o755 if executable else 0o644)
            os.utime(path, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH), follow_symlinks=False)


def _write_control(payload: Payload, tree: Path) -> None:
    size = sum(path.lstat().st_size for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    fields = {
        "Package": payload.package,
        "Version": payload.version,
        "Architecture": payload.architecture,
        "Maintainer": "Sitewright <sitewright@localhost>",
        "Installed-Size": str(size // 1024 + 1),
        "Depends": ", ".join(payload.depends),
        "Section": "misc",
        "Priority": "optional",
        "Description": payload.summary,
    }
    control = tree / "DEBIAN"
    control.mkdir(mode=0o755)
    text = "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
    (control / "control").write_text(text, encoding="utf-8")
    for path in (control / "control", control):
        os.utime(path, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))
