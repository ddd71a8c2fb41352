"""Resuming, starting over, repairing: the install with real Ansible, two stages and this very machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installer.errors import ConfigurationError, PlaybookError, VerificationError
from installer.operations import whole_site
from installer.operations.checks import operation as checks
from installer.operations.install import operation as install
from installer.report import CheckResult, Report, Verdict
from tests.unit.bench import Bench, chain, results

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

CHAIN = chain("install")


def report(title: str, verdict: Verdict = Verdict.PASSED) -> Report:
    result = CheckResult(check="a.b", host="one", measured="1", wanted="1", verdict=verdict)
    return Report(title=title, site="bench", started=datetime.now(UTC), seconds=0.1, results=(result,))


@pytest.fixture
def bench(tmp_path: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # Bundle, preflight and proof need hosts of their own; the site tests run them for real.
    manifest = SimpleNamespace(identity="b1", describe=lambda: {"id": "b1", "debian": "2026-11-20"})
    monkeypatch.setattr(whole_site, "verify_bundle", lambda _context: manifest)
    monkeypatch.setattr(checks, "preflight", lambda _context: report("Preflight"))
    monkeypatch.setattr(checks, "verify", lambda _context: report("Verification"))
    monkeypatch.setattr(install, "INSTALL", CHAIN)
    return Bench(tmp_path, sockets, CHAIN)


def run(bench: Bench, *, digest: str = "d1", start_over: bool = False) -> dict[str, Any]:
    return bench.run(install.install, digest=digest, start_over=start_over)


def test_an_install_is_resumed_until_it_is_proven(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stage fails: what is done stays done, the rest waits, and everything is told.
    obstacle = Path(f"{bench.log}.break-second")
    obstacle.touch()
    with pytest.raises(PlaybookError) as failed:
        run(bench)
    said = bench.said()
    assert results(said) == {"first": "done", "second": "failed"}
    assert (said["result"], said["failed"], said["error"]["exit_code"]) == ("failed", 1, 4)
    assert said["failures"][0]["task"] == "do | Stop when asked to"
    assert Path(said["failures"][0]["log"]).is_file()
    assert failed.value.hint == "fix the cause, then resume with: ./install --inventory bench"
    assert bench.ran() == ["first", "second"]

    # Its inputs change: refused, with what has changed and nothing else.
    with CHAIN.stages[1].path(bench.root).open("a") as file:
        file.write("# changed\n")
    with pytest.raises(ConfigurationError) as refused:
        run(bench, digest="d2")
    assert "stage second (playbooks/install-second.yml)" in refused.value.message
    assert "site (" in refused.value.message
    assert "stage first" not in refused.value.message
    assert refused.value.hint.endswith("./install --inventory bench --start-over")
    assert bench.ran() == []

    # Starting over, the proof fails: nothing is trusted, the next run goes through all stages.
    obstacle.unlink()
    monkeypatch.setattr(checks, "verify", lambda _context: report("Verification", Verdict.FAILED))
    with pytest.raises(VerificationError):
        run(bench, digest="d2", start_over=True)
    assert bench.said()["error"]["exit_code"] == 5
    assert bench.ran() == ["first", "second"]
    monkeypatch.setattr(checks, "verify", lambda _context: report("Verification"))
    said = run(bench, digest="d2")
    assert (said["result"], said["changed"], said["failed"]) == ("done", 2, 0)
    assert bench.ran() == ["first", "second"]

    # Power goes while the second stage runs: only that one runs again.
    path = bench.journal.path
    lines = path.read_text().splitlines()
    cut = max(number for number, line in enumerate(lines) if '"stage begun"' in line and '"second"' in line)
    path.write_text("\n".join(lines[: cut + 1]) + "\n" + lines[cut + 1][:30])
    assert results(run(bench, digest="d2")) == {"first": "done before", "second": "done"}
    assert bench.ran() == ["second"]
    last = bench.journal.last_done()
    assert last is not None
    assert last.site == {"name": "bench", "hosts": {"one": {}}}
    assert last.begun_with.bundle == {"id": "b1", "debian": "2026-11-20"}
    assert (last.begun_with.release, last.begun_with.commit) == ("9.9.9", "1368137")
