"""Do once, before Ansible forks, what each of its workers would otherwise do again."""

from __future__ import annotations

import copy
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ansible import constants
from ansible._internal._task import UnifiedTaskResult
from ansible._internal._templating._jinja_bits import _BUILTIN_FILTERS, _BUILTIN_TESTS
from ansible.module_utils._internal._json._profiles import _module_legacy_m2c  # noqa: F401 - loaded for the workers
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import action_loader, filter_loader, lookup_loader, module_loader, test_loader

# Some of it is for the filters, which import it in each worker anew.
from installer.manifests import certificates, known_manifests, requirements, traffic  # noqa: F401 - loaded for the workers
from installer.services import hosts, known_services  # noqa: F401 - loaded for the workers

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCUMENTATION = """
name: head_start
type: aggregate
short_description: Makes Ansible's workers cheap
description:
  - Ansible forks a worker for every task on every host. Each of them loads every file of filters again, and copies
    all variables of its host, facts included, for every template it looks up. Measured, the first was two thirds of
    a worker's time in the stage certificates, the second half of it in the stage base.
  - A worker also reads the roles' manifests, works out of type hints how a result is written, and looks for Jinja's
    own filters in every file of Ansible's.
  - It imports the collection to find one of its modules by the full name, and Mitogen's workers read the descriptions
    of all collections for each task, 8 ms together.
  - Mitogen ties all workers to one processor when the controller has two or three; here the kernel places them.
requirements:
  - enabled by callbacks_enabled in ansible.cfg
"""


_COLLECTION: Final = "sitewright.platform"
_ROLES: Final = Path(__file__).resolve().parents[2] / "roles"
_FILTERS: Final = Path(__file__).resolve().parents[1] / "filter"
_MODULES: Final = _FILTERS.with_name("modules")


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible ships no types
    """Works when a playbook begins and is silent from then on."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "head_start"
    CALLBACK_NEEDS_ENABLED = True
    _done = False

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002 - Ansible calls it so
        """A playbook begins; its workers are forked later."""
        if not type(self)._done:  # one process runs many playbooks
            type(self)._done = True
            _load_plugins()
            _know_the_collection()
            _know_the_roles_variables()
            _answer_what_is_cached()
            _copy_variables_flatly()
            if constants.DEFAULT_STRATEGY.startswith("mitogen"):
                _let_the_kernel_place_workers()
                _do_not_look_for_collections()
                _compile_each_file_once()


def _load_plugins() -> None:
    for loader, builtins in ((filter_loader, _BUILTIN_FILTERS), (test_loader, _BUILTIN_TESTS)):
        loader.get("defined")  # the first name asked for makes the loader read all its files
        _do_not_search(loader, frozenset(builtins) - loader._cached_non_collection_wrappers.keys())
    for name in ("file", "template"):
        lookup_loader.get(f"ansible.builtin.{name}", class_only=True)
    for name in ("normal", "assert", "validate_argument_spec"):
        action_loader.get(f"ansible.legacy.{name}", class_only=True)


def _know_the_collection() -> None:
    names = [f"{_COLLECTION}.{path.stem}" for path in _MODULES.glob("[a-z]*.py")]
    for loader in (module_loader, action_loader):  # an action of that name is looked for as well, and there is none
        _remember(loader, names)
    # The roles call the collection's filters by their full names; they are loaded already, by their short ones.
    known = filter_loader._cached_non_collection_wrappers
    for name, plugin in list(known.items()):
        path = getattr(plugin, "_original_path", None)
        if path and Path(path).parent.resolve() == _FILTERS:
            known[f"{_COLLECTION}.{name}"] = plugin


def _know_the_roles_variables() -> None:
    # What each role's check of its variables would read again.
    name = f"{_COLLECTION}.unknown_variables"
    _remember(lookup_loader, [name])
    lookup = sys.modules[lookup_loader.get(name, class_only=True).__module__]
    for role in _ROLES.glob("*/meta/argument_specs.yml"):
        lookup.options(str(role.parents[1]))


def _remember(loader: Any, names: Iterable[str]) -> None:
    # A worker looks up a module four times; of a collection's it reads the routing and asks the disk each time.
    search = loader.find_plugin_with_context
    known = {name: search(name) for name in names}

    def find(name: str, mod_type: str = "", *args: Any, **rest: Any) -> Any:
        return search(name, mod_type, *args, **rest) if mod_type or name not in known else known[name]

    loader.find_plugin_with_context = find


def _do_not_search(loader: Any, names: frozenset[str]) -> None:
    # For what is Jinja's own, like `length`, each worker looks through a whole collection before it asks Jinja.
    search = loader.get

    def get(name: str, *args: Any, **rest: Any) -> Any:
        return None if name in names else search(name, *args, **rest)

    loader.get = get


def _answer_what_is_cached() -> None:
    known_manifests()
    known_services()
    for from_module in (True, False):
        UnifiedTaskResult.get_result_key_to_resolved_field_mapping(source_is_module=from_module)


def _copy_variables_flatly() -> None:
    # The lookup copies deeply to add a few names at the top, which a flat copy does as well; our templates
    # change no variable. The template action copies flatly, too.
    template = lookup_loader.get("ansible.builtin.template", class_only=True)
    vars(sys.modules[template.__module__])["deepcopy"] = copy.copy


def _let_the_kernel_place_workers() -> None:
    from ansible_mitogen import affinity  # noqa: PLC0415 - not installed with the stock strategy

    affinity.policy = affinity.Policy()


def _do_not_look_for_collections() -> None:
    # Mitogen adds the folders of all collections to where modules' own imports are looked for. Ours are found without:
    # the collection lies among the packages of this Python.
    from ansible_mitogen import planner  # noqa: PLC0415 - not installed with the stock strategy

    planner._load_collections = lambda invocation: None  # noqa: ARG005 - called with it


def _compile_each_file_once() -> None:
    # Mitogen compiles a module and all that it imports to see what the host needs: `ansible.module_utils.basic` and
    # what that imports once for each of our modules, 60 ms every time, while the module's first host waits.
    from ansible_mitogen import module_finder  # noqa: PLC0415 - not installed with the stock strategy

    module_finder.compile = functools.lru_cache(maxsize=None)(compile)
