#!/usr/bin/python
"""Bring Debian packages to exact versions, also where an interrupted run stopped half way."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: debian_packages
short_description: Debian packages are installed in the versions given, and none of their services started by that
description:
  - Asks dpkg what is there, which takes hundredths of a second, and calls apt-get only for what is missing or older
    than it should be, each with its exact version; a package that is as it should be is never named to apt-get.
  - Nothing is ever downgraded. A package newer than wanted stays, and a warning names it.
  - Behind the C(+) of a C(sitewright-) package stands the digest of its content, which has no order. Of two that
    differ only there none is newer; the wanted one is brought.
  - Recommended packages stay away, changed configuration files stay as they are.
  - Packages must not start services before they are configured; a policy file sees to that while
    packages are installed.
  - In check mode it tells what would change without asking any package list, so it works on a host
    that has none yet.
  - apt-get goes on when the connection breaks. The next run waits for it, finishes what a dead one
    left half configured, and removes the policy file it left.
options:
  name:
    description: Packages that must be installed, without versions.
    type: list
    elements: str
    required: true
  versions:
    description:
      - The version of each package, with those the named ones depend on. What of it is installed is brought to its
        version; what is not installed is installed only when O(name) says so.
      - Of a package that does not stand here any version will do.
    type: dict
    default: {}
  upgrade:
    description: Packages of O(versions) that may be upgraded; without it all of them. The others are only reported.
    type: list
    elements: str
  lock_timeout_seconds:
    description: How long to wait for another apt or dpkg.
    type: int
    default: 300
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Install | Ensure the packages
  sitewright.platform.debian_packages:
    name: [redis-server, redis-sentinel]

- name: Install | Ensure the packages in the versions of the site's bundle
  sitewright.platform.debian_packages:
    name: [redis-server, redis-sentinel]
    versions: {redis-server: "5:8.0.5-1", redis-sentinel: "5:8.0.5-1", redis-tools: "5:8.0.5-1"}
"""

RETURN = r"""
missing:
  description: Packages that were (or in check mode are) not installed.
  returned: always
  type: list
  elements: str
older:
  description: Packages that were (or in check mode are) older than wanted and are upgraded here.
  returned: always
  type: list
  elements: dict
  sample: [{name: redis-server, installed: "5:8.0.2-1", wanted: "5:8.0.5-1"}]
kept:
  description: Packages older than wanted that O(upgrade) leaves to somebody else.
  returned: always
  type: list
  elements: dict
newer:
  description: Packages newer than wanted; they stay.
  returned: always
  type: list
  elements: dict
repaired:
  description: Whether an interrupted installation was finished first.
  returned: always
  type: bool
diff:
  description: The packages that change with their versions, before and after, a line each.
  returned: always
  type: dict
"""

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = (
    "#!/bin/sh\n# Sitewright installs packages just now; it starts services when they are configured.\nexit 101\n"
)
LOCK = Path("/var/lib/dpkg/lock-frontend")
UPDATES = Path("/var/lib/dpkg/updates")
LOG = Path("/run/sitewright-packages.log")
KEEP_FILES = ["--force-confdef", "--force-confold"]
ENVIRONMENT = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
PAYLOADS = "sitewright-"
ABSENT = {"not-installed", "config-files"}

Change = dict[str, str]


class Found:
    """What dpkg says of the packages, held against what is wanted of them."""

    def __init__(self, names: list[str], versions: dict[str, str]) -> None:
        """Ask dpkg once; versions are compared only where they differ."""
        states = package_states([*names, *(package for package in versions if package not in names)])
        installed = {package: version for package, (status, version) in states.items() if status == "installed"}
        self.installed = installed
        self.missing = [name for name in names if states.get(name, ("not-installed", ""))[0] in ABSENT]
        # Unpacked and not configured, whoever asked for it: nothing else can be installed before.
        self.broken = [package for package, (status, _) in states.items() if status not in {"installed", *ABSENT}]
        other = [
            {"name": package, "installed": installed[package], "wanted": version}
            for package, version in versions.items()
            if package in installed and installed[package] != version
        ]
        self.older = [
            change for change in other if is_rebuilt(change) or is_older(change["installed"], change["wanted"])
        ]
        self.newer = [change for change in other if change not in self.older]


def package_states(names: list[str]) -> dict[str, tuple[str, str]]:
    """Status and version of those of the packages that dpkg knows of."""
    answer = subprocess.run(  # noqa: S603 - no shell; the names come from a role
        ["/usr/bin/dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status} ${Version}\n", "--", *names],
        capture_output=True,
        text=True,
        check=False,  # it complains of every package it has never heard of, which is no error here
    )
    lines = [line.split(" ") for line in answer.stdout.splitlines()]
    return {package: (status, version) for package, status, version in lines}


def is_older(version: str, than: str) -> bool:
    """Whether dpkg sorts a version before another."""
    argv = ["/usr/bin/dpkg", "--compare-versions", version, "lt", than]
    return subprocess.run(argv, check=False).returncode == 0  # noqa: S603 - no shell


def is_rebuilt(change: Change) -> bool:
    """Whether a payload of ours differs only in the digest of its content, which has no order."""
    plain = {change[key].partition("+")[0] for key in ("installed", "wanted")}
    return change["name"].startswith(PAYLOADS) and len(plain) == 1


def is_half_done() -> bool:
    """Whether dpkg was killed between unpacking and configuring something."""
    journal = UPDATES.is_dir() and any(UPDATES.iterdir())
    audit = subprocess.run(["/usr/bin/dpkg", "--audit"], capture_output=True, text=True, check=False)
    return journal or bool(audit.stdout.strip())


def wait_for_others(module: AnsibleModule) -> None:
    """Wait until no other apt or dpkg works, for example one whose installer was killed."""
    deadline = time.monotonic() + module.params["lock_timeout_seconds"]
    with LOCK.open("w") as stream:
        while True:
            try:
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    module.fail_json(msg=f"another apt or dpkg holds {LOCK}; see what it does: fuser -v {LOCK}")
                time.sleep(0.5)
            else:
                return


def work(module: AnsibleModule, argv: list[str]) -> None:
    """Run a program to its end even if nobody waits for it any more."""
    with LOG.open("w+", encoding="utf-8") as log:
        child = subprocess.Popen(  # noqa: S603 - no shell; the arguments are ours and a role's
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        code = child.wait()
        log.seek(0)
        lines = [line.strip() for line in log if line.strip()]
    if code != 0:
        errors = [line for line in lines if line.startswith(("E:", "dpkg: error"))] or lines[-5:]
        module.fail_json(msg=f"{argv[0]} could not install packages: {' '.join(errors)[-1500:]}", log=lines[-40:])


def hold_services() -> bool:
    """Put our policy in place; false when the host has one of its own, which is left alone."""
    if POLICY.exists() and POLICY.read_text(encoding="utf-8") != POLICY_TEXT:
        return False
    POLICY.write_text(POLICY_TEXT, encoding="utf-8")
    POLICY.chmod(0o755)
    return True


def is_left_over() -> bool:
    """Whether a run before this one died while packages were installed."""
    return POLICY.is_file() and POLICY.read_text(encoding="utf-8") == POLICY_TEXT


def install(module: AnsibleModule, packages: list[str], *, rebuilt: bool) -> bool:
    """Finish what is half done, then install; true if there was something to finish.

    Args:
        module: The module.
        packages: As apt-get wants them, `name` or `name=version`.
        rebuilt: One of them is a payload whose digest dpkg may take for an earlier version.
    """
    wait_for_others(module)
    ours = hold_services()
    try:
        half_done = is_half_done()
        if half_done:
            work(module, ["dpkg", "--configure", "--pending", *KEEP_FILES])
        options = ["--yes", "--quiet=2", "--no-install-recommends"]
        options += [f"--option=DPkg::Options::={option}" for option in KEEP_FILES]
        options += [f"--option=DPkg::Lock::Timeout={module.params['lock_timeout_seconds']}"]
        if rebuilt:
            options.append("--allow-downgrades")
        if packages:
            work(module, ["apt-get", "install", *options, "--", *packages])
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
    return half_done


def describe(packages: list[str], versions: dict[str, str]) -> str:
    """Packages with their versions, a line each."""
    return "".join(f"{name} {versions[name]}\n" for name in sorted(packages) if name in versions)


def main() -> None:
    """Entry point of the module."""
    os.umask(0o022)  # whatever the login has: folders on the way to a service's files are for all
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "versions": {"type": "dict", "default": {}},
            "upgrade": {"type": "list", "elements": "str"},
            "lock_timeout_seconds": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    names: list[str] = list(dict.fromkeys(module.params["name"]))
    versions: dict[str, str] = module.params["versions"]
    found = Found(names, versions)
    upgrade = module.params["upgrade"]
    older = [change for change in found.older if upgrade is None or change["name"] in upgrade]
    touched = [*found.missing, *found.broken, *(change["name"] for change in older)]
    wanted = {name: versions.get(name, "of any version") for name in touched}
    needed = bool(touched or is_left_over())
    repaired = False
    if needed and not module.check_mode:
        # What is half configured and without a wish of its own is finished, not fetched again.
        apt = [f"{name}={versions[name]}" if name in versions else name for name in touched]
        repaired = install(
            module, [each for each in apt if "=" in each or each in found.missing], rebuilt=any(map(is_rebuilt, older))
        )
        wanted = Found(touched, {}).installed
    for change in found.newer:
        module.warn(f"{change['name']} {change['installed']} is newer than {change['wanted']}, and stays")
    result: dict[str, Any] = {
        "missing": found.missing,
        "older": older,
        "kept": [change for change in found.older if change not in older],
        "newer": found.newer,
        "repaired": repaired,
    }
    diff = {
        "before_header": "packages",
        "after_header": "packages",
        "before": describe(touched, found.installed),
        "after": describe(touched, wanted),
    }
    module.exit_json(changed=needed, diff=diff, **result)


if __name__ == "__main__":
    main()
