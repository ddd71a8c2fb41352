"""Which release of Sitewright this checkout is. The version stands in `pyproject.toml` and nowhere else."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GIT_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of Sitewright.

    Attributes:
        version: Its version.
        commit: The commit that is checked out, with `+` when files differ from it; empty without git.
    """

    version: str
    commit: str = ""

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.version} ({self.commit})" if self.commit else self.version

    def to_json(self) -> Mapping[str, str]:
        """As plain data."""
        return {"version": self.version, "commit": self.commit}


def read_version(root: Path) -> str:
    """The version of a checkout."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def read_release(root: Path) -> Release:
    """The release of a checkout, with its commit when git can tell it."""
    return Release(version=read_version(root), commit=_commit(root))


def _commit(root: Path) -> str:
    """The commit; empty in a copy without history, and where git does not answer."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    command = [git, "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=7", "--dirty=+"]
    try:
        said = subprocess.run(  # noqa: S603 - a fixed question about our own checkout
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
