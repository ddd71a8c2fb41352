"""What is done before Ansible forks: it still fits Ansible's private parts, and changes no answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, because it changes Ansible's loaders.
PROGRAM = """
import json, pkgutil
from ansible.plugins.loader import callback_loader, filter_loader, init_plugin_loader
init_plugin_loader([])
from ansible.template import Templar, trust_as_template
callback_loader.get("head_start").v2_playbook_on_start(None)
searches = []
plain = pkgutil.iter_modules
pkgutil.iter_modules = lambda *args, **rest: searches.append(args) or plain(*args, **rest)
own = filter_loader.get("packages_wanted").ansible_name
full = filter_loader.get("sitewright.platform.packages_wanted").ansible_name
text = "{{ ports | length }}{{ ports | map('string') | join('+') }}{{ ports | select('odd') | list | to_json }}"
said = Templar(variables={"ports": [1, 2]}).template(trust_as_template(text))
print(json.dumps([own, full, said, len(searches)]))
"""


def test_jinjas_filters_are_not_searched_for_and_all_filters_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["packages_wanted", "packages_wanted", "21+2[1]", 0]


COLLECTIONS = """
import importlib, json, sys
from types import SimpleNamespace
from ansible.plugins.loader import callback_loader, init_plugin_loader, module_loader
init_plugin_loader()
from ansible_mitogen import planner
before, after = (SimpleNamespace(_extra_sys_paths=set()) for _ in range(2))
planner._load_collections(before)
callback_loader.get("head_start").v2_playbook_on_start(None)
package = "ansible_collections.sitewright.platform.plugins.modules" in sys.modules
planner.ansible.collections.list.list_collection_dirs = None  # whoever asks again fails
planner._load_collections(after)
print(json.dumps([package, before._extra_sys_paths == after._extra_sys_paths, len(after._extra_sys_paths)]))
"""


def test_the_collection_is_looked_for_once_and_found_where_it_was() -> None:
    environment = {**os.environ, "ANSIBLE_STRATEGY": "mitogen_linear"}
    done = subprocess.run(
        [sys.executable, "-c", COLLECTIONS], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    package, same, count = json.loads(done.stdout.splitlines()[-1])
    assert (package, same) == (True, True)
    assert count >= 1
