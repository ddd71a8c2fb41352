#!/usr/bin/python
"""Create the process engine's tables, once, by the scripts of the engine itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_schema
short_description: The process engine's schema in PostgreSQL
description:
  - Runs the engine's create scripts with psql, over verified TLS and in one transaction, when the
    database has no engine tables. The schema is there whole or not at all.
  - Never changes an existing schema. One that is older than the scripts is refused, because only an
    upgrade may change it.
  - In check mode the database is only asked. One that does not answer yet counts as empty.
options:
  hosts:
    description: Full names of the database hosts; the primary among them is used.
    type: list
    elements: str
    required: true
  port:
    description: Port of the database.
    type: int
    required: true
  database:
    description: Name of the database.
    type: str
    required: true
  user:
    description: Owner of the tables.
    type: str
    required: true
  password:
    description: The user's password.
    type: str
    required: true
  ca_path:
    description: Certificate authority that signed the database's certificate.
    type: path
    required: true
  scripts:
    description: SQL files in the order in which they are run.
    type: list
    elements: path
    required: true
  timeout_seconds:
    description: How long the scripts may take altogether, in seconds.
    type: int
    default: 120
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure the schema
  sitewright.platform.engine_schema:
    hosts: [db1.example.internal, db2.example.internal]
    database: engine
    user: engine
    password: "{{ engine_database_password }}"
    ca_path: /etc/sitewright/tls/ca.crt
    scripts: [/usr/lib/sitewright/engine/sql/activiti.postgres.create.engine.sql]
"""

RETURN = r"""
diff:
  description: That the schema is made, in the form that Ansible shows.
  returned: always
  type: dict
version:
  description: Version of the schema in the database, empty when there is none (in check mode).
  returned: always
  type: str
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told

# The scripts themselves record the version of the schema they make.
RECORDED_VERSION = re.compile(
    r"insert\s+into\s+ACT_GE_SCHEMA_LOG\s+values\s*\(\s*'[^']*'\s*,\s*CURRENT_TIMESTAMP\s*,\s*'([0-9.]+)'",
    re.IGNORECASE,
)
IS_THERE = "select to_regclass('act_ge_schema_log') is not null"
NEWEST = "select version_ from act_ge_schema_log order by timestamp_ desc, id_ desc limit 1"


class DatabaseError(Exception):
    """What psql said when it failed."""


def connection(parameters: dict[str, Any]) -> str:
    """The connection as libpq reads it; it holds no secret."""
    words = {
        "host": ",".join(parameters["hosts"]),
        "port": str(parameters["port"]),
        "dbname": parameters["database"],
        "user": parameters["user"],
        "sslmode": "verify-full",
        "sslrootcert": parameters["ca_path"],
        "ssl_min_protocol_version": "TLSv1.3",
        "channel_binding": "require",
        "target_session_attrs": "read-write",
        "connect_timeout": "5",
        "application_name": "sitewright-schema",
    }
    return " ".join(f"{key}='{value}'" for key, value in words.items())


def psql(parameters: dict[str, Any], *arguments: str) -> str:
    """Run psql; the password goes by environment, where only root and the process itself can read it."""
    environment = {**os.environ, "PGPASSWORD": parameters["password"], "PGOPTIONS": "--client-min-messages=warning"}
    argv = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"]
    argv += ["--set=ON_ERROR_STOP=1", "--dbname", connection(parameters), *arguments]
    try:
        answer = subprocess.run(  # noqa: S603 - a list of our own words, no shell
            argv, env=environment, capture_output=True, text=True, check=False, timeout=parameters["timeout_seconds"]
        )
    except FileNotFoundError as error:
        raise DatabaseError("psql is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise DatabaseError(f"no answer within {parameters['timeout_seconds']} s") from error
    if answer.returncode != 0:
        raise DatabaseError(answer.stderr.strip()[-800:])
    return answer.stdout.strip()


def version_in_database(parameters: dict[str, Any]) -> str:
    """Version of the schema that is there, empty when there is none."""
    if psql(parameters, "--command", IS_THERE) != "t":
        return ""
    return psql(parameters, "--command", NEWEST)


def version_in_scripts(scripts: list[str]) -> str:
    """Version of the schema the scripts make; empty when no script records one."""
    for script in scripts:
        if found := RECORDED_VERSION.search(Path(script).read_text(encoding="utf-8")):
            return found.group(1)
    return ""


def as_numbers(version: str) -> tuple[int, ...]:
    """A version as something that can be compared."""
    return tuple(int(part) for part in version.split("."))


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "str", "required": True},
            "port": {"type": "int", "required": True},
            "database": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "ca_path": {"type": "path", "required": True},
            "scripts": {"type": "list", "elements": "path", "required": True},
            "timeout_seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    where = f"database {parameters['database']} on {', '.join(parameters['hosts'])}"
    made = [f"schema of the {where}"]
    try:
        present = version_in_database(parameters)
    except DatabaseError as error:
        if module.check_mode:
            words = f"{where} does not answer yet: {error}"
            module.exit_json(changed=True, version="", msg=words, diff=diff_of(made, where), **told(module, made))
        module.fail_json(msg=f"{where} cannot be asked for the engine's schema: {error}")
        return
    missing = [script for script in parameters["scripts"] if not Path(script).is_file()]
    if missing and not module.check_mode:
        module.fail_json(msg=f"{missing[0]} is not there; is the package of the engine installed?")
    wanted = "" if missing else version_in_scripts(parameters["scripts"])
    if present:
        if wanted and as_numbers(present) < as_numbers(wanted):
            module.fail_json(
                msg=f"{where} has the engine's schema {present}, the installed engine needs {wanted}; upgrade the site"
            )
        module.exit_json(changed=False, version=present, diff={})
    if not module.check_mode:
        files = [argument for script in parameters["scripts"] for argument in ("--file", script)]
        try:
            psql(parameters, "--single-transaction", *files)
            present = version_in_database(parameters)
        except DatabaseError as error:
            module.fail_json(msg=f"{where}: the schema was not created and nothing was left behind: {error}")
        if not present:
            module.fail_json(msg=f"{where}: the scripts ran but recorded no version in act_ge_schema_log")
    module.exit_json(changed=True, version=present, diff=diff_of(made, where), **told(module, made))


if __name__ == "__main__":
    main()
