"""Who may connect becomes lines of pg_hba.conf."""

from __future__ import annotations

from plugins.filter.postgresql_access import postgresql_hba


def test_each_network_of_a_rule_is_a_line_that_demands_tls() -> None:
    rule = {"database": "engine", "user": "engine", "networks": ["10.0.0.1/32", "10.0.0.2/32"]}
    assert postgresql_hba([rule]) == [
        "hostssl engine engine 10.0.0.1/32 scram-sha-256",
        "hostssl engine engine 10.0.0.2/32 scram-sha-256",
    ]


def test_a_certificate_is_demanded_where_the_rule_says_so() -> None:
    rule = {"database": "all", "user": "dba", "networks": ["10.0.0.0/24"], "client_certificate": True}
    assert postgresql_hba([rule]) == ["hostssl all dba 10.0.0.0/24 scram-sha-256 clientcert=verify-ca"]
