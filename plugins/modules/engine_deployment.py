#!/usr/bin/python
"""Deploy a set of models to the process engine through its REST API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_deployment
short_description: Models deployed to the process engine
description:
  - Deploys all models of a directory as one deployment, when the engine's newest deployment of that
    name does not hold the very same bytes. Deploying the same models again creates nothing.
  - The set is always deployed whole. A process, its decision table and its form refer to each other
    with the binding V(deployment), so a running instance keeps the table it was started with.
  - In check mode the engine is only asked. An engine that is not there yet counts as one that has
    nothing deployed.
options:
  name:
    description: Name of the deployment.
    type: str
    required: true
  directory:
    description: Directory on the host with the models; every *.bpmn, *.dmn and *.form in it belongs to the set.
    type: path
    required: true
  url:
    description: Base of the REST API, V(https) only.
    type: str
    required: true
  user:
    description: User of the REST API who may create deployments.
    type: str
    required: true
  password:
    description: The user's password.
    type: str
    required: true
  ca_path:
    description: Certificate authority that signed the engine's certificate.
    type: path
    required: true
  source:
    description: What the engine shows as the source of the deployment.
    type: str
    default: sitewright
  models_will_change:
    description:
      - Says in check mode that the package with the models would be replaced, so that the models on the
        host are not those that would be deployed.
    type: bool
    default: false
  timeout_seconds:
    description: How long an engine or gateway that does not answer yet is waited for, in seconds.
    type: int
    default: 60
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure the models are deployed
  sitewright.platform.engine_deployment:
    name: orders
    directory: /usr/share/sitewright/models
    url: https://workflow.example.internal/engine-rest
    user: admin
    password: "{{ models_engine_password }}"
    ca_path: /etc/sitewright/tls/ca.crt
"""

RETURN = r"""
deployment_id:
  description: The newest deployment of that name; empty when there is none.
  returned: always
  type: str
resources:
  description: The models of the set.
  returned: always
  type: list
  elements: str
reason:
  description: Why the set was (or would be) deployed; empty when it is deployed already.
  returned: always
  type: str
diff:
  description: The same, in the form that Ansible shows.
  returned: always
  type: dict
"""

import json
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.https import Client, NoAnswerError, UntrustedError
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told
from ansible_collections.sitewright.platform.plugins.module_utils.tls import context

SUFFIXES = (".bpmn", ".dmn", ".form")
REQUEST_SECONDS = 30
BUSY = (429, 502, 503, 504)


class EngineUnavailableError(Exception):
    """Nobody answers at the address, or only the gateway says that no engine is behind it."""


class EngineRefusedError(Exception):
    """The engine answered with an error."""


class Engine:
    """The part of the REST API that knows deployments, over one verified connection."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Prepare the connection; the first request opens it."""
        login = (parameters["user"], parameters["password"])
        try:
            tls = context(parameters["ca_path"])
            self.client = Client.of(parameters["url"], tls, login=login, timeout_seconds=REQUEST_SECONDS)
        except ValueError as error:
            raise EngineRefusedError(str(error)) from error

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> bytes:
        """One request; the answer's body."""
        try:
            answer = self.client.send_bytes(method, path, body, content_type)
        except UntrustedError as error:
            raise EngineRefusedError(str(error)) from error
        except NoAnswerError as error:
            raise EngineUnavailableError(str(error)) from error
        if answer.status in BUSY:
            raise EngineUnavailableError(f"HTTP {answer.status}")
        if answer.is_error:
            raise EngineRefusedError(f"HTTP {answer.status}: {said_in(answer.content)}")
        return answer.content

    def newest(self, name: str) -> str:
        """Id of the newest deployment of that name, empty without one."""
        query = urlencode({"name": name, "sortBy": "deploymentTime", "sortOrder": "desc", "maxResults": 1})
        found = json.loads(self.request("GET", f"/deployment?{query}"))
        return str(found[0]["id"]) if found else ""

    def resources(self, deployment: str) -> dict[str, bytes]:
        """What a deployment holds, by file name."""
        listed = json.loads(self.request("GET", f"/deployment/{deployment}/resources"))
        return {
            str(entry["name"]): self.request("GET", f"/deployment/{deployment}/resources/{entry['id']}/data")
            for entry in listed
        }

    def deploy(self, name: str, source: str, models: dict[str, bytes]) -> str:
        """Create a deployment of the whole set; its id."""
        fields = {"deployment-name": name, "deployment-source": source, "enable-duplicate-filtering": "true"}
        body, content_type = multipart(fields, models)
        return str(json.loads(self.request("POST", "/deployment/create", body, content_type))["id"])


def said_in(content: bytes) -> str:
    """The engine's own words about what it refuses."""
    text = content.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300]
    return str(answer.get("message", answer))[:800] if isinstance(answer, dict) else text[:300]


def multipart(fields: dict[str, str], files: dict[str, bytes]) -> tuple[bytes, str]:
    """Encode a form with files as RFC 7578 wants it; body and content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, data in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def read_models(directory: Path) -> dict[str, bytes]:
    """The models of a directory by file name, in a fixed order."""
    if not directory.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.suffix in SUFFIXES}


def difference(models: dict[str, bytes], deployed: dict[str, bytes]) -> str:
    """In words, what the newest deployment lacks; empty when it is the same set."""
    if not deployed:
        return "nothing of that name is deployed"
    words = {
        "new": sorted(models.keys() - deployed.keys()),
        "removed": sorted(deployed.keys() - models.keys()),
        "changed": sorted(name for name in models.keys() & deployed.keys() if models[name] != deployed[name]),
    }
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in words.items() if names)


def newest_when_ready(engine: Engine, name: str, timeout_seconds: float) -> str:
    """The newest deployment, waiting for an engine that is still starting."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return engine.newest(name)
        except EngineUnavailableError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.5)


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "url": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "ca_path": {"type": "path", "required": True},
            "source": {"type": "str", "default": "sitewright"},
            "models_will_change": {"type": "bool", "default": False},
            "timeout_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    models = read_models(Path(parameters["directory"]))
    result: dict[str, Any] = {"deployment_id": "", "resources": sorted(models), "reason": "", "diff": {}}

    def leave_unknown(reason: str) -> None:
        """What check mode says when the engine, or the models, are not there to be asked."""
        known = {**result, "reason": reason, "diff": diff_of([reason], parameters["name"])}
        module.exit_json(changed=True, **known, **told(module, [f"{parameters['name']}: {reason}"]))

    if module.check_mode and (parameters["models_will_change"] or not models):
        leave_unknown("the models are not on this host yet")
    if not models:
        module.fail_json(msg=f"no model in {parameters['directory']}; is the package with the models installed?")
    try:
        engine = Engine(parameters)
        result["deployment_id"] = newest_when_ready(
            engine, parameters["name"], 0 if module.check_mode else parameters["timeout_seconds"]
        )
        deployed = engine.resources(result["deployment_id"]) if result["deployment_id"] else {}
        result["reason"] = difference(models, deployed)
        result["diff"] = diff_of(result["reason"].split("; "), parameters["name"]) if result["reason"] else {}
        if result["reason"] and not module.check_mode:
            result["deployment_id"] = engine.deploy(parameters["name"], parameters["source"], models)
    except (EngineUnavailableError, FileNotFoundError) as error:
        # FileNotFoundError: the authority's certificate, which the stage before this one brings.
        if module.check_mode:
            leave_unknown(f"the engine does not answer yet ({error})")
        module.fail_json(msg=f"the engine does not answer at {parameters['url']}: {error}", **result)
    except EngineRefusedError as error:
        module.fail_json(msg=f"the engine refuses: {error}", **result)
    words = [f"{parameters['name']}: {result['reason']}"] if result["reason"] else []
    module.exit_json(changed=bool(words), **result, **told(module, words))


if __name__ == "__main__":
    main()
