"""What is done before Ansible forks: it still fits Ansible's private parts, and changes no answer."""

from __future__ import annotations

import json
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
text = "{{ ports | length }}{{ ports | map('string') | join('+') }}{{ ports | select('odd') | list | to_json }}"
said = Templar(variables={"ports": [1, 2]}).template(trust_as_template(text))
print(json.dumps([own, said, len(searches)]))
"""


def test_jinjas_filters_are_not_searched_for_and_all_filters_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["packages_wanted", "21+2[1]", 0]
