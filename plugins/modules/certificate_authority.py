#!/usr/bin/python
"""The site's private authority on the controller: creates it once, signs what the hosts ask for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Sign the keys of all hosts at once
description:
  - Runs on the controller with the installer's own Python. Creates the authority when there is none.
  - Names and usages come from O(wanted), never from a request; a request only shows that its sender
    holds the key.
options:
  directory:
    description: Folder of ca.key and ca.crt.
    type: path
    required: true
  passphrase:
    description: What the authority's key is encrypted with.
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
    description: What each certificate shall say, by host and service.
    type: dict
    required: true
  lifetime_days:
    description: How long the certificates are valid.
    type: int
    default: 397
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
  description: That the authority is made, in the form that Ansible shows.
  returned: always
  type: dict
authority:
  description: Certificate of the authority, PEM; empty in check mode before there is one.
  returned: always
  type: str
certificates:
  description: Certificates by host and service, PEM.
  returned: always
  type: dict
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told

try:
    from installer.errors import InstallerError
    from installer.pki import Wanted, ensure_authority
except ModuleNotFoundError as error:
    MISSING = str(error)
else:
    MISSING = ""


def main() -> None:
    """Run as a module, on the controller."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "passphrase": {"type": "str", "required": True, "no_log": True},
            "name": {"type": "str", "required": True},
            "requests": {"type": "dict", "required": True},
            "wanted": {"type": "dict", "required": True},
            "lifetime_days": {"type": "int", "default": 397},
        },
        supports_check_mode=True,
    )
    if MISSING:
        module.fail_json(
            msg=f"{MISSING}: this module runs on the controller, with the Python of Sitewright's installer; "
            "set ansible_python_interpreter of localhost to .sitewright/venv/bin/python of a checkout"
        )
    directory, wanted = Path(module.params["directory"]), module.params["wanted"]
    made = {"before": "", "after": "a new certificate authority\n", "after_header": str(directory)}
    if module.check_mode and not (directory / "ca.crt").exists():
        words = told(module, ["the site's authority, made"])
        module.exit_json(changed=True, authority="", certificates={}, diff=made, **words)
    try:
        authority = ensure_authority(directory, module.params["passphrase"], name=module.params["name"])
        certificates = {
            host: {
                service: authority.sign(
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
    diff = made if authority.created else {}
    module.exit_json(changed=authority.created, authority=authority.pem, certificates=certificates, diff=diff)


if __name__ == "__main__":
    main()
