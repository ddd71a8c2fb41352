"""What the documentation says is what the code reads."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from installer.checks.audit.catalog import checks as audit_checks
from installer.checks.preflight import CHECKS
from installer.checks.verify import PARTS
from installer.checks.verify import catalog as verification
from installer.manifests import load_manifests
from installer.operations import reference
from installer.services import known_services
from installer.site import load_site

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "inventories").rglob("*.yml"))]
# A waiver as an example shows it, in a page or behind the `#` of an inventory.
WAIVERS = [
    (page, found)
    for page in PAGES
    for found in re.findall(r"\{[^{}]*\bcheck:[^{}]*\breason:[^{}]*\}", page.read_text())
]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


@pytest.mark.parametrize("page", reference.pages(), ids=lambda page: page.name)
def test_generated_page_is_up_to_date(page: Path) -> None:
    assert page.read_text() == reference.pages()[page], "run: python -m installer.operations.reference"


@pytest.mark.parametrize("role", ROLES)
def test_role_has_what_every_role_has(role: str) -> None:
    folder = ROOT / "roles" / role
    for needed in ("README.md", "meta/main.yml", "meta/argument_specs.yml", "meta/sitewright.yml", "tasks/main.yml"):
        assert (folder / needed).is_file(), needed
    assert (ROOT / "molecule" / role / "molecule.yml").is_file()


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_say_the_same(role: str) -> None:
    folder = ROOT / "roles" / role
    specs = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    options = {name: option for entry in specs.values() for name, option in (entry.get("options") or {}).items()}
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text()) or {}
    specified = {name: option["default"] for name, option in options.items() if "default" in option}
    assert defaults == specified
    for name in options.keys() - defaults.keys():
        assert options[name].get("required") or "default" not in options[name], name


@pytest.mark.parametrize("role", ROLES)
def test_every_listener_without_tls_has_a_reason(role: str) -> None:
    for port in load_manifests(ROOT)[role].ports:
        assert port.tls == "1.3" or len(port.reason) > 20, port


@pytest.mark.parametrize("role", ROLES)
def test_secret_variables_are_hidden(role: str) -> None:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    for entry in specs.values():
        for name, option in (entry.get("options") or {}).items():
            if name.endswith(("_password", "_cookie", "_passphrase")):
                assert option.get("no_log") is True, name


@pytest.mark.parametrize(("page", "example"), WAIVERS, ids=lambda value: getattr(value, "name", None))
def test_waiver_shown_as_an_example_is_one_that_a_site_takes(page: Path, example: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(ROOT / "inventories" / "hospital-a", site)
    values = site / "group_vars" / "all" / "site.yml"
    content = yaml.safe_load(values.read_text())
    content["sitewright"]["waivers"] = [yaml.safe_load(example)]
    values.write_text(yaml.safe_dump(content))
    manifests, day = load_manifests(ROOT), date(2026, 12, 1)
    loaded = load_site(site, manifests=manifests, rehearsal=False, check_ids={*CHECKS, *audit_checks()}, today=day)
    assert [waiver.check for waiver in loaded.waivers] == [yaml.safe_load(example)["check"]], page


def test_documentation_and_inventory_both_show_a_waiver() -> None:
    assert {page.suffix for page, _ in WAIVERS} == {".md", ".yml"}


def test_every_check_of_a_verification_is_in_its_catalog_and_in_the_documentation() -> None:
    sources = [
        *(set((ROOT / "installer" / "checks" / "verify").glob("*.py")) - {Path(verification.__file__)}),
        *(ROOT / "installer" / "services" / "health").glob("*.py"),
    ]
    identifier = rf'"((?:{"|".join(all_check_names())})\.[a-z_]+)"'
    used = {found for source in sources for found in re.findall(identifier, source.read_text())}
    used -= {f"{name}.answers" for name in all_check_names()}
    known = verification.checks()
    assert used == {check for check in known if not check.endswith(".answers")}
    assert {f"{name}.answers" for name in all_check_names()} == {check for check in known if check.endswith(".answers")}
    page = (ROOT / "docs" / "checks.md").read_text()
    assert not [check for check in known if f"| `{check}` |" not in page]


def all_check_names() -> set[str]:
    """First parts of the ids, as `verify` asks them."""
    services = {health.name for service in known_services().values() for health in service.health}
    return services | set(PARTS)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_pages_leads_somewhere() -> None:
    folders = [ROOT, *(path for path in (ROOT / "docs").rglob("*") if path.is_dir()), *(ROOT / "roles").glob("*")]
    broken = []
    for page in (page for folder in folders for page in sorted(folder.glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
            name, _, anchor = target.partition("#")
            to = (page.parent / name).resolve() if name else page
            if not to.exists() or (anchor and anchor not in _anchors(to)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
