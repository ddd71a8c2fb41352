"""The workers and models as the bundle builds them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

PAYLOADS = Path(__file__).resolve().parents[2] / "payloads" / "revenue-cycle"
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
DMN = "{https://www.omg.org/spec/DMN/20191111/MODEL/}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
CAMUNDA_DMN = "{http://camunda.org/schema/1.0/dmn}"


def _build(payload: str, target: Path) -> Path:
    argv = [PAYLOADS / payload / "build", target]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target


def _contents(tree: Path) -> dict[str, str]:
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _process() -> ET.Element:
    process = ET.parse(PAYLOADS / "models" / "revenue-cycle.bpmn").getroot().find(f"{BPMN}process")  # noqa: S314 - our own file
    assert process is not None
    return process


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker's package tree."""
    return _build("worker", tmp_path_factory.mktemp("worker"))


def test_tests_of_the_worker_pass(worker: Path, tmp_path: Path) -> None:
    program = tmp_path / "worker"
    shutil.copytree(worker / "usr/lib/sitewright/worker", program, symlinks=True)
    shutil.copytree(PAYLOADS / "worker" / "test", program / "test")
    node = shutil.which("node") or "node"
    done = subprocess.run([node, "--test"], cwd=program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_builds_of_the_worker_are_the_same(worker: Path, tmp_path: Path) -> None:
    assert _contents(_build("worker", tmp_path)) == _contents(worker)


def test_worker_is_built_of_exact_versions_with_checksums(worker: Path) -> None:
    assert not list(worker.rglob("node_modules/.package-lock.json"))
    lock = (PAYLOADS / "worker" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')


def test_models_package_holds_process_table_and_form(tmp_path: Path) -> None:
    models = _build("models", tmp_path) / "usr/share/sitewright/models"
    assert sorted(path.name for path in models.iterdir()) == [
        "assign-codes.dmn",
        "revenue-cycle.bpmn",
        "review-coding.form",
    ]


def test_every_topic_of_the_process_has_a_handler_and_the_other_way_round() -> None:
    modelled = {task.get(f"{CAMUNDA}topic") for task in _process().iter(f"{BPMN}serviceTask")}
    handlers = (PAYLOADS / "worker" / "src" / "handlers.js").read_text()
    assert len(modelled) == 5
    for topic in modelled:
        assert f"'{topic}': {{" in handlers


def test_history_of_process_and_decision_ends_some_day() -> None:
    decision = ET.parse(PAYLOADS / "models" / "assign-codes.dmn").getroot().find(f"{DMN}decision")  # noqa: S314 - our own file
    assert decision is not None
    assert decision.get(f"{CAMUNDA_DMN}historyTimeToLive") == "P180D"
    assert _process().get(f"{CAMUNDA}historyTimeToLive") == "P180D"


def test_process_is_bound_to_the_table_and_the_form_of_its_own_deployment() -> None:
    process = _process()
    decision, review = process.find(f"{BPMN}businessRuleTask"), process.find(f"{BPMN}userTask")
    assert decision is not None
    assert review is not None
    assert decision.get(f"{CAMUNDA}decisionRef") == "assign-codes"
    assert decision.get(f"{CAMUNDA}decisionRefBinding") == "deployment"
    assert review.get(f"{CAMUNDA}formRef") == "review-coding"
    assert review.get(f"{CAMUNDA}formRefBinding") == "deployment"


def test_every_flow_of_the_process_ends_somewhere_and_is_drawn() -> None:
    process = _process()
    nodes = {node.get("id") for node in process if node.tag != f"{BPMN}sequenceFlow"}
    flows = list(process.iter(f"{BPMN}sequenceFlow"))
    drawn = (PAYLOADS / "models" / "revenue-cycle.bpmn").read_text()
    for flow in flows:
        assert {flow.get("sourceRef"), flow.get("targetRef")} <= nodes
        assert f'bpmnElement="{flow.get("id")}"' in drawn
