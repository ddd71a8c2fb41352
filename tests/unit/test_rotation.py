"""When certificates may be rotated, and which count as too old; with real Ansible, two stages and this very machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installer.errors import ConfigurationError, PlaybookError
from installer.operations import whole_site
from installer.operations.checks import operation as checks
from installer.operations.context import OperationContext
from installer.operations.install import operation as install
from installer.operations.rotation import certificates
from installer.report import CheckResult, Report, Verdict
from tests.unit.bench import Bench, chain, results

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

CHAIN = chain("install")


@pytest.fixture
def bench(tmp_path: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # Bundle, preflight and proof need hosts of their own; the site tests run them for real.
    manifest = SimpleNamespace(identity="b1", describe=lambda: {"id": "b1"})
    monkeypatch.setattr(whole_site, "verify_bundle", lambda _context: manifest)
    result = CheckResult(check="a.b", host="one", measured="1", wanted="1", verdict=Verdict.PASSED)
    report = Report(title="Looked", site="bench", started=datetime.now(UTC), seconds=0.1, results=(result,))
    monkeypatch.setattr(checks, "preflight", lambda _context: report)
    monkeypatch.setattr(checks, "verify", lambda _context: report)
    monkeypatch.setattr(install, "INSTALL", CHAIN)
    monkeypatch.setattr(certificates, "INSTALL", CHAIN)
    bench = Bench(tmp_path, sockets, CHAIN)
    # The second stage tells which certificates it was told to renew.
    path = CHAIN.stages[1].path(bench.root)
    told = "{{ sitewright_certificates_older_than | default('none') }}"
    path.write_text(path.read_text().replace("echo second", f"echo {told}"))
    return bench


def rotate(bench: Bench, **given: Any) -> dict[str, Any]:
    return bench.run(certificates.rotate_certificates, verb="rotate", **given)


def test_a_site_that_was_never_installed_has_nothing_to_rotate(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="which this one was not") as refused:
        rotate(bench)
    assert refused.value.hint == "install it first: ./install --inventory bench"
    assert bench.ran() == []
    assert bench.journal.operations() == []


def test_what_changed_since_the_install_is_named_and_comes_first(bench: Bench) -> None:
    bench.run(install.install)
    assert bench.ran() == ["first", "none"]
    with pytest.raises(ConfigurationError) as refused:
        rotate(bench, digest="d2")
    assert refused.value.message.startswith("since the install begun ")
    assert "certificate-rotation does not bring to the site: site (" in refused.value.message
    assert refused.value.hint.endswith("bring the site to it first: ./install --inventory bench")
    assert bench.ran() == []
    bench.run(install.install, digest="d2")
    bench.ran()
    assert results(rotate(bench, digest="d2")) == {"first": "done", "second": "done"}
    # A rotation leaves a verified site behind: the next one, and an install, may begin.
    rotate(bench, digest="d2")
    bench.run(install.install, digest="d2")


def test_a_resumed_rotation_renews_what_was_signed_before_it_first_began(bench: Bench) -> None:
    bench.run(install.install)
    bench.ran()
    obstacle = Path(f"{bench.log}.break-second")
    obstacle.touch()
    with pytest.raises(PlaybookError):
        rotate(bench)
    first, before = bench.ran()
    with pytest.raises(ConfigurationError, match=r"the certificate-rotation begun .* is not finished; install has to"):
        bench.run(install.install)
    obstacle.unlink()
    assert results(rotate(bench)) == {"first": "done before", "second": "done"}
    assert (first, *bench.ran()) == ("first", before)
    # The begin of the validity of what is signed now, which is an hour ago for hosts whose clock is behind.
    began = bench.journal.operations()[-1].started
    assert datetime.fromisoformat(before) == began.replace(microsecond=0) - timedelta(hours=1)


def test_the_hospitals_own_certificates_are_told_to_stay(bench: Bench, tmp_path: Path) -> None:
    own = tmp_path / "certificates"
    own.mkdir()
    (own / "ca.crt").write_text("the hospital's\n")

    def with_own(context: OperationContext, operation: Any) -> None:
        context.site.certificates_directory = own  # type: ignore[misc]  # the bench's site is a plain namespace
        operation(context)

    bench.run(lambda context: with_own(context, install.install))
    said = bench.run(lambda context: with_own(context, certificates.rotate_certificates), verb="rotate")
    assert said["custom_certificates"] == str(own)
