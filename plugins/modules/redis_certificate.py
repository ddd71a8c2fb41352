#!/usr/bin/python
"""A running Redis shows the certificate that lies in its file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_certificate
short_description: A running Redis shows the certificate that lies in its file
description:
  - Looks at the certificate that Redis shows whoever connects. If it is not the one of O(certificate_file), Redis is
    told to read certificate and key anew, which closes no connection and restarts nothing.
  - The same files serve as this module's client certificate. An authority that changed needs a restart, which is not
    this module's business.
options:
  address: {description: "Address of the node, one of O(nodes).", type: str, required: true}
extends_documentation_fragment:
  - sitewright.platform.redis
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure Redis shows the certificate of its file; closes no connection
  sitewright.platform.redis_certificate:
    address: 10.20.0.31
    nodes: [10.20.0.31, 10.20.0.32, 10.20.0.33]
    port: "{{ redis_port }}"
    sentinel_port: "{{ redis_sentinel_port }}"
    master_name: main
    ca_file: /etc/sitewright/tls/ca.crt
    certificate_file: /etc/redis/tls.crt
    key_file: /etc/redis/tls.key
    username: admin
    password: "{{ redis_admin_password }}"
  no_log: true
"""

RETURN = r"""
diff: {description: "The SHA-256 of the certificate, before and after.", returned: always, type: dict}
"""

import hashlib
import ssl
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import told
from ansible_collections.sitewright.platform.plugins.module_utils.redis_group import ARGUMENTS, Group
from ansible_collections.sitewright.platform.plugins.module_utils.resp import RefusedError


def fingerprint(certificate: bytes) -> str:
    """What tells a certificate from others."""
    return hashlib.sha256(certificate).hexdigest()


def in_file(path: str) -> str:
    """The fingerprint of the first certificate of a file, which is the service's own.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds none.
    """
    first, end, _ = Path(path).read_text(encoding="ascii").partition(ssl.PEM_FOOTER)
    return fingerprint(ssl.PEM_cert_to_DER_cert(first + end))


def shown(group: Group, address: str, *, load: bool = False) -> str:
    """The fingerprint of what Redis shows; with `load` it is then told to read its files anew.

    Raises:
        RefusedError: If it does not answer, or does not take them.
    """
    with group.server(address) as server:
        if load:
            files = ("certificate_file", "key_file")
            certificate, key = (str(group.parameters[name]) for name in files)
            # Both at once, because one alone would not fit the other; the paths may be the same as before.
            server.ask("CONFIG", "SET", "tls-cert-file", certificate, "tls-key-file", key)
        return fingerprint(server.socket.getpeercert(binary_form=True) or b"")


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, "address": {"type": "str", "required": True}}, supports_check_mode=True
    )
    group, address = Group(module.params), module.params["address"]
    name = f"{address}:{module.params['port']}"
    try:
        wanted = in_file(module.params["certificate_file"])
        before = shown(group, address)
        if before != wanted and not module.check_mode:
            shown(group, address, load=True)
            if shown(group, address) != wanted:
                module.fail_json(
                    msg=f"{name} was told to read its certificate anew and still shows another one. Its tls-cert-file"
                    f" is not {module.params['certificate_file']}; see `journalctl -u redis-server` on that host."
                )
    except (OSError, ValueError, RefusedError) as error:
        if module.check_mode:  # nothing runs there yet, or there is no certificate yet
            module.exit_json(changed=False, diff={"before": "", "after": ""})
        module.fail_json(msg=f"{name}: {error}")
    differs = before != wanted
    module.exit_json(
        changed=differs,
        diff={"before": f"{before}\n", "after": f"{wanted}\n"},
        **told(module, [f"certificate that {name} shows"] if differs else []),
    )


if __name__ == "__main__":
    main()
