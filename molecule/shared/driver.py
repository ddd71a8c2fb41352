"""Hosts for Molecule scenarios: each scenario is a small site of its own, rehearsed like any other.

Usage: driver.py create | interrupt | destroy, called by the shared playbooks with Molecule's environment.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from installer.errors import InstallerError
from installer.operations.from_outside import bring_up, take_down
from installer.playbooks.guard import descendants, send
from installer.site import GROUPS

if TYPE_CHECKING:
    from installer.operations.from_outside import FromOutside

# Every scenario has a network namespace of its own, so all of them can use the same addresses.
_NETWORK: Final = "10.250.0.0/24"
_PREFIX: Final = "10.250.0."
_FIRST_ADDRESS: Final = 11
# Plays the groups a scenario does not test: it has a name and an address, but is never booted.
_ELSEWHERE: Final = "elsewhere"
_ELSEWHERE_ADDRESS: Final = f"{_PREFIX}200"
_SCENARIO: Final = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
_EPHEMERAL: Final = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
_NAME: Final = f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"
_SOCKETS: Final = Path("/run/sitewright/molecule", os.environ["MOLECULE_SCENARIO_NAME"])
_RECAP: Final = re.compile(r"^\S+\s+: ok=\d+\s+changed=(\d+)", re.MULTILINE)
_SERVICE_TASK: Final = "service |"
# A killed run leaves its temporary files behind; there they end with the scenario.
_PLAIN: Final = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "TMPDIR": str(_SOCKETS)}


def main(verb: str) -> int:
    """Do one of the three; the exit code."""
    try:
        {"create": _create, "interrupt": _interrupt, "destroy": _destroy}[verb]()
    except InstallerError as error:
        _say(f"{error.message}\n{error.hint}")
        return error.exit_code
    return 0


def _create() -> None:
    site = bring_up(_write_inventory(), absent={_ELSEWHERE})
    _SOCKETS.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = _EPHEMERAL / "site.json"
    target.touch(mode=0o600)
    target.write_text(json.dumps(_for_a_script(site), indent=2), encoding="utf-8")


def _destroy() -> None:
    for socket in filter(Path.is_socket, _SOCKETS.glob("*")):
        command = ["ssh", "-q", "-O", "exit", "-o", f"ControlPath={socket}", "none"]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - a connection that is gone is fine
    shutil.rmtree(_SOCKETS, ignore_errors=True)
    take_down(_NAME)
    (_EPHEMERAL / "site.json").unlink(missing_ok=True)


def _interrupt() -> None:
    """Kill a run between its configuration and its service, let the next one repair it, put all back.

    `interrupted.yml` of the scenario holds variables that change the configuration.
    """
    changes = _SCENARIO / "interrupted.yml"
    extra = ["--extra-vars", f"@{changes}"] if changes.exists() else []
    _run_until(_SERVICE_TASK, extra)
    repaired = _run(extra)
    if changes.exists() and not any(repaired):
        raise InstallerError(
            "the run after the interrupted one changed nothing: a restart was lost",
            hint="see what the service's unit task watches",
        )
    if any(_run(extra)):
        raise InstallerError("the second run after the interrupted one still changed something")
    _run([])


def _converge(extra: list[str]) -> list[str]:
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return [program, "--inventory", str(_EPHEMERAL / "inventory"), *extra, str(_SCENARIO / "converge.yml")]


def _run_until(task: str, extra: list[str]) -> None:
    """Start a run and kill it, with all it started, when the task is announced."""
    with subprocess.Popen(  # noqa: S603 - our own playbook
        _converge(extra), stdout=subprocess.PIPE, text=True, env=_PLAIN
    ) as run:
        lines = []
        for line in run.stdout or ():
            lines.append(line)
            if line.startswith("TASK [") and task in line:
                # Its workers have sessions of their own, so a signal to its process group would miss them.
                os.kill(run.pid, signal.SIGSTOP)
                send({run.pid} | descendants(run.pid), signal.SIGKILL)
                return
    _say("".join(lines))
    raise InstallerError(f"no task announced itself with {task!r}", hint=f"see {_SCENARIO / 'converge.yml'}")


def _run(extra: list[str]) -> list[int]:
    """Run to the end; how many tasks changed something on each host."""
    done = subprocess.run(  # noqa: S603 - our own playbook
        _converge(extra), stdout=subprocess.PIPE, text=True, env=_PLAIN, check=False
    )
    if done.returncode != 0:
        _say(done.stdout)
        raise InstallerError("a run after an interrupted one failed", hint="read its output above")
    return [int(count) for count in _RECAP.findall(done.stdout)]


def _write_inventory() -> Path:
    """The scenario's platforms as an operator would have written them down."""
    scenario = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text(encoding="utf-8"))
    platforms: dict[str, list[str]] = {item["name"]: item["groups"] for item in scenario["platforms"]}
    groups = {group: [name for name, own in platforms.items() if group in own] for group in GROUPS}
    groups["repository"] = groups["repository"] or [next(iter(platforms))]
    hosts = {name: {"ansible_host": f"{_PREFIX}{_FIRST_ADDRESS + index}"} for index, name in enumerate(platforms)}
    hosts[_ELSEWHERE] = {"ansible_host": _ELSEWHERE_ADDRESS}
    children = {group: {"hosts": dict.fromkeys(members or [_ELSEWHERE])} for group, members in groups.items()}
    described = {
        "name": _NAME,
        "site_class": "development",
        "domain": "molecule.internal",
        "public_name": "workflow.molecule.internal",
        "network": _NETWORK,
        "virtual_ip": f"{_PREFIX}10",
        "applications": ["revenue-cycle"],
    }
    folder = _EPHEMERAL / "inventories" / _NAME
    (folder / "group_vars/all").mkdir(parents=True, exist_ok=True)
    everyone = {"all": {"hosts": hosts, "children": children}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(everyone), encoding="utf-8")
    (folder / "group_vars/all/site.yml").write_text(yaml.safe_dump({"sitewright": described}), encoding="utf-8")
    return folder


def _for_a_script(site: FromOutside) -> dict[str, Any]:
    """The product's own run-time inventory in the form of a script's, less the host that is never booted."""
    inventory = site.inventory
    members = {
        group: [name for name in said["hosts"] if name in site.hosts] for group, said in inventory["children"].items()
    }
    return {
        "_meta": {
            "hostvars": {
                name: {
                    **inventory["vars"],
                    **inventory["hosts"][name],
                    **site.secrets,
                    # All scenarios use the same addresses; a connection that ssh shares by address
                    # would lead into another scenario's host.
                    "ansible_ssh_extra_args": shlex.join([*site.ssh_options, "-o", f"ControlPath={_SOCKETS / name}"]),
                }
                for name in site.hosts
            }
        },
        **{group: {"hosts": names} for group, names in members.items() if names},
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
