"""The engine's schema: what the scripts make is known before they run, and no password is in an argument."""

from __future__ import annotations

from pathlib import Path

from plugins.modules import engine_schema

SCRIPT = """
insert into ACT_GE_PROPERTY values ('schema.version', 'fox', 1);
create table ACT_GE_SCHEMA_LOG (ID_ varchar(64), TIMESTAMP_ timestamp, VERSION_ varchar(255), primary key (ID_));
insert into ACT_GE_SCHEMA_LOG
values ('0', CURRENT_TIMESTAMP, '7.24.0');
"""


def test_version_is_read_from_the_script_that_records_it(tmp_path: Path) -> None:
    other, recording = tmp_path / "a.sql", tmp_path / "b.sql"
    other.write_text("create table X (ID_ varchar(64));\n", encoding="utf-8")
    recording.write_text(SCRIPT, encoding="utf-8")
    assert engine_schema.version_in_scripts([str(other), str(recording)]) == "7.24.0"
    assert engine_schema.version_in_scripts([str(other)]) == ""


def test_versions_are_compared_as_numbers() -> None:
    assert engine_schema.as_numbers("7.9.0") < engine_schema.as_numbers("7.24.0")


def test_connection_verifies_the_server_and_holds_no_password() -> None:
    words = engine_schema.connection(
        {
            "hosts": ["db1.x", "db2.x"],
            "port": 5432,
            "database": "engine",
            "user": "engine",
            "password": "canary",
            "ca_path": "/ca.crt",
        }
    )
    assert "host='db1.x,db2.x'" in words
    assert "sslmode='verify-full'" in words
    assert "target_session_attrs='read-write'" in words
    assert "canary" not in words
