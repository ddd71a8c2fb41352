"""Applications are data: what their files may say, and what the rest of the house makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from installer.applications import load_applications
from installer.checks.verify.process import value_of
from installer.documents import DocumentError
from installer.manifests.requirements import payloads_on
from plugins.filter import applications as filters

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "payloads" / "revenue-cycle" / "application.yml"


def _checkout(folder: Path, *edits: tuple[str, str]) -> Path:
    """A checkout with only the reference application, edited."""
    text = REFERENCE.read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "payloads" / "revenue-cycle").mkdir(parents=True)
    (folder / "payloads" / "revenue-cycle" / "application.yml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "application: revenue-cycle",
            "application: other",
            ["application is 'other'", "like its folder: revenue-cycle"],
        ),
        ("version: 1.0.0", "versoin: 1.0.0", ["versoin is not known", "did you mean version?"]),
        ("runtime: node", "runtime: cobol", ["runtime is 'cobol'", "allowed: 'node'"]),
        ("instances: 5", "instances: 0", ["instances is 0", "greater than or equal to 1"]),
        ("topics: [register-admission", 'topics: ["two words"', ["topics.0 is 'two words'"]),
        ("queue: claims, routing", "queue: other, routing", ["binds the queue other", "declared: claims"]),
        (
            "start: revenue-cycle",
            "start: other",
            ["proves itself by other", "name one of engine.processes: revenue-cycle"],
        ),
        ("queues: {claims: 1}", "queues: {other: 1}", ["proves itself by the queue other"]),
        ('text: "{run}-{number}"', 'text: "{site}"', ["only {run} and {number} are known"]),
        ("number: 120000", "number: 1, text: x", ["says text and number", "write one of"]),
        ("keys: app:*", 'keys: "app:* +@all"', ["keys is 'app:* +@all'"]),
    ],
)
def test_a_description_that_cannot_work_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    with pytest.raises(DocumentError) as refused:
        load_applications(_checkout(tmp_path, (old, new)))
    said = f"{refused.value.message} {refused.value.hint}"
    assert "payloads/revenue-cycle/application.yml" in said
    assert all(word in said for word in words), said


def _site(**edits: Any) -> dict[str, Any]:
    application = {**load_applications(ROOT)["revenue-cycle"].resolved(), **edits}
    hosts = {"app1": {"groups": ["engine", "worker"]}, "db1": {"groups": ["postgresql"]}}
    return {"hosts": hosts, "applications": {"revenue-cycle": application}}


def test_payloads_are_installed_where_the_application_says() -> None:
    assert payloads_on(_site(), "app1") == {"sitewright-worker", "sitewright-models"}
    assert payloads_on(_site(), "db1") == set()
    assert payloads_on(_site(models=None), "app1") == {"sitewright-worker"}


def test_filters_hand_on_what_the_application_says() -> None:
    site = _site()
    assert filters.application_process(site, "worker")["instances"] == 5
    assert filters.application_parts(site, "broker", "queues") == [{"name": "claims", "arguments": {}}]
    assert filters.application_grants(site, ["READ"]) == [
        {"resource": "process-definition", "id": "revenue-cycle", "permissions": ["READ"]}
    ]
    assert filters.application_models(site)[0]["directory"] == "/usr/share/sitewright/models"
    assert filters.application_cache_keys(site) == "app:*"


def test_a_site_whose_application_runs_nothing_has_no_worker() -> None:
    site = _site(processes={}, models=None, cache=None)
    assert filters.application_process(site, "worker")["instances"] == 0
    assert filters.application_models(site) == []
    assert filters.application_cache_keys(site) == "none:*"


def test_variables_of_a_proof_follow_the_instance() -> None:
    proof = load_applications(ROOT)["revenue-cycle"].resolved()["proof"]["variables"]
    values = {name: value_of(said, run="verify-1", number=21) for name, said in proof.items()}
    assert values == {
        "patientId": "verify-1-21",
        "memberId": "VERIFY-0001",
        "payer": "STATUTORY",
        "careType": "EMERGENCY",
        "diagnosisGroup": "CARDIAC",
        "chargeCents": 120_021,
    }
    assert value_of(proof["payer"], run="verify-1", number=20) == "UNKNOWN"


def test_the_house_knows_no_application_by_name() -> None:
    names: set[str] = set()
    for path in ROOT.glob("payloads/*/application.yml"):
        said = yaml.safe_load(path.read_text())
        names |= {said["application"], *said["engine"]["processes"], *said["processes"].get("worker", {})["topics"]}
        names |= {each["name"] for kind in ("queues", "exchanges") for each in said["broker"][kind]}
        names |= {process["payload"] for process in said["processes"].values()} - {"sitewright-worker"}
    assert len(names) >= 7
    rooms = ("installer", "roles", "playbooks", "plugins")
    files = [path for room in rooms for path in (ROOT / room).rglob("*") if path.suffix in {".py", ".yml", ".j2"}]
    assert len(files) > 200
    # A name that is an ordinary word counts where it stands as a value.
    patterns = {name: name if "-" in name else rf"""(["'] ?|: ){name}(["']|$)""" for name in names}
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name, pattern in patterns.items()
        if re.search(pattern, path.read_text(), re.MULTILINE)
    ]
    assert found == []
