"""What every module that speaks to a RabbitMQ cluster is told."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of `plugins/module_utils/rabbitmq.py`."""

    DOCUMENTATION = r"""
options:
  host: {description: Full host name of the node to ask., type: str, required: true}
  port: {description: Port of the management API., type: int, required: true}
  members: {description: Node names the cluster must have., type: list, elements: str, required: true}
  ca_file: {description: Authority of the nodes' certificates., type: path, required: true}
  certificate_file: {description: Client certificate., type: path, required: true}
  key_file: {description: Key of the client certificate., type: path, required: true}
  username: {description: Administrator., type: str, required: true}
  password: {description: Password of the administrator., type: str, required: true}
  timeout_seconds: {description: "How long the cluster may take, in seconds.", type: int, default: 120}
"""
