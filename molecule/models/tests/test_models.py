"""What the database says was deployed: each model once, however often the role ran."""

from __future__ import annotations

import pytest
from testinfra.host import Host


def _query(host: Host, statement: str) -> list[str]:
    return host.check_output("runuser -u postgres -- psql -d engine -Atqc %s", statement).splitlines()


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("act_re_procdef", "revenue-cycle"),
        ("act_re_decision_def", "assign-codes"),
        ("act_re_camformdef", "review-coding"),
    ],
)
def test_model_is_deployed_exactly_once(host: Host, table: str, key: str) -> None:
    assert _query(host, f"select key_, version_ from {table}") == [f"{key}|1"]  # noqa: S608 - our own words


def test_models_came_as_one_deployment(host: Host) -> None:
    assert _query(host, "select name_, source_ from act_re_deployment") == ["revenue-cycle|sitewright"]


def test_bytes_in_the_engine_are_those_of_the_package(host: Host) -> None:
    stored = _query(host, "select encode(sha256(bytes_), 'hex') from act_ge_bytearray where deployment_id_ is not null")
    files = host.check_output("sha256sum /usr/share/sitewright/models/*").splitlines()
    assert sorted(stored) == sorted(line.split()[0] for line in files)
