#!/usr/bin/python
"""The site's private authorities on the controller: creates them once, signs what the hosts ask for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Sign the keys of all hosts at once
description:
  - Runs on the controller with the installer's own Python. Creates each authority that O(wanted) names and the site's
    own when there is none.
  - Names and usages come from O(wanted), never from a request; a request only shows that its sender
    holds the key.
options:
  directory:
    description: Folder of the site's ca.key and ca.crt; those of every other authority lie below it, by its name.
    type: path
    required: true
  passphrase:
    description: What the authorities' keys are encrypted with.
    type: str
    required: true
  name:
    description: Name of the site.
    type: str
    required: true
  requests:
    description: Signing requests by host and service.
    type: dict
    required: true
  wanted:
    description:
      - What each certificate shall say, by host and service.
      - C(authority) names who signs it, if not the site's.
    type: dict
    required: true
  lifetime_days:
    description: How long the certificates are valid.
    type: int
    default: 90
requirements:
  - Sitewright's installer on the controller, from a checkout of its repository
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Issue | Ensure the requests are signed
  sitewright.platform.certificate_authority:
    directory: /var/lib/sitewright/pki
    passphrase: "{{ vault_ca_passphrase }}"
    name: hospital-a
    requests: {db1: {postgresql: "..."}}
    wanted: {db1: {postgresql: {dns_names: [db1], ip_addresses: [], usages: [server]}}}
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
diff:
  description: Which authorities are made, in the form that Ansible shows.
  returned: always
  type: dict
authorities:
  description: Certificates of the authorities by name, PEM; empty in check mode before there is one.
  returned: always
  type: dict
certificates:
  description: Certificates by host and service, PEM.
  returned: always
  type: dict
"""

from pathlib import Path
from typing import Final

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told

try:
    from installer.errors import InstallerError
    from installer.pki import Wanted, authority_folder, ensure_authority
except ModuleNotFoundError as error:
    MISSING = str(error)
else:
    MISSING = ""


OWN: Final = "site"


def main() -> None:
    """Run as a module, on the controller."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "passphrase": {"type": "str", "required": True, "no_log": True},
            "name": {"type": "str", "required": True},
            "requests": {"type": "dict", "required": True},
            "wanted": {"type": "dict", "required": True},
            "lifetime_days": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(
            msg=f"{MISSING}: this module runs on the controller, with the Python of Sitewright's installer; "
            "set ansible_python_interpreter of localhost to .sitewright/venv/bin/python of a checkout"
        )
    directory, wanted = Path(module.params["directory"]), module.params["wanted"]
    services = [want for of_host in wanted.values() for want in of_host.values()]
    names = sorted({OWN, *(want.get("authority", OWN) for want in services)})
    new = [name for name in names if not (authority_folder(directory, name) / "ca.crt").exists()]
    made = {"before": "", "after": "".join(f"authority: {name}\n" for name in new), "after_header": str(directory)}
    if module.check_mode and new:
        words = told(module, [f"the authority {name}, made" for name in new])
        module.exit_json(changed=True, authorities={}, certificates={}, diff=made, **words)
    try:
        authorities = {
            name: ensure_authority(
                authority_folder(directory, name),
                module.params["passphrase"],
                name=module.params["name"] if name == OWN else f"{module.params['name']} {name}",
            )
            for name in names
        }
        certificates = {
            host: {
                service: authorities[wanted[host][service].get("authority", OWN)].sign(
                    request,
                    Wanted.from_variables(wanted[host][service]),
                    days=module.params["lifetime_days"],
                )
                for service, request in requests.items()
            }
            for host, requests in module.params["requests"].items()
        }
    except InstallerError as error:
        module.fail_json(msg=f"{error.message}; {error.hint}")
    created = any(authority.created for authority in authorities.values())
    module.exit_json(
        changed=created,
        authorities={name: authority.pem for name, authority in authorities.items()},
        certificates=certificates,
        diff=made if created else {},
    )


if __name__ == "__main__":
    main()
