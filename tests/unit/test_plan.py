"""A plan made of what modules say: changes put together, values old to new, secrets hidden, page and text alike."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from installer.console.terminal import Terminal
from installer.operations.plan import page
from installer.operations.plan.collect import Frame, Observed, make_plan
from installer.operations.plan.model import Plan
from installer.operations.plan.text import lines_of

CANARY = "c4naryOfTheVault"
FRAME = Frame(
    site="hospital",
    operation="install",
    made="2026-11-25 00:00:00 UTC",
    addresses={"db1": "10.0.0.1", "db2": "10.0.0.2", "svc1": "10.0.0.3"},
    stages=("base", "database", "cache"),
)


def redact(text: str) -> str:
    terminal = Terminal()
    terminal.hide([CANARY])
    return terminal.redact(text)


def seen(host: str, *changes: dict[str, Any], stage: str = "database", changed: bool = True, **plan: Any) -> Observed:
    details = ({"plan": {"changes": list(changes), **plan}},)
    return Observed(stage=stage, host=host, task="role : do | It", changed=changed, details=details)


def made(*observed: Observed) -> Plan:
    return make_plan(observed, FRAME, redact=redact)


def setting(new: str) -> dict[str, Any]:
    return {"kind": "setting", "name": "max_connections", "old": "100", "new": new}


def test_the_same_change_on_two_hosts_is_one() -> None:
    plan = made(seen("db2", setting("130")), seen("db1", setting("130")))
    (change,) = plan.changes
    assert change.hosts == ("db1", "db2")
    assert change.title == "max_connections 100 -> 130"


def test_what_two_stages_ask_for_is_told_once() -> None:
    plan = made(seen("db1", setting("130"), stage="base"), seen("db1", setting("130")))
    assert [change.stage for change in plan.changes] == ["base"]


def test_different_values_stay_apart() -> None:
    assert len(made(seen("db2", setting("130")), seen("db1", setting("131"))).changes) == 2


def test_a_site_as_it_should_be_has_an_empty_plan() -> None:
    plan = made(seen("db1", changed=False), seen("db2", changed=False))
    assert plan.verdict == "install would change nothing"
    assert list(lines_of(plan)) == []


def test_a_change_nobody_explains_is_named_after_its_task_and_not_left_out() -> None:
    hidden = Observed(stage="cache", host="svc1", task="redis : do | It", changed=True, details=({"censored": "x"},))
    (change,) = made(hidden).changes
    assert (change.kind, change.name, change.note) == ("task", "redis : do | It", "changed, hidden")


def test_an_interruption_names_service_order_and_reason() -> None:
    unit = {"name": "patroni.service", "active": True, "action": "none", "stale": [], "on_stale": "report"}
    units = [{**unit, "watch": ["/etc/patroni/openssl.cnf"]}]
    file = {"kind": "file", "name": "/etc/patroni/openssl.cnf", "lines": ["-a", "+b"]}
    plan = made(
        seen("db1", file),
        seen("db2", file),
        seen("db1", changed=False, units=units),
        seen("db2", changed=False, units=units, last={"patroni.service": "10.0.0.1"}),
    )
    (one,) = plan.interrupted
    assert (one.service, one.hosts, one.why) == ("PostgreSQL", ("db2", "db1"), ("/etc/patroni/openssl.cnf",))
    assert plan.verdict == "install would change 1 thing on 2 of 3 hosts and interrupt PostgreSQL"
    assert "    because of /etc/patroni/openssl.cnf" in lines_of(plan)


def test_what_a_module_declares_is_told_with_its_hosts_names() -> None:
    act = {"unit": "patroni.service", "act": "restart of the server", "what": "restart", "note": "perhaps"}
    declared = {**act, "nodes": ["db2", "10.0.0.1"], "why": "x"}
    (one,) = made(seen("db1", setting("130"), interrupts=[declared])).interrupted
    assert one.hosts == ("db2", "db1")
    assert one.title == "PostgreSQL restarts on db2, then db1: about 5 s without writes, perhaps"


def test_a_builtin_modules_diff_is_shown_with_its_path() -> None:
    diff = {"before": "a\nb\n", "after": "a\nc\n", "after_header": "/etc/x"}
    plan = made(Observed(stage="base", host="db1", task="t", changed=True, details=({"diff": diff},)))
    (change,) = plan.changes
    assert (change.kind, change.name, change.lines[-2:]) == ("file", "/etc/x", ("-b", "+c"))


def test_packages_are_told_with_their_versions() -> None:
    older = [{"name": "redis-server", "installed": "5:8.0.2-1", "wanted": "5:8.0.5-1"}]
    detail = {
        "missing": ["nginx"],
        "older": older,
        "diff": {"before": "x", "after": "nginx 1.26.3-3\nredis-server 5:8\n"},
    }
    plan = made(Observed(stage="base", host="db1", task="t", changed=True, details=(detail,)))
    assert [change.title for change in plan.changes] == [
        "nginx -> 1.26.3-3 (new)",
        "redis-server 5:8.0.2-1 -> 5:8.0.5-1",
    ]


def test_packages_newer_than_the_bundles_are_told_though_nothing_changes() -> None:
    newer = {"missing": [], "newer": [{"name": "curl", "installed": "8.15-1", "wanted": "8.14-2"}]}
    rows = [
        Observed(stage=stage, host=host, task="t", changed=False, details=(newer,))
        for host in ("db2", "db1")
        for stage in ("base", "database")
    ]
    plan = made(*rows)
    assert plan.changes == ()
    words = "curl 8.15-1 is newer than the bundle's 8.14-2, and stays, on db1 db2"
    assert plan.kept == (words,)
    assert words in list(lines_of(plan))
    assert plan.to_json()["kept"] == [words]


def test_a_known_secret_is_nowhere_even_if_a_module_breaks_its_promise(tmp_path: Path) -> None:
    change = {"kind": "file", "name": "/etc/x", "old": CANARY, "lines": [f"+password {CANARY}"]}
    plan = made(
        seen(
            "db1",
            change,
            interrupts=[dict.fromkeys(("unit", "act", "what", "note", "why"), CANARY) | {"nodes": [CANARY]}],
        )
    )
    written = page.write(plan, tmp_path)
    shown = [*lines_of(plan), json.dumps(plan.to_json()), written.read_text(), (tmp_path / "plan.json").read_text()]
    assert not any(CANARY in text for text in shown)
    assert "[hidden]" in shown[0] + shown[1]


class _Outside(HTMLParser):
    """Collects everything a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes that load something."""
        self.found += [f"{tag} {value}" for name, value in attrs if name in {"src", "href"} and value]


def test_the_page_holds_every_fact_escapes_them_and_loads_nothing() -> None:
    evil = {"kind": "file", "name": "/etc/<script>alert(1)</script>", "lines": ["-<b>", "+</pre>", "@@ -1 +1 @@"]}
    html = page.render(made(seen("db1", evil), seen("db2", setting("130"))))
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<del>-&lt;b&gt;</del><ins>+&lt;/pre&gt;</ins>" in html
    assert "max_connections 100 -&gt; 130" in html
    parser = _Outside()
    parser.feed(html)
    assert parser.found == []


def test_stages_that_could_not_be_tried_are_named() -> None:
    frame = Frame(
        site="s", operation="install", made="now", addresses={"a": "1"}, stages=("base",), unknown=("engine",)
    )
    assert any("stage engine" in line for line in lines_of(make_plan([], frame, redact=redact)))
