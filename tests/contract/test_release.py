"""The release's name is the same wherever a person writes it."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from installer.controller.release import read_version

ROOT = Path(__file__).resolve().parents[2]
VERSION = read_version(ROOT)


def test_the_changelog_begins_with_what_this_checkout_is() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest, *older = re.findall(r"^## (.*)$", text, re.MULTILINE)
    if ".dev" in VERSION:
        assert newest == "Unreleased"
    else:
        assert re.fullmatch(rf"{re.escape(VERSION)} \(\d{{4}}-\d{{2}}-\d{{2}}\)", newest)
    for section in older:
        assert re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)", section), section


def test_the_licence_is_the_one_that_roles_name() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    named = {
        yaml.safe_load(file.read_text(encoding="utf-8"))["galaxy_info"]["license"]
        for file in ROOT.glob("roles/*/meta/main.yml")
    }
    assert named == {"Apache-2.0"}


def test_the_collection_has_the_same_version_in_its_own_spelling() -> None:
    collection = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert collection["version"] == VERSION.replace(".dev", "-dev")
