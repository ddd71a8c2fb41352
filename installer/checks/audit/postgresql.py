"""Every PostgreSQL server asked, as its superuser on its own host, what the CIS benchmark asks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from installer.checks.audit.cis import ASSERTIONS, NONE, Assertion
from installer.checks.audit.model import Part, Question, UnreadableError, jobs, longest, said
from installer.report import CheckResult, passed_if

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GROUP: Final = "postgresql"
ID: Final = "postgresql"
_SECONDS: Final = 60
_MARK: Final = "@@sitewright "
_END: Final = "@@sitewright end"
_FIRST: Final = "postgres"


def order(question: Question) -> dict[str, Any] | None:
    """One psql over the socket; nothing of it changes anything, and a standby answers as well."""
    subject = question.subject
    if question.host.name not in {host.name for host in subject.group(GROUP)}:
        return None
    argv = ["runuser", "--user", "postgres", "--", "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]
    argv += ["--host=/run/postgresql", f"--port={subject.setting('postgresql_port')}", f"--dbname={_FIRST}"]
    databases = [_FIRST, str(subject.setting("engine_database_name"))]
    return jobs(psql={"argv": argv, "input": script(databases), "folder": "/", "seconds": _SECONDS})


def judge(question: Question, answer: Mapping[str, Any]) -> list[CheckResult]:
    """A result for each assertion, in each database where databases differ."""
    values = parse(said(answer, "psql"))
    databases = [_FIRST, str(question.subject.setting("engine_database_name"))]
    complaint = " ".join(str(answer["psql"].get("err", "")).split())[-200:]
    return [
        _judged(question.host.name, assertion, database, values.get((assertion.name, database)), complaint)
        for database in databases
        for assertion in _of(database)
    ]


def script(databases: Sequence[str]) -> str:
    """What psql is given: each SELECT behind a line that tells what its answer belongs to."""
    lines = []
    for database in databases:
        if database != _FIRST:
            quoted = database.replace('"', '""')
            lines.append(f'\\connect "{quoted}"')
        lines += ["set default_transaction_read_only = on;", "set statement_timeout = '10s';"]
        for assertion in _of(database):
            lines += [f"\\echo {_MARK}{assertion.name} {database}", f"{assertion.sql};"]
    return "\n".join([*lines, f"\\echo {_END}", ""])


def parse(text: str) -> dict[tuple[str, str], str]:
    """Values by assertion and database; what gave none, because its SELECT failed, is not among them.

    Raises:
        UnreadableError: If psql did not come to its end, or a SELECT gave more than one row.
    """
    found: dict[tuple[str, str], str] = {}
    if not text.rstrip("\n").endswith(_END):
        raise UnreadableError(f"psql ended early: {text[-200:]!r}")
    for block in text.split(_MARK)[1:]:
        head, _, body = block.partition("\n")
        if head == "end":
            continue
        name, _, database = head.partition(" ")
        rows = body.split("\n")[:-1]
        if len(rows) > 1:
            raise UnreadableError(f"{name} gave {len(rows)} rows: {body[:200]!r}")
        if rows:
            found[name, database] = rows[0]
    return found


def _of(database: str) -> Iterator[Assertion]:
    """What a database is asked; what all databases answer alike is asked once."""
    return (assertion for assertion in ASSERTIONS if database == _FIRST or assertion.in_each_database)


def _judged(host: str, assertion: Assertion, database: str, value: str | None, complaint: str) -> CheckResult:
    about = database if assertion.in_each_database else ""
    where = f"{database}: " if about else ""
    return passed_if(
        value is not None and assertion.holds(value),
        check=f"audit.{ID}.{assertion.name}",
        host=host,
        about=about,
        measured=where + (f"no answer ({complaint})" if value is None else value or NONE),
        wanted=assertion.wanted,
        fix=f"{assertion.reference}: {assertion.sentence}",
    )


PART: Final = Part(
    name="postgresql",
    checks={f"{ID}.{each.name}": f"{each.sentence} ({each.reference})" for each in ASSERTIONS},
    order=order,
    judge=judge,
    seconds=longest,
)
