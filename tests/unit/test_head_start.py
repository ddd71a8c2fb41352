"""What is done before Ansible forks: it still fits Ansible's private parts, and changes no answer."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_connection: local, ansible_python_interpreter: /usr/bin/python3}
  tasks:
    - sitewright.platform.patroni_health: {members: [db1]}
      check_mode: true
"""


@pytest.mark.parametrize("strategy", ["linear", "mitogen_linear"])
def test_what_modules_share_reaches_the_host_with_both_strategies(strategy: str, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    mitogen = importlib.util.find_spec("ansible_mitogen")
    assert mitogen is not None
    assert mitogen.origin is not None
    environment = {
        **os.environ,
        "ANSIBLE_STRATEGY": strategy,
        "ANSIBLE_STRATEGY_PLUGINS": str(Path(mitogen.origin).parent / "plugins/strategy"),
        "ANSIBLE_HOME": str(tmp_path),
    }
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(tmp_path / "play.yml")]
    done = subprocess.run(argv, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cannot detect version" not in done.stderr  # Mitogen looked through all collections
