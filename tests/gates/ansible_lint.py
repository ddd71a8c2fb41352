"""Run ansible-lint, which then checks the syntax of a playbook once and not once for each that imports it.

It remembers the answer by the path as it was written, and `molecule/etcd/../../playbooks/install-etcd.yml` is another
one than `molecule/gateway/../../playbooks/install-etcd.yml`: 60 checks of 14
playbooks. Among the fast tests it took 116 s, and takes 75 to 83 s.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible_compat.runtime import Runtime
from ansiblelint.__main__ import main

_by_path_as_written = Runtime.has_playbook


def _by_real_path(self: Any, playbook: str, *, basedir: Path | None = None) -> bool:
    """Take the place of `Runtime.has_playbook`."""
    path = (basedir or Path()) / playbook
    if not path.exists():  # a playbook of a collection, by its name
        return bool(_by_path_as_written(self, playbook, basedir=basedir))
    return bool(_by_path_as_written(self, str(path.resolve())))


if __name__ == "__main__":
    Runtime.has_playbook = _by_real_path  # type: ignore[method-assign] # the package has no setting for it
    sys.exit(main())
