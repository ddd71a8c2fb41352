#!/usr/bin/python
"""Install Debian packages, also where an interrupted run stopped half way."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: debian_packages
short_description: Debian packages are installed, and none of their services started by that
description:
  - Asks dpkg which of the packages are missing, which takes hundredths of a second, and calls apt-get
    only for those. Recommended packages stay away, changed configuration files stay as they are.
  - Packages must not start services before they are configured; a policy file sees to that while
    packages are installed.
  - In check mode it tells what is missing without asking any package list, so it works on a host
    that has none yet.
  - apt-get goes on when the connection breaks. The next run waits for it, finishes what a dead one
    left half configured, and removes the policy file it left.
options:
  name:
    description: Packages, without versions.
    type: list
    elements: str
    required: true
  lock_timeout_seconds:
    description: How long to wait for another apt or dpkg.
    type: int
    default: 300
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Install | Ensure the packages
  debian_packages:
    name: [redis-server, redis-sentinel]
"""

RETURN = r"""
missing:
  description: Packages that were (or in check mode are) not installed.
  returned: always
  type: list
  elements: str
repaired:
  description: Whether an interrupted installation was finished first.
  returned: always
  type: bool
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


def missing_packages(names: list[str]) -> list[str]:
    """Those of the packages that dpkg does not call installed, in the order given."""
    answer = subprocess.run(  # noqa: S603 - no shell; the names come from a role
        ["/usr/bin/dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", "--", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


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


def install(module: AnsibleModule, packages: list[str]) -> bool:
    """Finish what is half done, then install; true if there was something to finish."""
    wait_for_others(module)
    ours = hold_services()
    try:
        half_done = is_half_done()
        if half_done:
            work(module, ["dpkg", "--configure", "--pending", *KEEP_FILES])
        options = ["--yes", "--quiet=2", "--no-install-recommends"]
        options += [f"--option=DPkg::Options::={option}" for option in KEEP_FILES]
        options += [f"--option=DPkg::Lock::Timeout={module.params['lock_timeout_seconds']}"]
        work(module, ["apt-get", "install", *options, "--", *packages])
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
    return half_done


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "lock_timeout_seconds": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    names = module.params["name"]
    missing = missing_packages(names)
    left_over = is_left_over()
    repaired = False
    if (missing or left_over) and not module.check_mode:
        repaired = install(module, names)
    module.exit_json(changed=bool(missing or left_over), missing=missing, repaired=repaired)


if __name__ == "__main__":
    main()
