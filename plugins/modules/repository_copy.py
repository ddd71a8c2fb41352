#!/usr/bin/python
"""Unpack a copy of the package repository, check it, and only then show it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told

DOCUMENTATION = r"""
module: repository_copy
short_description: A checked copy of a package repository, shown at once
description:
  - Unpacks an archive into a folder of its own, compares every file with the list of checksums in
    it and that list with the hash given, and then points the link V(current) at the new copy.
    Until then the copy served before stays in place, and it is kept for the way back.
  - The archive is removed at the end.
options:
  archive: {description: The archive on the host., type: path, required: true}
  root: {description: Folder of all copies., type: path, required: true}
  name: {description: Name of this copy., type: str, required: true}
  checksums_sha256:
    description: Hash of the list V(SHA256SUMS) in the archive.
    type: str
    required: true
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Publish | Check and show the copy
  sitewright.platform.repository_copy:
    archive: /srv/repository/new.tar
    root: /srv/repository
    name: 0123456789abcdef
    checksums_sha256: "{{ expected }}"
"""

RETURN = r"""
diff:
  description: The copy that is shown, in the form that Ansible shows.
  returned: always
  type: dict
removed:
  description: Older copies that were removed.
  returned: always
  type: list
  elements: str
"""

CHECKSUMS = "SHA256SUMS"
LINK = "current"


def sha256(path: Path) -> str:
    """The file's hash."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_checksums(path: Path) -> dict[str, str]:
    """Hash by name, as sha256sum writes them."""
    pairs = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


def find_fault(copy: Path, checksums_sha256: str) -> str:
    """What is wrong with the copy; empty when every byte is as it should be."""
    listing = copy / CHECKSUMS
    if not listing.is_file() or sha256(listing) != checksums_sha256:
        return f"{CHECKSUMS} is not the bundle's"
    wanted = read_checksums(listing)
    found = {str(Path(parent, name).relative_to(copy)) for parent, _, names in os.walk(copy) for name in names}
    for name in sorted(wanted.keys() ^ (found - {CHECKSUMS})):
        return f"{name} is {'missing' if name in wanted else 'not in ' + CHECKSUMS}"
    for name, digest in wanted.items():
        if sha256(copy / name) != digest:
            return f"{name} is not what {CHECKSUMS} says"
    return ""


def unpack(archive: Path, destination: Path) -> None:
    """Lay the archive's files down; nothing in it can leave the folder."""
    if destination.exists():
        shutil.rmtree(destination)
    destination.mkdir(mode=0o755)
    with tarfile.open(archive) as tar:
        tar.extractall(destination, filter="data")


def show(root: Path, name: str) -> str:
    """Point the link at the copy; return what it pointed at."""
    link, fresh = root / LINK, root / f".{LINK}"
    before = str(link.readlink()) if link.is_symlink() else ""
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)
    return before


def remove_others(root: Path, keep: set[str]) -> list[str]:
    """Remove copies, and what interrupted runs left, but those to keep."""
    removed = []
    for path in sorted(root.iterdir()):
        if path.name in keep or path.is_symlink():
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        removed.append(path.name)
    return removed


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "archive": {"type": "path", "required": True},
            "root": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "checksums_sha256": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    root, name = Path(module.params["root"]), module.params["name"]
    diff = diff_of([f"copy {name}"], str(root))
    if module.check_mode:
        copy = {"kind": "file", "name": str(root), "new": f"copy {name}", "note": "packages of the bundle"}
        module.exit_json(changed=True, removed=[], diff=diff, **told(module, changes=[copy]))
    fresh = root / f"{name}.partial"
    os.umask(0o022)
    unpack(Path(module.params["archive"]), fresh)
    fault = find_fault(fresh, module.params["checksums_sha256"])
    if fault:
        module.fail_json(msg=f"{fresh}: {fault}. The copy served before stays in place; run the same command again.")
    if (root / name).exists():
        shutil.rmtree(root / name)
    fresh.rename(root / name)
    before = show(root, name)
    module.exit_json(changed=True, removed=remove_others(root, {name, before}), diff=diff)


if __name__ == "__main__":
    main()
