"""A rotation writes the vault once, goes on with what it wrote, and has a stage for whoever holds a secret."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from installer.controller import files
from installer.documents import DocumentError
from installer.errors import ConfigurationError, PlaybookError, VerificationError
from installer.manifests import SecretSpec, load_manifests
from installer.operations.context import OperationContext
from installer.operations.staged import Material, carry_out
from installer.operations.summary import Summary
from installer.pki import change_passphrase, ensure_authority, open_authority
from installer.pki.authority import KEY_FILE, AuthorityError
from installer.stages import kinds
from installer.stages.digests import secrets_input, shared_files
from installer.stages.journal import Input
from installer.stages.rotation import FORGET, SECRET_ROTATION
from installer.vault import VaultError, catalog, choose, forget, is_pending, read_vault, renew
from installer.vault import vault as vault_module
from installer.vault.vault import write_vault
from tests.unit.bench import Bench
from tests.unit.test_staged import MOVE, TIDY, work

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "the vault's"
SPECS = {
    "cache_password": SecretSpec(name="cache_password", length=8, rotation="both"),
    "broker_password": SecretSpec(name="broker_password", length=8, rotation="switched"),
    "seal": SecretSpec(name="seal", length=8, rotation="kept", reason="it is printed on paper"),
}
CONTENT = {
    "vault_become_password": "sudo's own",
    "vault_broker_password": "not of ours, by an operator",
    "vault_cache_password": "abcd1234",
    "vault_seal": "seal5678",
}
SECRETS = {name.removeprefix("vault_"): value for name, value in CONTENT.items()}


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    path = tmp_path / "vault.yml"
    write_vault(path, PASSWORD, CONTENT)
    return path


def test_only_what_the_installer_made_is_rotated_and_the_rest_is_named_with_its_reason() -> None:
    choice = choose(SPECS, SECRETS)
    assert [spec.name for spec in choice.rotated] == ["cache_password"]
    assert choice.left == {
        "become_password": "it is not one the installer makes",
        "broker_password": "somebody gave it a value of their own",
        "seal": "it is printed on paper",
    }
    # While it is rotated, it is still the same choice.
    assert choose(SPECS, {**SECRETS, "cache_password": "new45678", "previous_cache_password": "abcd1234"}) == choice


def test_new_values_are_made_once_and_the_previous_ones_stay_until_they_are_forgotten(vault: Path) -> None:
    rotated = choose(SPECS, SECRETS).rotated
    assert renew(vault, PASSWORD, rotated)
    first = read_vault(vault, PASSWORD)
    assert first["vault_previous_cache_password"] == CONTENT["vault_cache_password"]
    assert first["vault_cache_password"] != CONTENT["vault_cache_password"]
    assert len(first["vault_cache_password"]) == 8
    kept = {name: value for name, value in CONTENT.items() if name != "vault_cache_password"}
    assert kept.items() <= first.items()
    assert vault.stat().st_mode & 0o777 == 0o600

    assert not renew(vault, PASSWORD, rotated)  # resumed: the same again
    assert read_vault(vault, PASSWORD) == first

    assert forget(vault, PASSWORD)
    assert read_vault(vault, PASSWORD) == {**kept, "vault_cache_password": first["vault_cache_password"]}
    assert not forget(vault, PASSWORD)


def test_a_vault_that_cannot_be_written_is_the_old_one(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    before = vault.read_bytes()
    monkeypatch.setattr(vault_module, "write_atomically", full)
    with pytest.raises(VaultError, match="No space left"):
        renew(vault, PASSWORD, choose(SPECS, SECRETS).rotated)
    assert vault.read_bytes() == before
    assert files.write_atomically is not full


def test_previous_values_tell_that_a_rotation_was_begun_and_count_for_nothing_on_record() -> None:
    now = {"ca_passphrase": "key", "cache_password": "new"}
    assert not is_pending(now)
    assert is_pending({**now, "previous_cache_password": "old"})
    assert secrets_input({**now, "previous_cache_password": "old"}) == secrets_input(now)


def test_authorities_open_with_the_new_passphrase_alone_however_often_it_is_changed(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "database"):
        ensure_authority(folder, "old", name="clinic")
    certificates = {path: path.read_bytes() for path in tmp_path.rglob("ca.crt")}
    assert len(certificates) == 2
    assert change_passphrase(tmp_path / "database", "old", "new")  # killed between the two
    assert change_passphrase(tmp_path, "old", "new")
    assert not change_passphrase(tmp_path, "old", "new")
    for folder in (tmp_path, tmp_path / "database"):
        open_authority(folder, "new")
        assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
        with pytest.raises(AuthorityError, match="does not open"):
            open_authority(folder, "old")
    assert {path: path.read_bytes() for path in certificates} == certificates
    with pytest.raises(AuthorityError, match="does not open"):
        change_passphrase(tmp_path, "another", "third")


def test_every_stage_whose_wiring_holds_a_secret_is_rotated() -> None:
    SECRET_ROTATION.check(ROOT)
    wired = {
        path.stem
        for path in (ROOT / "playbooks" / "group_vars" / "all").glob("*.yml")
        if re.search(r"\bvault_", path.read_text())
    }
    # The private key is encrypted anew on the controller; models are deployed with a password and keep none.
    wired -= {"certificates", "models"}
    covered = {name for stage in SECRET_ROTATION.stages for name in stage.interrupts}
    assert wired <= covered, wired - covered
    names = [stage.name for stage in SECRET_ROTATION.stages]
    assert names[0] == "facts"
    assert names[-1] == FORGET
    assert set(SECRET_ROTATION.stages[-1].needs) == set(names[1:-1])
    playbooks = {stage.name: stage.playbook for stage in SECRET_ROTATION.stages}
    assert playbooks["worker"] == "rotate-workers.yml"
    # What the rotation alone runs counts for every operation, so that the next one finds nothing changed.
    assert {ROOT / "playbooks" / f"rotate-{name}.yml" for name in ("workers", "forget")} <= set(shared_files(ROOT))


def test_what_is_accepted_twice_is_given_twice_and_forgotten() -> None:
    wiring = "".join(path.read_text() for path in (ROOT / "playbooks" / "group_vars" / "all").glob("*.yml"))
    forgets = (ROOT / "playbooks" / "rotate-forget.yml").read_text()
    pauses = (ROOT / "playbooks" / "rotate-workers.yml").read_text()
    for manifest in load_manifests(ROOT).values():
        for spec in manifest.secrets.values():
            if spec.rotation in {"both", "paused"}:
                assert f"vault_previous_{spec.name}" in wiring, spec.name
            if spec.rotation == "both":
                assert f"role: {manifest.role}\n" in forgets, spec.name
            if spec.rotation == "paused":
                assert f"role: {manifest.role}\n" in pauses, spec.name


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("{length: 32}", "rotation"),
        ("{length: 32, rotation: sometime}", "sometime"),
        ("{length: 32, rotation: kept}", "has no reason"),
    ],
)
def test_a_secret_says_how_it_is_rotated_or_why_not(tmp_path: Path, said: str, problem: str) -> None:
    path = tmp_path / "roles" / "cache" / "meta" / "sitewright.yml"
    path.parent.mkdir(parents=True)
    path.write_text(f"group: redis\nsecrets:\n  cache_password: {said}\n")
    with pytest.raises(DocumentError, match=problem):
        load_manifests(tmp_path)


def test_every_secret_stands_on_the_operators_page_with_its_rotation() -> None:
    page = (ROOT / "docs" / "secrets.md").read_text()
    for spec in catalog(load_manifests(ROOT)).values():
        assert re.search(rf"^\| `{spec.name}` \| {spec.rotation} \| .+ \|$", page, re.MULTILINE), spec.name
    assert yaml.safe_load((ROOT / "playbooks" / "rotate-forget.yml").read_text())


def test_what_begins_is_on_record_with_what_it_brings_and_is_not_begun_again(tmp_path: Path, sockets: Path) -> None:
    bench = Bench(tmp_path, sockets, MOVE)
    bench.lay_down(TIDY)
    begun: list[str] = []
    target = {"now": Input(digest="t1")}

    def begin() -> dict[str, Input]:
        begun.append("made")
        target["now"] = Input(digest="t2")
        return {"target": target["now"]}

    rotating = replace(
        work("move"),
        kind=kinds.Kind(name="move", changes=frozenset({"target"})),
        prepare=lambda: Material(inputs={"target": target["now"]}, bundle={}),
        begin=begin,
        stands_on=TIDY,
    )

    def rotate(context: OperationContext) -> None:
        carry_out(context, rotating)

    with pytest.raises(ConfigurationError, match="installed and verified from here"):
        bench.run(rotate, verb="move")
    bench.run(lambda context: carry_out(context, work("tidy")), verb="tidy")
    assert bench.ran() == ["first", "second"]
    assert begun == []
    obstacle = Path(f"{bench.log}.break-second")
    obstacle.touch()
    with pytest.raises(PlaybookError):
        bench.run(rotate, verb="move")
    obstacle.unlink()
    bench.ran()
    bench.run(rotate, verb="move")
    assert bench.ran() == ["second"]
    assert begun == ["made"]
    last = bench.journal.last_done("move")
    assert last is not None
    assert last.inputs["target"].digest == "t2"
    assert {name for name in last.inputs if name.startswith("stage ")} == {"stage first", "stage second"}


def test_only_the_verification_of_a_rotation_is_repeated_and_nothing_else_runs_before(
    tmp_path: Path, sockets: Path
) -> None:
    bench = Bench(tmp_path, sockets, MOVE)
    bench.lay_down(TIDY)
    failing = [True]

    def verify(_summary: Summary) -> None:
        if failing[0]:
            raise VerificationError("it does not answer", hint="look there")

    rotating = replace(work("move"), verify=verify, resumes_unverified=True)
    with pytest.raises(VerificationError):
        bench.run(lambda context: carry_out(context, rotating), verb="move")
    assert bench.ran() == ["first", "second"]
    with pytest.raises(ConfigurationError, match="tidy has to wait for it"):
        bench.run(lambda context: carry_out(context, work("tidy")), verb="tidy")
    failing[0] = False
    bench.run(lambda context: carry_out(context, rotating), verb="move")
    assert bench.ran() == []
    assert bench.journal.unfinished() is None
