"""Where things are kept, and what may not be used as a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.controller.paths import Paths
from installer.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_in_the_checkout_unless_told_otherwise() -> None:
    paths = Paths.from_environment({"HOME": "/home/ada"})
    assert paths.root == ROOT
    assert paths.state == ROOT / ".sitewright"
    assert paths.cache == Path("/home/ada/.cache/sitewright")
    assert paths.rehearsal("clinic") == ROOT / ".sitewright/rehearsal/clinic"
    assert paths.site_state("clinic") == ROOT / ".sitewright/sites/clinic"


def test_state_and_cache_follow_the_environment() -> None:
    paths = Paths.from_environment({"SITEWRIGHT_STATE": "/srv/state", "XDG_CACHE_HOME": "/srv/cache"})
    assert paths.bundle == Path("/srv/state/bundle")
    assert paths.base_images == Path("/srv/cache/sitewright/images")


def test_an_empty_variable_counts_as_unset() -> None:
    assert Paths.from_environment({"SITEWRIGHT_STATE": "", "HOME": "/root"}).state == ROOT / ".sitewright"


def test_a_relative_state_folder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SITEWRIGHT_STATE is not an absolute path"):
        Paths.from_environment({"SITEWRIGHT_STATE": "state", "HOME": "/root"})


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_a_site_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name of a site"):
        Paths.from_environment().rehearsal(name)
