"""What modules are told about a Redis group."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of `plugins/module_utils/redis_group.py`."""

    DOCUMENTATION = r"""
options:
  nodes: {description: Addresses of all nodes., type: list, elements: str, required: true}
  port: {description: Port of Redis., type: int, required: true}
  sentinel_port: {description: Port of Sentinel., type: int, required: true}
  master_name: {description: Name of the group., type: str, required: true}
  ca_file: {description: Authority of the nodes' certificates., type: path, required: true}
  certificate_file: {description: Client certificate., type: path, required: true}
  key_file: {description: Key of the client certificate., type: path, required: true}
  username: {description: Administrator., type: str, required: true}
  password: {description: Password of the administrator., type: str, required: true}
  previous_password:
    description: Password that a node may still know instead while passwords are rotated.
    type: str
    default: ""
  timeout_seconds: {description: "How long the group may take, in seconds.", type: int, default: 120}
"""
