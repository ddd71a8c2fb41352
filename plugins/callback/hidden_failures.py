"""Write down what may be told of a failed task whose result is hidden by no_log."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: hidden_failures
type: aggregate
short_description: Tells host, task and exit code of failed tasks that hide their result
description:
  - A task with no_log that fails says nothing at all, not even its exit code, which is no secret.
  - Appends one JSON object per such failure to the file named by E(SITEWRIGHT_HIDDEN_FAILURES);
    does nothing without it.
requirements:
  - enabled by callbacks_enabled in ansible.cfg
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible ships no types
    """Listens to failures only."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "hidden_failures"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed on a host."""
        target = os.environ.get("SITEWRIGHT_HIDDEN_FAILURES")
        if target is None or ignore_errors or "censored" not in result._result:
            return
        record = {"host": result._host.get_name(), "task": result._task._uuid, "rc": _exit_code(result)}
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _exit_code(result: Any) -> int | None:
    """The command's exit code, and nothing else, out of what the API keeps back.

    The place differs by version of ansible-core: 2.21 keeps it in a private object, 2.19 and
    2.20 keep the raw result in `_return_data`. Elsewhere it would cost us the number, no more.
    """
    unified = getattr(result, "_CallbackTaskResult__utr", None)
    raw = getattr(result, "_return_data", None) or {}
    code = getattr(unified, "rc", raw.get("rc"))
    return code if isinstance(code, int) else None
