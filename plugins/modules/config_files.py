#!/usr/bin/python
"""Write all files, directories and links of a role in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Several files, directories and links at once
description:
  - Writes each entry whole and atomically, after its own validation, and reports which ones changed.
    A role with six files pays for one trip to the host instead of six. Contents are rendered on the
    controller, for example with the V(ansible.builtin.template) lookup.
  - All contents are validated before the first file is replaced. Missing parent directories are made, 0755 root.
options:
  files:
    description: Entries in the order in which they are made.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Where., type: path, required: true}
      state:
        description:
          - What the entry is; V(absent) removes a file or link, and only an empty directory. V(existing) gives what
            is there its owner, group and mode, and makes nothing.
        type: str
        choices: [file, directory, link, absent, existing]
        default: file
      content: {description: The whole text of a file., type: str}
      target: {description: What a link points at., type: path}
      owner: {description: User., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode; by default 0644 for a file and 0755 for a directory., type: str}
      validate:
        description: Command that must accept the new file before it lands; V(%s) stands for its path.
        type: list
        elements: str
        default: []
      apply:
        description:
          - What makes another file of this one, after all files are written. It runs when V(result) is missing or older
            than this file, so that a run that was killed in between is repaired by the next; once for all entries
            with the same command. It must write its result, or the task fails.
        type: dict
        suboptions:
          argv: {description: Command., type: list, elements: str, required: true}
          result: {description: File that the command writes., type: path, required: true}
      show:
        description:
          - What a plan may show of the content. V(all) of it; V(masked), which is everything but what stands
            behind a word like password, secret, token, cookie or key, in the old as in the new text; or
            V(nothing) but that it changed.
          - By default V(all), and V(nothing) in a task with C(no_log).
        type: str
        choices: [all, masked, nothing]
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Configure | Ensure the files of the service
  sitewright.platform.config_files:
    files:
      - {path: /etc/demo, state: directory}
      - {path: /etc/demo/demo.conf, content: "{{ lookup('ansible.builtin.template', 'demo.conf.j2') }}"}
"""

RETURN = r"""
diff:
  description: Each file, before and after; hidden with the task's result, in the form that Ansible shows.
  returned: always
  type: list
changed_paths:
  description: What was (or would be) written.
  returned: always
  type: list
  elements: str
plan:
  description: In check mode, for the installer's plan, what would change, without a secret (see O(files[].show)).
  returned: in check mode
  type: dict
"""

import difflib
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MODES = {"file": "0644", "directory": "0755"}
HIDDEN = "[hidden]"
# What follows such a word on its line is not shown. That hides a few harmless words too, as in `tls-auth-clients yes`.
SECRET_WORD = re.compile(r"(?i)[\w.-]*(?:pass|secret|token|cookie|credential|private|auth|hash|key)[\w.-]*")


def current_text(path: Path) -> str | None:
    """The file's text, None when there is no regular file."""
    if not path.is_file() or path.is_symlink():
        return None
    return path.read_bytes().decode("utf-8", "surrogateescape")


def masked(line: str) -> str:
    """The line up to a word that announces a secret, and not what follows."""
    word = SECRET_WORD.search(line)
    return line if word is None else f"{line[: word.end()]} {HIDDEN}"


def told(entry: dict[str, Any], before: str | None, show: str) -> dict[str, Any]:
    """What a plan may tell of a file whose text would be another."""
    change: dict[str, Any] = {"kind": "file", "name": entry["path"]}
    if show == "nothing":
        return {**change, "note": "new, content hidden" if before is None else "changed, hidden"}
    old, new = (before or "").splitlines(), entry["content"].splitlines()
    lines = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    lines = [line for line in lines if not line.startswith("@@")]
    if show == "masked":
        lines = [masked(line) for line in lines]
    return {**change, "lines": lines, "note": "new" if before is None else "" if lines else "end of the last line"}


def validated(module: AnsibleModule, entry: dict[str, Any], text: str) -> Path:
    """Write the text beside its destination and let its own program judge it."""
    path = Path(entry["path"])
    handle, name = tempfile.mkstemp(dir=module.tmpdir, prefix=".config-files-", suffix=path.suffix)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
    if entry["validate"]:
        argv = [name if word == "%s" else word for word in entry["validate"]]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 - the role's own command
        if answer.returncode != 0:
            reason = (answer.stderr.strip() or answer.stdout.strip())[-800:].replace(name, entry["path"])
            module.fail_json(msg=f"{entry['path']}: {argv[0]} refuses the new file, nothing was replaced: {reason}")
    return Path(name)


def replace_link(module: AnsibleModule, entry: dict[str, Any]) -> bool:
    """Point a link at its target."""
    path = Path(entry["path"])
    if path.is_symlink() and str(path.readlink()) == entry["target"]:
        return False
    if not module.check_mode:
        fresh = path.with_name(f".{path.name}.sitewright")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(entry["target"])
        fresh.replace(path)
    return True


def remove(module: AnsibleModule, path: Path) -> bool:
    """Remove a file, a link or an empty directory."""
    if not path.is_symlink() and not path.exists():
        return False
    if not module.check_mode:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    return True


def without_content(entry: dict[str, Any]) -> dict[str, Any]:
    """What a plan may tell of an entry that is no file's text."""
    words = {"link": f"link to {entry['target']}", "directory": "directory", "absent": ""}
    if entry["state"] == "absent":
        return {"kind": "file", "name": entry["path"], "old": "there"}
    return {"kind": "file", "name": entry["path"], "new": words[entry["state"]]}


def attributes(module: AnsibleModule, entry: dict[str, Any]) -> bool:
    """Set owner, group and mode where they differ."""
    if not Path(entry["path"]).exists():
        return False
    arguments = {
        "path": entry["path"],
        "owner": entry["owner"],
        "group": entry["group"],
        "mode": entry["mode"] or MODES[entry["state"]],
    }
    return bool(module.set_fs_attributes_if_different(module.load_file_common_arguments(arguments), False))


def wished_attributes(entry: dict[str, Any]) -> str:
    """Owner, group and mode for a reader."""
    return f"{entry['owner']}:{entry['group']} {entry['mode'] or MODES[entry['state']]}"


def outdated(entry: dict[str, Any]) -> bool:
    """Whether what a command makes of a file is missing or older than it."""
    made, source = Path(entry["apply"]["result"]), Path(entry["path"])
    return not made.exists() or (source.exists() and made.stat().st_mtime_ns < source.stat().st_mtime_ns)


def apply(module: AnsibleModule, entries: list[dict[str, Any]], fresh: set[str]) -> list[dict[str, Any]]:
    """Make of the files what is made of them, and tell what was (or would be) made.

    Args:
        module: The module.
        entries: All entries; those without a command are passed over.
        fresh: Paths that were (or would be) written just now.
    """
    told_of: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if not entry["apply"]:
            continue
        argv, made = entry["apply"]["argv"], entry["apply"]["result"]
        if made in told_of or not (entry["path"] in fresh or outdated(entry)):
            continue
        told_of[made] = {"kind": "file", "name": made, "note": f"made anew by {Path(argv[0]).name}"}
        if module.check_mode:
            continue
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 - the role's own command
        said = (answer.stderr.strip() or answer.stdout.strip())[-800:]
        if answer.returncode != 0 or outdated(entry):
            module.fail_json(msg=f"{entry['path']}: {argv[0]} did not make {made} of it: {said or 'it said nothing'}")
    return list(told_of.values())


def main() -> None:
    """Entry point of the module."""
    entry_spec = {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["file", "directory", "link", "absent", "existing"], "default": "file"},
        "content": {"type": "str"},
        "target": {"type": "path"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str"},
        "validate": {"type": "list", "elements": "str", "default": []},
        "apply": {
            "type": "dict",
            "options": {
                "argv": {"type": "list", "elements": "str", "required": True},
                "result": {"type": "path", "required": True},
            },
        },
        "show": {"type": "str", "choices": ["all", "masked", "nothing"]},
    }
    required = [("state", "file", ["content"]), ("state", "link", ["target"]), ("state", "existing", ["mode"])]
    os.umask(0o022)  # whatever the login has: folders on the way to a service's files are for all
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": entry_spec,
                "required_if": required,
            }
        },
        supports_check_mode=True,
    )
    entries: list[dict[str, Any]] = module.params["files"]
    changed: list[str] = []
    diffs: list[dict[str, str]] = []
    plan: list[dict[str, Any]] = []
    fresh: dict[str, Path] = {}
    for entry in entries:
        if entry["state"] != "file":
            continue
        before = current_text(Path(entry["path"]))
        if before == entry["content"]:
            continue
        if not (module.check_mode and entry["validate"]):  # the program may not be installed yet
            fresh[entry["path"]] = validated(module, entry, entry["content"])
        changed.append(entry["path"])
        plan.append(told(entry, before, entry["show"] or ("nothing" if module.no_log else "all")))
        diffs.append(
            {
                "before": before or "",
                "after": entry["content"],
                "before_header": entry["path"],
                "after_header": entry["path"],
            }
        )
    for entry in entries:
        path = Path(entry["path"])
        if entry["state"] == "directory" and not path.is_dir():
            changed.append(entry["path"])
            plan.append(without_content(entry))
            if not module.check_mode:
                path.mkdir(parents=True)
        elif entry["state"] == "file" and entry["path"] in fresh and not module.check_mode:
            wished = entry["mode"] or MODES["file"]
            # Owner and mode first: a secret is never readable in between.
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh[entry["path"]].chmod(int(wished, 8))
            attributes(module, {**entry, "path": str(fresh[entry["path"]])})
            module.atomic_move(str(fresh[entry["path"]]), entry["path"], keep_dest_attrs=False)
        elif (entry["state"] == "link" and replace_link(module, entry)) or (
            entry["state"] == "absent" and remove(module, path)
        ):
            changed.append(entry["path"])
            plan.append(without_content(entry))
        if entry["state"] in (*MODES, "existing") and attributes(module, entry):
            if entry["path"] not in changed:
                plan.append({"kind": "permissions", "name": entry["path"], "new": wished_attributes(entry)})
            changed.append(entry["path"])
    made = apply(module, entries, set(changed))
    changed += [each["name"] for each in made]
    plan += made
    told_plan = {"plan": {"changes": plan}} if module.check_mode else {}
    module.exit_json(changed=bool(changed), changed_paths=sorted(set(changed)), diff=diffs, **told_plan)


if __name__ == "__main__":
    main()
