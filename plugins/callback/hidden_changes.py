"""Write down what may be told of a change whose result is hidden by no_log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: hidden_changes
type: aggregate
short_description: Tells what would change in tasks that hide their result
description:
  - A task with no_log says nothing of what it would change, though most of that is no secret;
    ansible-runner's events do not even say whether it would.
  - Modules put what they guarantee to be free of secrets under the key C(plan) of their result. This
    appends that key, whether anything would change, and nothing else of a hidden result, as one JSON
    object per task and host to the file named by E(SITEWRIGHT_HIDDEN_CHANGES); it does nothing without it.
requirements:
  - enabled by callbacks_enabled in ansible.cfg
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible ships no types
    """Listens to tasks that went well."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "hidden_changes"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task did its work on a host, or would have."""
        target = os.environ.get("SITEWRIGHT_HIDDEN_CHANGES")
        if target is None or not _is_hidden(result._result):
            return
        plans, changed = [plan for plan in _plans(result) if plan], bool(result.is_changed())
        if plans or changed:
            names = {"host": result._host.get_name(), "task": result._task._uuid}
            record = {**names, "changed": changed, "plans": plans}
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, default=str) + "\n")


def _is_hidden(shown: Any) -> bool:
    """Whether the API keeps the result, or that of a loop's rounds, back."""
    rounds = [item for item in shown.get("results") or () if isinstance(item, dict)]
    return any("censored" in one for one in (shown, *rounds))


def _plans(result: Any) -> list[Any]:
    """The key `plan` of the result, or of each round of a loop, out of what the API keeps back.

    The place differs by version of ansible-core: 2.21 keeps it in a private object, 2.19 and
    2.20 keep the raw result in `_return_data`. Elsewhere the plan would only call the change
    hidden, and the contract test of this plugin would fail.
    """
    unified = getattr(result, "_CallbackTaskResult__utr", None)
    if unified is not None:
        rounds = [unified] if unified.loop_results is None else unified.loop_results
        return [one.result_data.get("plan") for one in rounds]
    raw = getattr(result, "_return_data", None) or {}
    rounds = raw.get("results") or [raw]
    return [one.get("plan") for one in rounds if isinstance(one, dict)]
