#!/usr/bin/python
"""Custom certificates, read and checked on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: custom_certificates
short_description: Check the hospital's certificates before any host is touched
description:
  - Runs on the controller with the installer's own Python and changes nothing.
  - Checks chain, key, names, dates and purpose of every pair, and that no key is encrypted.
options:
  directory:
    description: Folder with ca.crt and one folder per host, named by its full name.
    type: path
    required: true
  wanted:
    description: What each certificate must say, by host and service.
    type: dict
    required: true
  spare_days:
    description: Days the certificates must still be valid.
    type: int
    default: 30
requirements:
  - Sitewright's installer on the controller, from a checkout of its repository
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Given | Check the hospital's certificates
  sitewright.platform.custom_certificates:
    directory: /root/inventories/hospital-a/certificates
    wanted: {db1: {postgresql: {dns_names: [db1], ip_addresses: [], usages: [server]}}}
  delegate_to: localhost
  run_once: true
  no_log: true
"""

RETURN = r"""
authority:
  description: The hospital's root certificates, PEM.
  returned: success
  type: str
certificates:
  description: Certificates by host and service, PEM.
  returned: success
  type: dict
keys:
  description: Private keys by host and service, PEM; secret.
  returned: success
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

try:
    from installer.errors import InstallerError
    from installer.pki import Wanted, read_custom
except ModuleNotFoundError as error:
    MISSING = str(error)
else:
    MISSING = ""


def main() -> None:
    """Run as a module, on the controller."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "wanted": {"type": "dict", "required": True},
            "spare_days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(
            msg=f"{MISSING}: this module runs on the controller, with the Python of Sitewright's installer; "
            "set ansible_python_interpreter of localhost to .sitewright/venv/bin/python of a checkout"
        )
    wanted = {
        host: {service: Wanted.from_variables(want) for service, want in services.items()}
        for host, services in module.params["wanted"].items()
    }
    try:
        given = read_custom(Path(module.params["directory"]), wanted, spare_days=module.params["spare_days"])
    except InstallerError as error:
        module.fail_json(msg=f"{error.message}; {error.hint}")
    module.exit_json(
        changed=False,
        authority=given.authority,
        certificates={
            host: {service: pair.certificate for service, pair in pairs.items()} for host, pairs in given.pairs.items()
        },
        keys={host: {service: pair.key for service, pair in pairs.items()} for host, pairs in given.pairs.items()},
    )


if __name__ == "__main__":
    main()
