"""What a module's documentation says of its options is what the module accepts, and all tell a diff."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in ROOT.glob("plugins/modules/[a-z]*.py"))
# They never change anything.
READERS = {"custom_certificates", "host_facts", "patroni_health", "rabbitmq_health", "redis_facts"}
# Every host runs these, most of them in every stage: what they imported from the collection would be sent to each host
# again by each stage (docs/decisions/README.md#collection).
EVERYWHERE = {"apt_sole_source", "config_files", "debian_packages", "host_certificates", "host_facts", "service_unit"}
COMPARED = ("type", "elements", "default", "choices", "required", "aliases")


class SpecificationError(Exception):
    """Carries what a module hands to Ansible out of its `main`."""


def specification(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The argument_spec that the module really uses."""
    module = importlib.import_module(f"plugins.modules.{name}")

    def record(*, argument_spec: dict[str, Any], **_: Any) -> None:
        raise SpecificationError(argument_spec)

    monkeypatch.setattr(module, "AnsibleModule", record)
    with pytest.raises(SpecificationError) as caught:
        module.main()
    found: dict[str, Any] = caught.value.args[0]
    return found


def documentation(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"plugins.modules.{name}")
    found: dict[str, Any] = yaml.safe_load(module.DOCUMENTATION)
    assert found["module"] == name
    for fragment in found.get("extends_documentation_fragment", []):
        shared = importlib.import_module(f"plugins.doc_fragments.{fragment.removeprefix('sitewright.platform.')}")
        options = yaml.safe_load(shared.ModuleDocFragment.DOCUMENTATION)["options"]
        assert options.keys().isdisjoint(found["options"]), f"{name} says again what {fragment} says"
        found["options"] |= options
    return found


def compared(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """The options in one form, whichever of the two sides they come from."""
    return {
        name: {
            **{key: sorted(option[key]) if key == "choices" else option[key] for key in COMPARED if option.get(key)},
            "type": option.get("type", "str"),
            "has default": option.get("default") is not None,
            nested and "options": compared(option[nested], nested) if nested in option else {},
        }
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_documented_options_are_the_accepted_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = compared(specification(name, monkeypatch), "options")
    assert compared(documentation(name).get("options") or {}, "suboptions") == accepted


@pytest.mark.parametrize("name", sorted(set(MODULES) - READERS))
def test_every_module_that_changes_something_returns_a_diff(name: str) -> None:
    module = importlib.import_module(f"plugins.modules.{name}")
    assert "diff" in yaml.safe_load(module.RETURN)
    assert "supports_check_mode=True" in Path(str(module.__file__)).read_text()


@pytest.mark.parametrize("name", sorted(EVERYWHERE))
def test_modules_that_run_everywhere_bring_nothing_along(name: str) -> None:
    assert "ansible_collections" not in (ROOT / f"plugins/modules/{name}.py").read_text()


def test_the_type_checker_knows_every_shared_file_by_its_installed_name() -> None:
    stubs = ROOT / "typings/ansible_collections/sitewright/platform/plugins/module_utils"
    shared = {path.stem for path in ROOT.glob("plugins/module_utils/[a-z]*.py")}
    assert {path.stem for path in stubs.glob("*.pyi")} == shared


def test_what_modules_share_knows_neither_the_installer_nor_the_controller() -> None:
    found = [path.name for path in ROOT.glob("plugins/module_utils/[a-z]*.py") if "from installer" in path.read_text()]
    assert found == []
