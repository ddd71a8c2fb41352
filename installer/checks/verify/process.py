"""The proof that matters: process instances started as a user would, through every tier."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import urllib3
from redis.exceptions import RedisError

from installer.report import CheckResult, passed_if
from installer.services.health import rabbitmq, redis
from installer.services.health.answers import in_words
from installer.services.health.subject import HTTP_OK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from installer.services.health.subject import Subject

COUNT_SECONDS: Final = 20.0
_STARTERS: Final = 8
# The engine answers with at most 2000 rows; an instance of a process has about 15 variables.
_PAGE: Final = 1000
_INSTANCES_AT_ONCE: Final = 50


def check(subject: Subject) -> list[CheckResult]:
    """Start each application's instances through the virtual IP and follow them into history, queue and cache.

    A tier that gives no answer is a failed check of its own, and hides neither the others nor other applications.
    """
    engine = _json(subject, subject.gateway(), "GET", "/engine-rest/engine", known=False)
    pool = subject.machines()
    results = [
        passed_if(
            [each["name"] for each in engine] == ["default"],
            check="process.engine",
            host=subject.name,
            measured=f"engines through the virtual IP: {', '.join(each['name'] for each in engine)}",
            wanted="default",
            fix="the gateway answers without an engine behind it: see the engine's journal",
        )
    ]
    for name, application in subject.site["applications"].items():
        proof = application["proof"]
        if proof is not None:
            results += _answered(subject, name, partial(_prove, subject, pool, name, proof))
    return results


def _answered(subject: Subject, what: str, ask: Callable[[], list[CheckResult]]) -> list[CheckResult]:
    """What was found; an unanswered question is a failed check that says who was asked for what."""
    try:
        return ask()
    except Exception as error:  # each client raises its own kinds; all of them are a failed check, in its words
        return [
            passed_if(
                False,
                check="process.answers",
                host=subject.name,
                measured=f"{what}: {in_words(error)}",
                wanted="an answer",
                fix="look at the service's journal on the hosts named; `status` shows which units run",
            )
        ]


def _prove(
    subject: Subject, pool: urllib3.HTTPSConnectionPool, application: str, proof: Mapping[str, Any]
) -> list[CheckResult]:
    """One application's proof."""
    run = f"verify-{secrets.token_hex(4)}"
    times, limit = int(proof["times"]), float(proof["finished_within_seconds"])
    before = {queue: rabbitmq.waiting(subject, queue) for queue in proof["queues"]}
    clock = time.monotonic()
    with ThreadPoolExecutor(max_workers=_STARTERS) as starters:
        list(starters.map(lambda number: _start(subject, pool, proof, run, number), range(times)))
    started = time.monotonic() - clock
    finished = _wait(lambda: _finished(subject, pool, run), times, limit)
    seconds = time.monotonic() - clock
    instances = _instances(subject, pool, run, times)
    activities = _activities(subject, pool, instances)
    variables = _variables(subject, pool, instances)
    completed = sum(1 for each in instances if each["state"] == "COMPLETED")
    whole = sum(1 for each in instances if activities[each["id"]] and variables[each["id"]])
    wanted = f"{times} of {times}"
    results = [
        passed_if(
            finished == times,
            check="process.finished",
            host=subject.name,
            measured=f"{application}: {finished} of {times} finished; started in {started:.1f} s,"
            f" all done in {seconds:.1f} s",
            wanted=f"{wanted} finished within {limit:.0f} s",
            fix=f"look for incidents: GET /engine-rest/incident; business keys begin with {run}",
        ),
        passed_if(
            completed == whole == len(instances) == times,
            check="process.history",
            host=subject.name,
            measured=f"{application}: {len(instances)} instances, {completed} completed, {whole} with their activities"
            f" and variables ({activities.total()} and {variables.total()} rows)",
            wanted=f"{wanted} completed, each with its rows",
            fix="the history level of the engine must be full",
        ),
    ]
    for queue, each in proof["queues"].items():
        what = f"{application}: messages in the queue {queue}"
        results += _answered(subject, what, partial(_queued, subject, queue, before[queue], times * each))
    for keys, least in proof["cache"].items():
        what = f"{application}: keys {keys} in the cache"
        results += _answered(subject, what, partial(_cached, subject, keys, least))
    return results


def _queued(subject: Subject, queue: str, before: int, more: int) -> list[CheckResult]:
    """A worker publishes before it completes its task, so nothing should be missing by now."""
    counted = _wait(lambda: rabbitmq.waiting(subject, queue) - before, more, COUNT_SECONDS)
    result = passed_if(
        counted >= more,
        check="process.queue",
        host=subject.name,
        measured=f"{counted} more messages in the queue {queue}",
        wanted=f"at least {more} more",
        fix="the workers' journal says why a message was not published",
    )
    return [result]


def _cached(subject: Subject, keys: str, least: int) -> list[CheckResult]:
    found = _keys(subject, keys)
    result = passed_if(
        found >= least,
        check="process.cache",
        host=subject.name,
        measured=f"{found} keys {keys} in the cache",
        wanted=f"at least {least}",
        fix="the workers' journal says why Redis was not used",
    )
    return [result]


def _json(
    subject: Subject, pool: urllib3.HTTPSConnectionPool, method: str, path: str, *, known: bool = True, **options: Any
) -> Any:
    """One REST call as the user `probe`, or as somebody unknown.

    Raises:
        OSError: If the answer is not 200.
    """
    login = f"probe:{subject.secrets['engine_probe_password']}"
    headers = {**pool.headers, **(urllib3.make_headers(basic_auth=login) if known else {})}
    answer = pool.request(method, path, headers=headers, **options)
    if answer.status != HTTP_OK:
        raise OSError(f"{method} {path}: {answer.status} {answer.data[:300].decode(errors='replace')}")
    return answer.json()


def _start(
    subject: Subject, pool: urllib3.HTTPSConnectionPool, proof: Mapping[str, Any], run: str, number: int
) -> None:
    """Start one instance, as a front end would."""
    variables = {
        name: {"value": value_of(said, run=run, number=number), "type": said["type"]}
        for name, said in proof["variables"].items()
    }
    path = f"/engine-rest/process-definition/key/{proof['start']}/start"
    _json(subject, pool, "POST", path, json={"businessKey": f"{run}-{number}", "variables": variables})


def value_of(said: Mapping[str, Any], *, run: str, number: int) -> str | int | bool:
    """A variable of one instance, as the application's proof says it (see `installer.applications.schema.Variable`).

    Args:
        said: The variable.
        run: This proof's own word.
        number: The instance's number, from 0.
    """
    turn = number % said["modulo"] if said["modulo"] else number
    if said["text"] is not None:
        return str(said["text"]).format(run=run, number=turn)
    if said["number"] is not None:
        return int(said["number"]) + turn
    value: str | int | bool = said["cycle"][turn % len(said["cycle"])]
    return value


def _finished(subject: Subject, pool: urllib3.HTTPSConnectionPool, run: str) -> int:
    """How many of this run's instances are finished."""
    path = "/engine-rest/history/process-instance/count"
    fields = {"processInstanceBusinessKeyLike": f"{run}-%", "finished": "true"}
    return int(_json(subject, pool, "GET", path, fields=fields)["count"])


def _wait(count: Any, wanted: int, seconds: float) -> int:
    """Ask until enough are counted or time is up; the last count either way.

    Asking costs the site work as well: while much is missing, it is asked less often.
    """
    deadline = time.monotonic() + seconds
    while True:
        counted = int(count())
        if counted >= wanted or time.monotonic() >= deadline:
            return counted
        time.sleep(min(2.0, 0.3 + (wanted - counted) / 100))


def _instances(subject: Subject, pool: urllib3.HTTPSConnectionPool, run: str, times: int) -> list[dict[str, Any]]:
    """This run's instances, as the history has them."""
    fields = {"processInstanceBusinessKeyLike": f"{run}-%", "maxResults": str(times + 1)}
    found: list[dict[str, Any]] = _json(subject, pool, "GET", "/engine-rest/history/process-instance", fields=fields)
    return found


def _activities(
    subject: Subject, pool: urllib3.HTTPSConnectionPool, instances: Sequence[Mapping[str, Any]]
) -> Counter[str]:
    """How many activities the history keeps of each instance; others of the same time are passed over.

    The engine cannot be asked for the activities of many instances, only for those of a time (tried: it
    ignores `processInstanceIdIn` here), and one question for each instance cost more than the instances.
    """
    if not instances:
        return Counter()
    mine = {each["id"] for each in instances}
    asked = {
        "processDefinitionId": instances[0]["processDefinitionId"],
        "startedAfter": min(each["startTime"] for each in instances),
        "sorting": [{"sortBy": "activityInstanceId", "sortOrder": "asc"}],
    }
    counted: Counter[str] = Counter()
    first, rows = 0, _PAGE
    while rows == _PAGE:
        path = f"/engine-rest/history/activity-instance?firstResult={first}&maxResults={_PAGE}"
        page = _json(subject, pool, "POST", path, json=asked)
        counted.update(row["processInstanceId"] for row in page if row["processInstanceId"] in mine)
        first, rows = first + _PAGE, len(page)
    return counted


def _variables(
    subject: Subject, pool: urllib3.HTTPSConnectionPool, instances: Sequence[Mapping[str, Any]]
) -> Counter[str]:
    """How many variables the history keeps of each instance."""
    counted: Counter[str] = Counter()
    path = f"/engine-rest/history/variable-instance?maxResults={_PAGE}&deserializeValues=false"
    for first in range(0, len(instances), _INSTANCES_AT_ONCE):
        some = instances[first : first + _INSTANCES_AT_ONCE]
        rows = _json(subject, pool, "POST", path, json={"processInstanceIdIn": [each["id"] for each in some]})
        counted.update(row["processInstanceId"] for row in rows)
    return counted


def _keys(subject: Subject, pattern: str) -> int:
    """Keys of a pattern on the Redis master, whichever node it is.

    Raises:
        LookupError: If none is, with every node that gives no answer.
    """
    silent = []
    for host in subject.group("redis"):
        try:
            with redis.connect(subject, host, user="admin") as client:
                if client.info("replication")["role"] == "master":
                    return sum(1 for _ in client.scan_iter(match=pattern, count=500))
        except RedisError as error:
            silent.append(f"{host.name} ({in_words(error)})")
    raise LookupError("no Redis master" + (f"; no answer from {', '.join(silent)}" if silent else ""))
