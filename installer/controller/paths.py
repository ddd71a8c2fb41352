"""Where Sitewright keeps its things on the controller."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHECKOUT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Every folder the installer reads or writes, derived from three roots.

    Attributes:
        root: The checkout: roles, playbooks, inventories and this package.
        state: What this checkout did: venv, journals, bundle, rehearsals.
        cache: What can be made again at the price of time: base images, downloads.
    """

    root: Path
    state: Path
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Paths:
        """Take SITEWRIGHT_STATE and XDG_CACHE_HOME into account, else the usual places."""
        env = os.environ if environment is None else environment
        state = _absolute(env, "SITEWRIGHT_STATE", _CHECKOUT / ".sitewright")
        home = _absolute(env, "HOME", Path.home())
        cache = _absolute(env, "XDG_CACHE_HOME", home / ".cache")
        return cls(root=_CHECKOUT, state=state, cache=cache / "sitewright")

    @property
    def bundle(self) -> Path:
        """The bundle used when no other is named."""
        return self.state / "bundle"

    def bundle_or(self, named: Path | None) -> Path:
        """The bundle somebody named, else the usual one; absolute."""
        return (named or self.bundle).absolute()

    @property
    def base_images(self) -> Path:
        """Base images of rehearsal hosts, one folder per recipe."""
        return self.cache / "images"

    @property
    def downloads(self) -> Path:
        """Downloads that a bundle build may reuse."""
        return self.cache / "downloads"

    @property
    def rehearsals(self) -> Path:
        """All rehearsals of this checkout."""
        return self.state / "rehearsal"

    def site_state(self, site: str) -> Path:
        """Journal, facts and run-time files of a real site."""
        return self.state / "sites" / _plain_name(site)

    def rehearsal(self, site: str) -> Path:
        """Everything of a site's rehearsal: hosts, secrets, PKI and journal."""
        return self.rehearsals / _plain_name(site)


def _absolute(environment: Mapping[str, str], variable: str, otherwise: Path) -> Path:
    """The folder a variable names; empty counts as unset, a relative one is refused."""
    value = environment.get(variable, "")
    if not value:
        return otherwise
    path = Path(value)
    if not path.is_absolute():
        raise ConfigurationError(
            f"{variable} is not an absolute path: {value}",
            hint=f"set {variable} to a path that starts with /",
        )
    return path


def _plain_name(name: str) -> str:
    """A site's name used as a folder's name; what could leave the folder is refused."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise ConfigurationError(
            f"{name!r} cannot be the name of a site",
            hint="use letters, digits and hyphens, for example hospital-a",
        )
    return name
