"""Virtual machines as rehearsal hosts: the machine QEMU is asked for, what runs it, and its power button."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from installer.cli import cli
from installer.console.terminal import Terminal
from installer.controller.paths import Paths
from installer.errors import ConfigurationError, PlaybookError
from installer.operations.command_line import Program
from installer.rehearsal import Rehearsal, RehearsalSpec, containers, hosts, lifecycle, virtual_machines
from installer.rehearsal.accelerator import QEMU, Accelerator, accelerator, kernel_of, trial_argv, why_not
from installer.rehearsal.image import RECIPES, recipe_hash
from installer.rehearsal.model import Machine

SPEC = RehearsalSpec(
    site="ward",
    network="10.9.0.0/24",
    hosts={"a": "10.9.0.1", "b": "10.9.0.2"},
    machine=Machine.VIRTUAL_MACHINE,
    memory_mb=3072,
    cores=3,
)


def argv_of(folder: Path, name: str = "a", chosen: Accelerator = Accelerator.TCG) -> list[str]:
    rehearsal = Rehearsal(spec=SPEC, folder=folder)
    kernel = Path("base/boot/vmlinuz-6.12-cloud-amd64")
    return virtual_machines.qemu_argv(rehearsal, name, tap="vt-1", kernel=kernel, accelerator=chosen)


def after(argv: list[str], option: str) -> list[str]:
    return [value for word, value in pairwise(argv) if word == option]


def test_a_machine_is_as_large_as_the_site_plans_and_starts_its_own_kernel(tmp_path: Path) -> None:
    argv = argv_of(tmp_path)
    assert after(argv, "-m") == ["3072"]
    assert after(argv, "-smp") == ["3"]
    assert after(argv, "-kernel") == ["base/boot/vmlinuz-6.12-cloud-amd64"]
    assert after(argv, "-initrd") == ["base/boot/initrd.img-6.12-cloud-amd64"]
    assert "console=ttyS0" in after(argv, "-append")[0]
    assert after(argv, "-accel") == ["tcg,thread=multi"]
    assert "i6300esb" in after(argv, "-device")
    assert after(argv_of(tmp_path, chosen=Accelerator.KVM), "-cpu") == ["host"]


def test_each_machine_has_a_card_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    cards = {name: [word for word in argv_of(tmp_path, name) if "mac=" in word] for name in SPEC.hosts}
    assert cards["a"] != cards["b"]
    assert cards["a"] == [word for word in argv_of(tmp_path, "a") if "mac=" in word]
    assert "mac=52:54:00:" in cards["a"][0]


def test_qemu_takes_the_machine_it_is_asked_for(tmp_path: Path) -> None:
    argv = argv_of(tmp_path)
    for option in ("-kernel", "-initrd", "-append", "-netdev"):  # need an image and a network
        at = argv.index(option)
        del argv[at : at + 2]
    argv = [word.replace("netdev=card,", "") for word in argv]
    (tmp_path / "disk").touch()
    press_of([*argv, "-S"], tmp_path)


def press_of(argv: list[str], folder: Path) -> None:
    """Press the button of a machine that needs a moment until it listens."""
    with subprocess.Popen(argv, cwd=folder, stderr=subprocess.PIPE, text=True) as machine:
        try:
            for _try in range(300):
                with suppress(PlaybookError):
                    virtual_machines.press_power_button(folder, folder)
                    return
                if machine.poll() is not None:
                    break
                time.sleep(0.1)
        finally:
            machine.kill()
        assert machine.stderr is not None
        pytest.fail(machine.stderr.read())


def test_the_power_button_is_found_however_long_the_path_is(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    press_of([QEMU, "-nodefaults", "-display", "none", "-S", "-qmp", "unix:qmp,server=on,wait=off"], folder)
    with pytest.raises(PlaybookError, match="does not take a press"):
        virtual_machines.press_power_button(folder, folder)


def test_what_qemu_refuses_is_said() -> None:
    client, server = socket.socketpair(socket.AF_UNIX)
    refused = {"error": {"class": "GenericError", "desc": "no such button"}}
    server.sendall(f"{json.dumps({'event': 'RESUME'})}\n{json.dumps(refused)}\n".encode())
    server.close()
    with client, client.makefile("rw", encoding="utf-8") as stream, pytest.raises(OSError, match="no such button"):
        virtual_machines._wait_for_answer(stream, "system_powerdown")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'Linux version 6.12'; exit 1", ""),
        ("echo 'Linux version 6.12'; exec sleep 60", ""),
        ("exec sleep 60", "says nothing within 1 s"),
        # A real one: it runs the first steps, meets an instruction it cannot do, and stands still.
        ("echo 'Probing EDD... ok'; exec sleep 60", "says nothing within 1 s"),
        ("echo 'kvm.c:3183: Assertion failed' >&2; exit 134", "kvm.c:3183: Assertion failed"),
        ("exit 3", "ends with 3 and says nothing"),
    ],
    ids=["boots", "boots and stays", "mute", "stands still", "refuses", "ends"],
)
def test_only_a_kernel_that_speaks_shows_that_the_processor_runs_machines(script: str, problem: str) -> None:
    said = why_not(["sh", "-c", script], seconds=1)
    assert said.endswith(problem) if problem else said == ""


def test_what_runs_machines_is_found_out_once_a_boot_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    verdict = tmp_path / "run" / "accelerator"
    no_kernel = tmp_path / "vmlinuz-none"
    no_kernel.touch()
    assert accelerator(no_kernel, said.append, verdict=verdict) is Accelerator.TCG
    assert len(said) == 1
    assert "emulated in software" in said[0]
    assert accelerator(no_kernel, said.append, verdict=verdict) is Accelerator.TCG
    assert len(said) == 1
    verdict.write_text("kvm\n")
    assert accelerator(no_kernel, said.append, verdict=verdict) is Accelerator.KVM
    verdict.write_text("")  # a writer that was killed
    assert accelerator(no_kernel, said.append, verdict=verdict) is Accelerator.TCG


def test_the_trial_is_by_the_processor_and_ends_by_itself(tmp_path: Path) -> None:
    argv = trial_argv(tmp_path)
    assert after(argv, "-accel") == ["kvm"]
    assert "-no-reboot" in argv
    assert "panic=-1" in after(argv, "-append")[0]


def test_an_image_without_a_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no kernel"):
        kernel_of(tmp_path)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.12").touch()
    assert kernel_of(tmp_path).name == "vmlinuz-6.12"


def test_machines_have_an_image_of_their_own_which_has_all_of_the_containers() -> None:
    container, machine = RECIPES[Machine.CONTAINER], RECIPES[Machine.VIRTUAL_MACHINE]
    assert set(container.packages) < set(machine.packages)
    assert container.files.items() < machine.files.items()
    assert recipe_hash(container) != recipe_hash(machine)
    assert not any("linux-image" in package for package in container.packages)


def test_each_kind_of_host_is_driven_by_its_own() -> None:
    machines = Rehearsal(spec=SPEC, folder=Path("/nowhere"))
    assert hosts.driver_of(machines) is virtual_machines
    assert hosts.driver_of(replace(machines, spec=replace(SPEC, machine=Machine.CONTAINER))) is containers


def test_root_on_a_machine_is_an_administrator_who_becomes_root(tmp_path: Path) -> None:
    rehearsal = Rehearsal(spec=SPEC, folder=tmp_path)
    argv = virtual_machines.root_argv(rehearsal, 1, ["ssh", "-F", "none", "--", "me@a"], ["sh", "-c", "exit 7"])
    assert argv == [*rehearsal.enter_argv(), "ssh", "-F", "none", "--", "me@a", "sudo", "-n", "--", "sh -c 'exit 7'"]


def test_the_record_keeps_the_kind_and_one_from_before_is_of_containers(tmp_path: Path) -> None:
    text = Rehearsal(spec=SPEC, folder=tmp_path).to_json()
    assert Rehearsal.from_json(text, tmp_path).spec == SPEC
    raw = {name: value for name, value in json.loads(text).items() if name not in {"machine", "memory_mb", "cores"}}
    assert Rehearsal.from_json(json.dumps(raw), tmp_path).spec.machine is Machine.CONTAINER


def test_a_rehearsal_does_not_change_its_kind(tmp_path: Path) -> None:
    (tmp_path / "rehearsal.json").write_text(Rehearsal(spec=SPEC, folder=tmp_path).to_json())
    with pytest.raises(ConfigurationError, match="brought up as vm, not as container") as caught:
        lifecycle._merge(replace(SPEC, machine=Machine.CONTAINER), tmp_path)
    assert "rehearse down --inventory ward" in caught.value.hint
    assert lifecycle._merge(SPEC, tmp_path) == SPEC


def test_a_kind_of_machine_is_for_rehearsals_only() -> None:
    program = Program(Terminal(), Paths.from_environment(), ())
    refused = CliRunner().invoke(cli, ["preflight", "--inventory", "clinic", "--machine", "vm"], obj=program)
    assert refused.exit_code == 2
    assert "add --rehearse" in refused.output
