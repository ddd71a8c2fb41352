#!/usr/bin/python
"""Roles, databases and extensions of a PostgreSQL server, in one round trip."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sitewright.platform.plugins.module_utils.plan import diff_of, told

try:
    import psycopg2  # type: ignore[import-untyped]  # Debian's, on the host
    from psycopg2 import sql
except ImportError:  # in check mode on a bare host nothing is installed yet
    psycopg2 = None

DOCUMENTATION = r"""
module: postgresql_objects
short_description: Roles, databases and extensions that exist
description:
  - Connects over the server's socket as its superuser and creates or alters what differs. It never
    drops anything.
  - A password is compared with the SCRAM verifier the server keeps, and set as a verifier made here, so
    it reaches neither a log nor a command line, and a second run changes nothing.
options:
  users:
    description: Roles that may log in.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      password: {description: Password., type: str, required: true}
      member_of: {description: Roles whose rights it has., type: list, elements: str, default: []}
      settings: {description: Session settings of the role., type: dict, default: {}}
      connection_limit: {description: Most connections at once; left alone when it is not given., type: int}
  databases:
    description: Databases.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      owner: {description: Role that owns it., type: str}
      extensions: {description: Extensions created in it., type: list, elements: str, default: []}
      connect:
        description: Roles that may connect besides the owner. Without it, everybody may.
        type: list
        elements: str
  socket_directory: {description: Where the server's socket is., type: path, default: /run/postgresql}
  port: {description: Port the socket is named after., type: int, required: true}
  superuser: {description: Role to act as., type: str, default: postgres}
author:
  - Sitewright
"""

EXAMPLES = r"""
- name: Service | Ensure roles and databases
  sitewright.platform.postgresql_objects:
    port: "{{ postgresql_port }}"
    users: [{name: engine, password: "{{ vault_postgresql_engine_password }}"}]
    databases: [{name: engine, owner: engine}]
"""

RETURN = r"""
diff:
  description: The same changes, in the form that Ansible shows.
  returned: always
  type: dict
changes:
  description: What was (or would be) done, in words.
  returned: always
  type: list
  elements: str
"""

ITERATIONS = 4096
SALT_BYTES = 16
VERIFIER = re.compile(r"^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$")


def scram_keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """StoredKey and ServerKey of RFC 5802 for a password of plain ASCII."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")


def make_verifier(password: str) -> str:
    """What PostgreSQL stores instead of the password."""
    salt = os.urandom(SALT_BYTES)
    stored, server = (base64.b64encode(key).decode() for key in scram_keys(password, salt, ITERATIONS))
    return f"SCRAM-SHA-256${ITERATIONS}:{base64.b64encode(salt).decode()}${stored}:{server}"


def verifies(password: str, verifier: str | None) -> bool:
    """Whether a stored verifier belongs to the password."""
    match = VERIFIER.match(verifier or "")
    if match is None:
        return False
    try:
        salt, stored = base64.b64decode(match[2], validate=True), base64.b64decode(match[3], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(scram_keys(password, salt, int(match[1]))[0], stored)


class Server:
    """The server's catalogue, and the changes made to it."""

    def __init__(self, module: AnsibleModule) -> None:
        """Connect to the maintenance database."""
        self.module = module
        self.changes: list[str] = []
        self.connections: dict[str, Any] = {}

    def connection(self, database: str) -> Any:
        """A connection to a database, opened at the first use.

        The session keeps its statements out of the log: even a verifier is nobody's business.
        """
        if database not in self.connections:
            parameters = self.module.params
            connection = psycopg2.connect(
                host=parameters["socket_directory"],
                port=parameters["port"],
                user=parameters["superuser"],
                dbname=database,
                application_name="sitewright",
                connect_timeout=10,
                options="-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic",
            )
            connection.autocommit = True
            self.connections[database] = connection
        return self.connections[database]

    def ask(self, query: str, arguments: tuple[Any, ...] = (), database: str = "postgres") -> list[tuple[Any, ...]]:
        """Read rows."""
        with self.connection(database).cursor() as cursor:
            cursor.execute(query, arguments)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def change(self, words: str, statement: Any, database: str = "postgres") -> None:
        """Do one thing, or in check mode only say so."""
        self.changes.append(words)
        if not self.module.check_mode:
            with self.connection(database).cursor() as cursor:
                cursor.execute(statement)

    def close(self) -> None:
        """Close all connections."""
        for connection in self.connections.values():
            connection.close()

    def ensure_users(self, users: list[dict[str, Any]]) -> None:
        """Create missing roles, set differing passwords, limits, memberships and session settings."""
        known = {
            name: (verifier, can_log_in)
            for name, verifier, can_log_in in self.ask("SELECT rolname, rolpassword, rolcanlogin FROM pg_authid")
        }
        memberships = set(
            self.ask(
                "SELECT m.rolname, g.rolname FROM pg_auth_members a"
                " JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid"
            )
        )
        limits = dict(self.ask("SELECT rolname, rolconnlimit FROM pg_roles"))
        settings = dict(
            self.ask(
                "SELECT r.rolname, s.setconfig FROM pg_db_role_setting s"
                " JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = 0"
            )
        )
        for user in users:
            name = user["name"]
            role = sql.Identifier(name)
            verifier = sql.Literal(make_verifier(user["password"]))
            if name not in known:
                self.change(f"role {name} created", sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, verifier))
            else:
                if not known[name][1]:
                    self.change(f"role {name} may log in", sql.SQL("ALTER ROLE {} LOGIN").format(role))
                if not verifies(user["password"], known[name][0]):
                    self.change(
                        f"password of role {name} set", sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, verifier)
                    )
            limit = user["connection_limit"]
            if limit is not None and limits.get(name, -1) != limit:
                self.change(
                    f"connections of role {name} limited to {limit}",
                    sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(role, sql.Literal(limit)),
                )
            for group in user["member_of"]:
                if (name, group) not in memberships:
                    self.change(
                        f"role {name} made a member of {group}",
                        sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role),
                    )
            for key, value in sorted(user["settings"].items()):
                if f"{key}={value}" not in (settings.get(name) or []):
                    self.change(
                        f"{key} of role {name} set to {value}",
                        sql.SQL("ALTER ROLE {} SET {} TO {}").format(
                            role, sql.Identifier(key), sql.Literal(str(value))
                        ),
                    )

    def ensure_databases(self, databases: list[dict[str, Any]]) -> None:
        """Create missing databases and extensions, set owners and who may connect."""
        known = dict(self.ask("SELECT d.datname, r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba"))
        for database in databases:
            name, owner = database["name"], database["owner"]
            target = sql.Identifier(name)
            if name not in known:
                statement = sql.SQL("CREATE DATABASE {}").format(target)
                if owner:
                    statement += sql.SQL(" OWNER {}").format(sql.Identifier(owner))
                self.change(f"database {name} created", statement)
            elif owner and known[name] != owner:
                self.change(
                    f"owner of database {name} set to {owner}",
                    sql.SQL("ALTER DATABASE {} OWNER TO {}").format(target, sql.Identifier(owner)),
                )
            there = name in known or not self.module.check_mode
            if database["connect"] is not None:
                self.ensure_connect(name, database["connect"], there=there)
            extensions = self.ask("SELECT extname FROM pg_extension", database=name) if there else []
            for extension in database["extensions"]:
                if (extension,) not in extensions:
                    self.change(
                        f"extension {extension} created in {name}",
                        sql.SQL("CREATE EXTENSION {} CASCADE").format(sql.Identifier(extension)),
                        database=name,
                    )

    def ensure_connect(self, name: str, roles: list[str], *, there: bool) -> None:
        """Let only these roles and the owner connect to a database."""
        target = sql.Identifier(name)
        allowed = (
            {
                row[0]
                for row in self.ask(
                    "SELECT CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END"
                    " FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a"
                    " WHERE d.datname = %s AND a.privilege_type = 'CONNECT'",
                    (name,),
                )
            }
            if there
            else {"public"}
        )
        if "public" in allowed:
            self.change(
                f"database {name} closed to everybody else",
                sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(target),
            )
        for role in roles:
            if role not in allowed:
                self.change(
                    f"role {role} may connect to {name}",
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(target, sql.Identifier(role)),
                )


def main() -> None:
    """Entry point of the module."""
    user_spec = {
        "name": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "member_of": {"type": "list", "elements": "str", "default": []},
        "settings": {"type": "dict", "default": {}},
        "connection_limit": {"type": "int"},
    }
    database_spec = {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "extensions": {"type": "list", "elements": "str", "default": []},
        "connect": {"type": "list", "elements": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "dict", "default": [], "options": user_spec},
            "databases": {"type": "list", "elements": "dict", "default": [], "options": database_spec},
            "socket_directory": {"type": "path", "default": "/run/postgresql"},
            "port": {"type": "int", "required": True},
            "superuser": {"type": "str", "default": "postgres"},
        },
        supports_check_mode=True,
    )
    if psycopg2 is None:
        module.fail_json(msg="python3-psycopg2 is not installed here")
    server = Server(module)
    try:
        if server.ask("SELECT pg_is_in_recovery()")[0][0]:
            module.fail_json(msg="this server is a standby now; run the same command again", changes=server.changes)
        server.ensure_users(module.params["users"])
        server.ensure_databases(module.params["databases"])
    except psycopg2.Error as error:
        reason = (error.diag.message_primary if error.diag else None) or str(error).strip().splitlines()[0]
        module.fail_json(msg=f"PostgreSQL refused: {reason}", changes=server.changes)
    finally:
        server.close()
    changes = server.changes
    diff = diff_of(changes, "roles and databases")
    module.exit_json(changed=bool(changes), changes=changes, diff=diff, **told(module, changes))


if __name__ == "__main__":
    main()
