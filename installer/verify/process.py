"""The proof that matters: process instances started as a user would, through every tier."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import urllib3

from installer.report import CheckResult, passed_if
from installer.verify import broker, cache
from installer.verify.subject import HTTP_OK

if TYPE_CHECKING:
    from installer.verify.subject import Subject

PROCESS_KEY: Final = "revenue-cycle"
FINISH_SECONDS: Final = 120.0
COUNT_SECONDS: Final = 20.0
_STARTERS: Final = 8
# Every tenth instance has a payer nobody knows, so that the denial path is proven as well.
_DENIED_EVERY: Final = 10


def check(subject: Subject) -> list[CheckResult]:
    """Start instances through the virtual IP and follow them into history, queue and cache."""
    pool = subject.gateway()
    run = f"verify-{secrets.token_hex(4)}"
    engine = _json(subject, pool, "GET", "/engine-rest/engine")
    queued = broker.claims(subject)
    clock = time.monotonic()
    with ThreadPoolExecutor(max_workers=_STARTERS) as starters:
        list(starters.map(lambda number: _start(subject, pool, run, number), range(subject.instances)))
    started = time.monotonic() - clock
    finished = _wait(lambda: _finished(subject, pool, run), subject.instances, FINISH_SECONDS)
    seconds = time.monotonic() - clock
    with ThreadPoolExecutor(max_workers=_STARTERS) as readers:
        rows = list(readers.map(lambda instance: _rows_of(subject, pool, instance), _instances(subject, pool, run)))
    completed = sum(1 for state, _, _ in rows if state == "COMPLETED")
    whole = sum(1 for _, activities, variables in rows if activities and variables)
    # The management API counts a queue every few seconds.
    counted = _wait(lambda: broker.claims(subject) - queued, subject.instances, COUNT_SECONDS)
    cached = _eligibility_keys(subject)
    wanted = f"{subject.instances} of {subject.instances}"
    name = subject.name
    return [
        passed_if(
            [each["name"] for each in engine] == ["default"],
            check="process.engine",
            host=name,
            measured=f"engines through the virtual IP: {', '.join(each['name'] for each in engine)}",
            wanted="default",
            fix="the gateway answers without an engine behind it: see the engine's journal",
        ),
        passed_if(
            finished == subject.instances,
            check="process.finished",
            host=name,
            measured=f"{finished} of {subject.instances} finished; started in {started:.1f} s,"
            f" all done in {seconds:.1f} s",
            wanted=f"{wanted} finished within {FINISH_SECONDS:.0f} s",
            fix=f"look for incidents: GET /engine-rest/incident; business keys begin with {run}",
        ),
        passed_if(
            completed == whole == len(rows) == subject.instances,
            check="process.history",
            host=name,
            measured=f"{len(rows)} instances, {completed} completed, {whole} with their activities and variables"
            f" ({sum(activities for _, activities, _ in rows)} and {sum(variables for _, _, variables in rows)} rows)",
            wanted=f"{wanted} completed, each with its rows",
            fix="the history level of the engine must be full",
        ),
        passed_if(
            counted >= subject.instances,
            check="process.claims",
            host=name,
            measured=f"{counted} more claims in the queue",
            wanted=f"at least {subject.instances} more claims",
            fix="the workers' journal says why a claim was not published",
        ),
        passed_if(
            cached > 0,
            check="process.eligibility",
            host=name,
            measured=f"{cached} answers about eligibility in the cache",
            wanted="at least 1",
            fix="the workers' journal says why Redis was not used",
        ),
    ]


def _json(subject: Subject, pool: urllib3.HTTPSConnectionPool, method: str, path: str, **options: Any) -> Any:
    """One REST call as the user `probe`.

    Raises:
        OSError: If the answer is not 200.
    """
    headers = {
        **pool.headers,
        **urllib3.make_headers(basic_auth=f"probe:{subject.secrets['engine_probe_password']}"),
    }
    answer = pool.request(method, path, headers=headers, **options)
    if answer.status != HTTP_OK:
        raise OSError(f"{method} {path}: {answer.status} {answer.data[:300].decode(errors='replace')}")
    return answer.json()


def _start(subject: Subject, pool: urllib3.HTTPSConnectionPool, run: str, number: int) -> None:
    """Start one instance, as a front end would."""
    denied = number % _DENIED_EVERY == 0
    variables = {
        "patientId": {"value": f"{run}-{number}", "type": "String"},
        "memberId": {"value": f"VERIFY-{number % 20:04d}", "type": "String"},
        "payer": {"value": "UNKNOWN" if denied else "STATUTORY", "type": "String"},
        "careType": {"value": "EMERGENCY", "type": "String"},
        "diagnosisGroup": {"value": "CARDIAC", "type": "String"},
        "chargeCents": {"value": 120_000 + number, "type": "Integer"},
    }
    path = f"/engine-rest/process-definition/key/{PROCESS_KEY}/start"
    _json(subject, pool, "POST", path, json={"businessKey": f"{run}-{number}", "variables": variables})


def _finished(subject: Subject, pool: urllib3.HTTPSConnectionPool, run: str) -> int:
    """How many of this run's instances are finished."""
    path = "/engine-rest/history/process-instance/count"
    fields = {"processInstanceBusinessKeyLike": f"{run}-%", "finished": "true"}
    return int(_json(subject, pool, "GET", path, fields=fields)["count"])


def _wait(count: Any, wanted: int, seconds: float) -> int:
    """Ask until enough are counted or time is up; the last count either way."""
    deadline = time.monotonic() + seconds
    while True:
        counted = int(count())
        if counted >= wanted or time.monotonic() >= deadline:
            return counted
        time.sleep(0.3)


def _instances(subject: Subject, pool: urllib3.HTTPSConnectionPool, run: str) -> list[tuple[str, str]]:
    """Id and state of this run's instances, as the history has them."""
    fields = {"processInstanceBusinessKeyLike": f"{run}-%", "maxResults": str(subject.instances + 1)}
    found = _json(subject, pool, "GET", "/engine-rest/history/process-instance", fields=fields)
    return [(str(each["id"]), str(each["state"])) for each in found]


def _rows_of(subject: Subject, pool: urllib3.HTTPSConnectionPool, instance: tuple[str, str]) -> tuple[str, int, int]:
    """State of one instance, and how many activities and variables the history keeps of it."""
    fields = {"processInstanceId": instance[0]}
    activities = _json(subject, pool, "GET", "/engine-rest/history/activity-instance/count", fields=fields)
    variables = _json(subject, pool, "GET", "/engine-rest/history/variable-instance/count", fields=fields)
    return instance[1], int(activities["count"]), int(variables["count"])


def _eligibility_keys(subject: Subject) -> int:
    """Cached answers on the Redis master."""
    for host in subject.group("redis"):
        with cache.connect(subject, host, 6379, user="admin") as client:
            if client.info("replication")["role"] == "master":
                return sum(1 for _ in client.scan_iter(match="app:eligibility:*", count=500))
    raise LookupError("no Redis master")
