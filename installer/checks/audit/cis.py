"""What a PostgreSQL server is held to, as questions to the server itself.

Each is one SELECT with one value. Sections are those of the CIS PostgreSQL benchmarks (16 and 17 share them); its
numbers within a section change with every release, so an item is named after what it sets. What does not fit a server
that Patroni runs and whose log goes to the journal (`logging_collector` and the files it would write) is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One thing that must be so.

    Attributes:
        name: Last part of the check's id.
        sentence: What is made sure of.
        reference: Where it is asked for.
        sql: One SELECT with one value.
        wanted: What the value must be, for people.
        pattern: The same as a regular expression for the whole value; `wanted` itself when empty.
        in_each_database: The answer differs between databases, so each is asked.
    """

    name: str
    sentence: str
    reference: str
    sql: str
    wanted: str
    pattern: str = ""
    in_each_database: bool = False

    def holds(self, value: str) -> bool:
        """Whether this value is what is wanted."""
        wanted = "" if self.wanted == NONE else self.wanted
        return re.fullmatch(self.pattern, value) is not None if self.pattern else value == wanted


NONE: Final = "none"


def _setting(name: str, sentence: str, section: str, wanted: str, pattern: str = "") -> Assertion:
    sql = f"select current_setting('{name}')"
    return Assertion(name=name, sentence=sentence, reference=section, sql=sql, wanted=wanted, pattern=pattern)


def _list(name: str, sentence: str, section: str, of: str, rest: str, *, each: bool = False) -> Assertion:
    """Nothing may be in a list."""
    sql = f"select coalesce(string_agg({of}, ', ' order by {of}), '') from {rest}"  # noqa: S608 - SQL of this file
    return Assertion(name=name, sentence=sentence, reference=section, sql=sql, wanted=NONE, in_each_database=each)


_LOGGING: Final = "CIS PostgreSQL 3.1, logging"
_AUDITING: Final = "CIS PostgreSQL 3.2, pgAudit"
_ACCESS: Final = "CIS PostgreSQL 4, access and authorization"
_LOGIN: Final = "CIS PostgreSQL 5, connection and login"
_SETTINGS: Final = "CIS PostgreSQL 6, settings"
_REPLICATION: Final = "CIS PostgreSQL 7, replication"
_FILES: Final = "CIS PostgreSQL 2, permissions of files"
_HBA: Final = "pg_hba_file_rules where error is null and auth_method <> 'reject' and "
_SUPERUSERS: Final = "array(select rolname::text from pg_roles where rolsuper)"
# One line of pg_hba.conf as people find it again.
_LINE: Final = (
    "format('line %s: %s %s %s %s %s', line_number, type, array_to_string(database, ','),"
    " array_to_string(user_name, ','), address, auth_method)"
)
_STRONG_ROLES: Final = (
    "'pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',"
    " 'pg_execute_server_program', 'pg_create_subscription', 'pg_maintain'"
)
# What roles and payloads of ours use, and what Debian's server always has.
_EXTENSIONS: Final = "'plpgsql', 'pg_stat_statements', 'pgaudit', 'pgcrypto'"

ASSERTIONS: Final = (
    _setting("log_connections", "every login is logged", _LOGGING, "on"),
    _setting("log_disconnections", "the end of every session is logged", _LOGGING, "on"),
    Assertion(
        name="log_statement",
        sentence="changes of the schema are logged, by pgaudit (which hides passwords) or by the server itself",
        reference=_LOGGING,
        sql="select case when current_setting('pgaudit.log', true) ~ '\\y(ddl|all)\\y' then 'ddl, by pgaudit'"
        " else current_setting('log_statement') end",
        wanted="ddl, mod or all",
        pattern="ddl, by pgaudit|ddl|mod|all",
    ),
    _setting("log_min_messages", "warnings are logged", _LOGGING, "warning or more", "warning|notice|info|debug[1-5]"),
    _setting(
        "log_min_error_statement",
        "a statement that fails is logged",
        _LOGGING,
        "error or more",
        "error|warning|notice|info|debug[1-5]",
    ),
    _setting("log_error_verbosity", "errors are logged with detail", _LOGGING, "default or verbose", "default|verbose"),
    _setting("log_hostname", "no name is looked up while somebody logs in", _LOGGING, "off"),
    _setting("log_timezone", "the log's time has no summer and winter", _LOGGING, "UTC", "UTC|GMT|Etc/UTC"),
    _setting("log_lock_waits", "long waits for locks are logged", _LOGGING, "on"),
    _list(
        "log_line_prefix",
        "a line of the log says when, which process, who, in which database, with what program, from where",
        _LOGGING,
        "escape",
        "unnest(array['%m', '%p', '%u', '%d', '%a', '%h']) as escape"
        " where position(escape in current_setting('log_line_prefix')) = 0",
    ),
    Assertion(
        name="debug_print",
        sentence="the log has no parse trees, plans or rewritten queries, which hold data",
        reference=_LOGGING,
        sql="select concat_ws(' ', current_setting('debug_print_parse'), current_setting('debug_print_rewritten'),"
        " current_setting('debug_print_plan'))",
        wanted="off off off",
    ),
    _setting("log_replication_commands", "what replication asks for is logged", _REPLICATION, "on"),
    Assertion(
        name="pgaudit",
        sentence="pgaudit is loaded and told what to log",
        reference=_AUDITING,
        sql="select case when 'pgaudit' = any(string_to_array(replace(current_setting('shared_preload_libraries'), ' ',"
        " ''), ',')) then coalesce(nullif(current_setting('pgaudit.log', true), ''), 'nothing is logged')"
        " else 'not loaded' end",
        wanted="loaded, with classes to log",
        pattern=r"(?!none$|nothing is logged$|not loaded$).+",
    ),
    Assertion(
        name="superusers",
        sentence="postgres is the only superuser",
        reference=_ACCESS,
        sql="select coalesce(string_agg(rolname, ', ' order by rolname), '') from pg_roles where rolsuper",
        wanted="postgres",
    ),
    _list(
        "administrators",
        "no role but the superuser makes roles or databases, or passes row-level security",
        _ACCESS,
        "rolname",
        "pg_roles where (rolcreaterole or rolcreatedb or rolbypassrls) and not rolsuper",
    ),
    _list(
        "strong_roles",
        "no role is a member of one that reads or writes all data, or the server's files, or runs programs",
        _ACCESS,
        "format('%s in %s', m.rolname, g.rolname)",
        "pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles g on g.oid = a.roleid"
        f" where g.rolname in ({_STRONG_ROLES}) and not m.rolsuper and m.rolname not like 'pg\\_%'",
    ),
    _list(
        "security_definer",
        "no function of the site's runs with the rights of somebody who may do more",
        _ACCESS,
        "p.oid::regprocedure::text",
        "pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef"
        " and n.nspname not in ('pg_catalog', 'information_schema') and not exists (select from pg_depend d"
        " where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')",
        each=True,
    ),
    _list(
        "public_schema",
        "nobody but its owner makes objects in a schema that all read",
        _ACCESS,
        "nspname",
        "pg_namespace where nspname = 'public' and has_schema_privilege('public', oid, 'create')",
        each=True,
    ),
    _list(
        "public_connect",
        "a database lets in only roles that were named",
        _ACCESS,
        "datname",
        "pg_database where datallowconn and not datistemplate and has_database_privilege('public', oid, 'connect')",
    ),
    _list(
        "public_tables",
        "no table of the site's is open to everybody",
        _ACCESS,
        "format('%s.%s', c.relnamespace::regnamespace, c.relname)",
        "pg_class c, aclexplode(c.relacl) as acl where acl.grantee = 0 and c.relkind in ('r', 'p', 'v', 'm', 'S')"
        " and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema') and not exists"
        " (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')",
        each=True,
    ),
    _list(
        "connection_limits",
        "no login but an application's, which its pool bounds, can take all connections",
        _LOGIN,
        "rolname",
        "pg_roles r where rolcanlogin and not rolsuper and rolconnlimit = -1"
        " and not exists (select from pg_database d where d.datdba = r.oid)",
    ),
    _list(
        "password_hashes",
        "every password is kept as SCRAM",
        _LOGIN,
        "rolname",
        "pg_authid where rolpassword is not null and rolpassword not like 'SCRAM-SHA-256$%'",
    ),
    _setting("password_encryption", "a new password is kept as SCRAM", _LOGIN, "scram-sha-256"),
    _list(
        "hba_methods",
        "nobody is let in without a proof, or with a password in clear or as MD5",
        _LOGIN,
        _LINE,
        _HBA + "auth_method in ('trust', 'password', 'md5', 'ident')",
    ),
    _list(
        "hba_encrypted",
        "nobody is let in over TCP without TLS",
        _LOGIN,
        _LINE,
        _HBA + "type not in ('local', 'hostssl')",
    ),
    _list(
        "hba_superuser",
        "no superuser comes in over the network",
        _LOGIN,
        _LINE,
        _HBA + "type <> 'local' and user_name && (array['all'] || " + _SUPERUSERS + ")",
    ),
    _list(
        "hba_networks",
        "nobody is let in from anywhere",
        _LOGIN,
        _LINE,
        _HBA + "type <> 'local' and (address in ('all', 'samenet', 'samehost') or netmask in ('0.0.0.0', '::'))",
    ),
    _list(
        "hba_named",
        "a rule names its user, or its database",
        _LOGIN,
        _LINE,
        _HBA + "type <> 'local' and database = array['all'] and user_name = array['all']",
    ),
    _list(
        "hba_errors",
        "every line of pg_hba.conf is understood",
        _LOGIN,
        "format('line %s: %s', line_number, error)",
        "pg_hba_file_rules where error is not null",
    ),
    Assertion(
        name="listen_addresses",
        sentence="the server listens on addresses that were named",
        reference=_LOGIN,
        sql="select current_setting('listen_addresses')",
        wanted="addresses",
        pattern=r"(?!.*(\*|0\.0\.0\.0|::(,|$))).+",
    ),
    Assertion(
        name="authentication_timeout",
        sentence="who does not log in is sent away within a minute",
        reference=_LOGIN,
        sql="select case when setting::int <= 60 then 'at most 60 s' else setting || ' s' end from pg_settings"
        " where name = 'authentication_timeout'",
        wanted="at most 60 s",
    ),
    _setting("ssl", "the server speaks TLS", _SETTINGS, "on"),
    _setting("ssl_min_protocol_version", "and nothing older than TLS 1.3", _SETTINGS, "TLSv1.3"),
    Assertion(
        name="encrypted",
        sentence="nobody is connected over TCP without TLS",
        reference=_SETTINGS,
        sql="select count(*)::text from pg_stat_ssl s join pg_stat_activity a using (pid)"
        " where not s.ssl and a.client_addr is not null",
        wanted="0",
    ),
    _setting("row_security", "a dump fails rather than leave rows out silently", _SETTINGS, "on"),
    Assertion(
        name="durability",
        sentence="what was acknowledged is on the disk, whole",
        reference=_SETTINGS,
        sql="select concat_ws(' ', current_setting('fsync'), current_setting('full_page_writes'),"
        " current_setting('data_checksums'))",
        wanted="on on on",
    ),
    Assertion(
        name="developer_settings",
        sentence="no switch is set that lets the catalogue be changed or damage be passed over",
        reference=_SETTINGS,
        sql="select concat_ws(' ', current_setting('allow_system_table_mods'),"
        " current_setting('ignore_system_indexes'), current_setting('zero_damaged_pages'),"
        " current_setting('ignore_checksum_failure'))",
        wanted="off off off off",
    ),
    _setting(
        "dynamic_library_path", "code is loaded from PostgreSQL's own folder only", _SETTINGS, "$libdir", r"\$libdir"
    ),
    _list(
        "extensions",
        "only extensions that the platform uses are there",
        _SETTINGS,
        "extname",
        f"pg_extension where extname not in ({_EXTENSIONS})",
        each=True,
    ),
    _list(
        "languages",
        "no language is there in which a function may do everything",
        _SETTINGS,
        "lanname",
        "pg_language where not lanpltrusted and lanname not in ('internal', 'c')",
        each=True,
    ),
    _list(
        "foreign_servers",
        "no other server can be reached from here",
        _SETTINGS,
        "srvname",
        "pg_foreign_server",
        each=True,
    ),
    _setting("data_directory_mode", "only its owner enters the data directory", _FILES, "0700"),
    _setting(
        "wal_level", "the log is fit for standbys and backups", _REPLICATION, "replica or logical", "replica|logical"
    ),
    _setting("archive_mode", "the log is archived", _REPLICATION, "on or always", "on|always"),
)
