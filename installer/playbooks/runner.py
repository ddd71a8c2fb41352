"""Run playbooks in a guarded child process; the only module that knows ansible-runner."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import ansible_runner

from installer.controller.logins import control_path
from installer.errors import ConfigurationError
from installer.playbooks import guard
from installer.playbooks.events import HIDDEN_CHANGES, HIDDEN_FAILURES, Failure, Listener, TaskEvent
from installer.playbooks.orphans import RECORD, signal_recorded
from installer.playbooks.results import DONE, FAILED, INTERRUPTED, HostTally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Strategy = Literal["mitogen", "stock"]
# What a child process inherits; everything else of the operator's environment stays outside,
# above all a vault password (ansible-runner writes the environment down) and proxies.
_INHERITED: Final = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR")
_POLL_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookResult:
    """How a playbook ended.

    Attributes:
        result: `done`, `failed` or `interrupted`.
        seconds: How long it took.
        hosts: What it did on each host.
        failures: Why it failed; empty unless it did.
        log: The whole output of Ansible, redacted.
    """

    result: str
    seconds: float
    hosts: Mapping[str, HostTally]
    failures: tuple[Failure, ...]
    log: Path

    @property
    def changed(self) -> int:
        """Changed tasks over all hosts."""
        return sum(tally.changed for tally in self.hosts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """What all playbooks of an operation have in common.

    Attributes:
        root: The checkout.
        inventory: The run-time inventory.
        vault_password_client: Program that prints the vault password; None without a vault.
        facts: Folder of the fact cache.
        sockets: Folder of sockets (ssh's and Mitogen's) with a short path; removed at the end.
        forks: How many hosts are worked on at once.
        strategy: `mitogen`, or `stock` for Ansible's own.
        environment: Additional variables for Ansible.
    """

    root: Path
    inventory: Path
    vault_password_client: Path | None
    facts: Path
    sockets: Path
    forks: int
    strategy: Strategy
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookRun:
    """One playbook to run.

    Attributes:
        playbook: The playbook.
        folder: Where its log goes; made private.
        report: Told of each task on each host, from the calling thread.
    """

    playbook: Path
    folder: Path
    report: Callable[[TaskEvent], None]


class Runner:
    """Runs playbooks, several at once if asked from several threads.

    Attributes:
        settings: What all playbooks have in common.
        variables: Further variables for them, which win over all others; they are seen in the list of processes, so
            none may be secret.
    """

    def __init__(self, settings: RunnerSettings, *, redact: Callable[[str], str]) -> None:
        """Prepare for playbooks with these settings; every text kept is redacted."""
        self.settings = settings
        self.variables: dict[str, Any] = {}
        self._redact = redact
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let every running playbook end now; none is started any more."""
        self._stopping.set()

    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def run(
        self,
        runs: Sequence[PlaybookRun],
        *,
        ended: Callable[[PlaybookRun, PlaybookResult], None],
        check: bool = False,
    ) -> None:
        """Run playbooks one after the other, over the same connections; the first that fails is the last.

        Args:
            runs: The playbooks, at least one.
            ended: Told of each that ran, from this thread.
            check: Only find out what would change.
        """
        for run in runs:
            run.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = runs[0].folder
        record = scratch / RECORD
        record.unlink(missing_ok=True)
        config = ansible_runner.RunnerConfig(
            private_data_dir=str(scratch),
            playbook=str(runs[0].playbook),
            inventory=str(self.settings.inventory),
            cmdline="--check --diff" if check else "--diff",
            host_cwd=str(self.settings.root),
            extravars=self.variables,
            settings={"pexpect_timeout": _POLL_SECONDS, "suppress_output_file": True},
            suppress_env_files=True,
            fact_cache_type="",
            ident="ansible",
            quiet=True,
        )
        config.prepare()
        config.env = self._environment(config.env, scratch, check=check)
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        script = [sys.executable, "-I", str(Path(guard.__file__).resolve())]
        others = [str(run.playbook) for run in runs[1:]]
        config.command = [*script, str(record), str(os.getpid()), ansible, *config.command[1:], *others]
        with _Sequence(runs, redact=self._redact, ended=ended) as sequence:
            if self.is_stopping():
                sequence.close(INTERRUPTED)
                return
            with _Turn() as turn:

                def look_around() -> bool:
                    """Called when the child process is there, and a few times a second from then on."""
                    turn.end()
                    if self.is_stopping():
                        signal_recorded(record, "guard", signal.SIGTERM)
                    return False  # ansible-runner's own way of ending would leave workers behind

                run = ansible_runner.Runner(config, event_handler=sequence.take, cancel_callback=look_around)
                run.run()
            _tidy(scratch, record)
            sequence.close(DONE if run.rc == 0 else INTERRUPTED if self.is_stopping() else FAILED)

    def _environment(self, prepared: Mapping[str, str], folder: Path, *, check: bool) -> dict[str, str]:
        settings = self.settings
        runner_own = {
            key: prepared[key] for key in ("AWX_ISOLATED_DATA_DIR", "RUNNER_OMIT_EVENTS", "RUNNER_ONLY_FAILED_EVENTS")
        }
        plugins = f"{settings.root / 'plugins' / 'callback'}:{prepared['ANSIBLE_CALLBACK_PLUGINS']}"
        environment = {
            **{key: os.environ[key] for key in _INHERITED if key in os.environ},
            **runner_own,
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(settings.sockets),
            "ANSIBLE_CONFIG": str(settings.root / "ansible.cfg"),
            "ANSIBLE_CALLBACK_PLUGINS": plugins,
            "ANSIBLE_STDOUT_CALLBACK": "awx_display",
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(settings.facts),
            "ANSIBLE_FORKS": str(settings.forks),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(settings.sockets),
            # Mitogen knows no folder of sockets; with their full path it shares the logins as well.
            "ANSIBLE_SSH_EXTRA_ARGS": f"-o {control_path(settings.sockets)}",
            "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
            # Here and not in ansible.cfg: tools that look at the roles have no inventory.
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
            "SITEWRIGHT_HIDDEN_FAILURES": str(folder / HIDDEN_FAILURES),
            **settings.environment,
        }
        if check:
            environment["SITEWRIGHT_HIDDEN_CHANGES"] = str(folder / HIDDEN_CHANGES)
        if settings.vault_password_client is not None:
            environment["ANSIBLE_VAULT_PASSWORD_FILE"] = str(settings.vault_password_client)
        if settings.strategy == "mitogen":
            environment["ANSIBLE_STRATEGY"] = "mitogen_linear"
            environment["ANSIBLE_STRATEGY_PLUGINS"] = str(_mitogen_plugins())
        return environment


class _Sequence:
    """The playbooks of one process: whose turn it is, and how each of them ended.

    Ansible begins a playbook only when the one before ended well, and its sums go on from one to the next.
    """

    def __init__(
        self,
        runs: Sequence[PlaybookRun],
        *,
        redact: Callable[[str], str],
        ended: Callable[[PlaybookRun, PlaybookResult], None],
    ) -> None:
        self._waiting = list(runs)
        self._redact = redact
        self._ended = ended
        self._before: Mapping[str, HostTally] = {}
        self._running = False
        self._hidden = runs[0].folder / HIDDEN_FAILURES
        self._hidden.unlink(missing_ok=True)
        self._next()

    def __enter__(self) -> _Sequence:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def take(self, raw: dict[str, Any]) -> bool:
        """Take one event of ansible-runner's; false, so that it keeps no file of it."""
        if raw.get("event") == "playbook_on_start":
            if self._running:
                self.close(DONE)
                self._next()
            self._running = True
        self._listener.take(raw)
        return False

    def close(self, result: str) -> None:
        """The playbook whose turn it is has ended."""
        self._listener.close()
        hosts = self._listener.tallies(self._before)
        outcome = PlaybookResult(
            result=result,
            seconds=time.monotonic() - self._began,
            hosts=hosts,
            failures=self._listener.failures(hosts) if result == FAILED else (),
            log=self._listener.log,
        )
        self._before = self._listener.totals() or self._before
        self._ended(self._run, outcome)

    def _next(self) -> None:
        self._run = self._waiting.pop(0)
        self._listener = Listener(self._run.folder, hidden=self._hidden, report=self._run.report, redact=self._redact)
        self._began = time.monotonic()


class _Turn:
    """One thread's turn to start a child process: two that fork at once get in each other's way.

    The mere import of filelock, which bundles need, turns such a pair into an error (measured).
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __enter__(self) -> _Turn:
        self._lock.acquire()
        self._mine = True
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let the next thread start its child; further calls do nothing."""
        if self._mine:
            self._mine = False
            self._lock.release()


def mitogen_available() -> bool:
    """Whether the accelerator is installed."""
    return importlib.util.find_spec("ansible_mitogen") is not None


def _mitogen_plugins() -> Path:
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError("mitogen is not installed", hint="use --strategy stock")
    return Path(found.submodule_search_locations[0]) / "plugins" / "strategy"


def _tidy(folder: Path, record: Path) -> None:
    """Keep the log and the record of hidden failures; the rest is ansible-runner's scratch."""
    record.unlink(missing_ok=True)
    for name in ("artifacts", "tmp", "project", "env", "inventory"):
        shutil.rmtree(folder / name, ignore_errors=True)
