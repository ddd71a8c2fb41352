#!/usr/bin/python
"""Make one source of packages the only one apt knows."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: apt_sole_source
short_description: One source of packages, and no other
description:
  - Writes apt's files for the source, moves every other source aside and fetches the package list,
    each only where something differs, all in one trip to the host.
  - Other sources are moved, not removed, so that they can be put back; a name that is taken there
    gets a number.
options:
  files:
    description: Files of the source (source, pin, settings), whole.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Where., type: path, required: true}
      content: {description: The whole text., type: str, required: true}
  keep:
    description: Names of source files that stay, besides those written here.
    type: list
    elements: str
    default: []
  set_aside_directory:
    description: Where other sources go.
    type: path
    required: true
  list_file:
    description: Signed package list as apt keeps it after fetching.
    type: path
    required: true
  list_sha256:
    description: Hash of the list the source has now; another one on the host is fetched anew.
    type: str
    required: true
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Client | Ensure the site's repository is the only source
  sitewright.platform.apt_sole_source:
    files:
      - path: /etc/apt/sources.list.d/site.sources
        content: "{{ lookup('ansible.builtin.template', 'site.sources.j2') }}"
    set_aside_directory: /etc/apt/set-aside
    list_file: /var/lib/apt/lists/repo.example:8543_dists_stable_InRelease
    list_sha256: "{{ expected }}"
"""

RETURN = r"""
diff:
  description: Each source that changed, in the form that Ansible shows.
  returned: always
  type: dict
changed_paths:
  description: Files that were (or would be) written.
  returned: always
  type: list
  elements: str
set_aside:
  description: Sources that were (or would be) moved.
  returned: always
  type: list
  elements: str
fetched:
  description: Whether the package list was (or would be) fetched.
  returned: always
  type: bool
"""

APT = Path("/etc/apt")
UPDATE = ["apt-get", "update", "--quiet=2", "--option=APT::Update::Error-Mode=any", "--option=DPkg::Lock::Timeout=120"]


def other_sources(apt: Path, keep: set[str]) -> list[Path]:
    """Every file apt reads sources from, but those to keep."""
    parts = apt / "sources.list.d"
    found = [apt / "sources.list", *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]
    return [path for path in found if path.is_file() and path.name not in keep]


def free_name(directory: Path, name: str) -> Path:
    """A path in the directory that does not exist yet."""
    candidate, number = directory / name, 1
    while candidate.exists():
        candidate, number = directory / f"{name}.{number}", number + 1
    return candidate


def differs(path: Path, content: str) -> bool:
    """Whether the file is missing or says something else."""
    return not path.is_file() or path.read_text(encoding="utf-8", errors="surrogateescape") != content


def sha256(path: Path) -> str:
    """The file's hash, empty when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def write(module: AnsibleModule, path: Path, content: str) -> None:
    """Replace the file at once."""
    handle, name = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)
    Path(name).chmod(0o644)
    module.atomic_move(name, str(path))


def fetch(module: AnsibleModule) -> None:
    """Let apt fetch and check the package list; what it refuses, or another list, ends the task."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    answer = subprocess.run(  # noqa: S603 - no shell, a constant command
        UPDATE, capture_output=True, text=True, check=False, env=environment
    )
    if answer.returncode != 0:
        reason = " ".join((answer.stderr.strip() or answer.stdout.strip()).split())[-800:]
        module.fail_json(msg=f"apt refuses the site's repository or cannot reach it: {reason}")
    if sha256(Path(module.params["list_file"])) != module.params["list_sha256"]:
        module.fail_json(
            msg="the repository host serves another bundle than this one; run its stage first, then this one"
        )


def main() -> None:
    """Entry point of the module."""
    file_spec = {"path": {"type": "path", "required": True}, "content": {"type": "str", "required": True}}
    os.umask(0o022)  # whatever the login has: folders on the way to a service's files are for all
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": file_spec},
            "keep": {"type": "list", "elements": "str", "default": []},
            "set_aside_directory": {"type": "path", "required": True},
            "list_file": {"type": "path", "required": True},
            "list_sha256": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = {Path(entry["path"]): entry["content"] for entry in module.params["files"]}
    stale = [path for path, content in wanted.items() if differs(path, content)]
    others = other_sources(APT, {path.name for path in wanted} | set(module.params["keep"]))
    outdated = bool(stale) or sha256(Path(module.params["list_file"])) != module.params["list_sha256"]
    if not module.check_mode:
        for path in stale:
            write(module, path, wanted[path])
        aside = Path(module.params["set_aside_directory"])
        for path in others:
            aside.mkdir(mode=0o755, exist_ok=True)
            path.rename(free_name(aside, path.name))
        if outdated:
            fetch(module)
    away = f"set aside in {module.params['set_aside_directory']}"
    changes = [
        *({"kind": "file", "name": str(path), "note": "source of packages"} for path in stale),
        *({"kind": "file", "name": str(path), "new": away} for path in others),
        *([{"kind": "object", "name": "list of packages", "new": "read again"}] if outdated else []),
    ]
    module.exit_json(
        changed=bool(stale or others or outdated),
        changed_paths=[str(path) for path in stale],
        set_aside=[str(path) for path in others],
        fetched=outdated,
        diff={"before": "", "after": "".join(f"{change['name']} {change.get('new', '')}\n" for change in changes)},
        **({"plan": {"changes": changes}} if module.check_mode else {}),
    )


if __name__ == "__main__":
    main()
