"""Do once, before Ansible forks, what each of its workers would otherwise do again."""

from __future__ import annotations

import copy
import sys
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, lookup_loader, test_loader

DOCUMENTATION = """
name: head_start
type: aggregate
short_description: Makes Ansible's workers cheap
description:
  - Ansible forks a worker for every task on every host. Each of them loads every file of filters again, and copies
    all variables of its host, facts included, for every template it looks up. Measured, the first was two thirds of
    a worker's time in the stage certificates, the second half of it in the stage base.
  - Mitogen ties all workers to one processor when the controller has two or three; here the kernel places them.
requirements:
  - enabled by callbacks_enabled in ansible.cfg
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible ships no types
    """Works when a playbook begins and is silent from then on."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "head_start"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002 - Ansible calls it so
        """A playbook begins; its workers are forked later."""
        # The first name asked for makes a loader read all its files.
        filter_loader.get("to_json")
        test_loader.get("defined")
        # The lookup copies deeply to add a few names at the top, which a flat copy does as well; our templates
        # change no variable. The template action copies flatly, too.
        template = lookup_loader.get("ansible.builtin.template", class_only=True)
        vars(sys.modules[template.__module__])["deepcopy"] = copy.copy
        if constants.DEFAULT_STRATEGY.startswith("mitogen"):
            from ansible_mitogen import affinity  # noqa: PLC0415 - not installed with the stock strategy

            affinity.policy = affinity.Policy()
