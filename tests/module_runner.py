"""Running an Ansible module in the tests as Ansible runs it: its arguments in, its result out."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.testing import patch_module_args


class ModuleFailedError(Exception):
    """The module ended with `fail_json`; the message is its own."""

    def __init__(self, result: dict[str, Any]) -> None:
        """Keep the whole result."""
        super().__init__(result["msg"])
        self.result = result


def run_module(name: str, arguments: Mapping[str, Any], *, check: bool = False) -> dict[str, Any]:
    """Run a module of the collection in this process.

    Args:
        name: Its short name.
        arguments: Its options.
        check: In check mode.

    Raises:
        ModuleFailedError: If it failed.
    """
    module = importlib.import_module(f"plugins.modules.{name}")
    out = io.StringIO()
    taken = patch_module_args({**arguments, "_ansible_check_mode": check})
    with taken, contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
    if result.get("failed"):
        raise ModuleFailedError(result)
    return result
