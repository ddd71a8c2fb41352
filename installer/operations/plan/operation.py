"""`plan`: what an operation would change, on a bare site as on a running one; changes nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer.controller.site_lock import site_lock
from installer.errors import InstallerError
from installer.operations.bundle_change import upgrade_notice
from installer.operations.plan.brought import brought_along
from installer.operations.plan.collect import Frame, Observed, make_plan
from installer.operations.plan.page import write
from installer.operations.plan.text import lines_of
from installer.operations.stage_runs import Watcher, remove_old_runs, require_done, run_graph
from installer.operations.summary import Summary
from installer.operations.verified_bundle import verify_bundle
from installer.playbooks.events import HiddenChange, hidden_changes
from installer.playbooks.orphans import end_orphans
from installer.playbooks.results import DONE
from installer.stages.install import INSTALL
from installer.stages.journal import Journal
from installer.stages.kinds import notice

if TYPE_CHECKING:
    from installer.operations.context import OperationContext
    from installer.operations.plan.model import Plan
    from installer.playbooks.events import TaskEvent
    from installer.stages.graph import Graph

VERB: Final = "plan"


class _Changes:
    """What the tasks said on each host.

    Attributes:
        brought: What no task says, because apt brings it along.
    """

    def __init__(self) -> None:
        self._events: list[tuple[str, TaskEvent]] = []
        self.brought: list[Observed] = []
        self._lock = threading.Lock()

    def take(self, stage: str, event: TaskEvent) -> None:
        """Take in a task's result; called from the stages' threads."""
        if event.outcome in {"ok", "changed"}:
            with self._lock:
                self._events.append((stage, event))

    def observed(self, folder: Path) -> list[Observed]:
        """All that was said, together with what may be told of hidden results."""
        told = hidden_changes(folder)
        found = []
        for stage, event in self._events:
            seen = HiddenChange(changed=event.outcome == "changed", details=event.details)
            hidden = told.get((event.host, event.identity), seen)
            found.append(
                Observed(stage=stage, host=event.host, task=event.task, changed=hidden.changed, details=hidden.details)
            )
        return found


def plan(context: OperationContext) -> None:
    """Tell what an install would change.

    Raises:
        InstallerError: If that cannot be told.
    """
    plan_graph(context, INSTALL)


def plan_graph(context: OperationContext, graph: Graph) -> None:
    """Run every stage of a graph in check mode and tell what it would change.

    Raises:
        InstallerError: If that cannot be told.
    """
    summary = Summary(operation=VERB, site=context.site.name, started=context.request.started)
    changes = _Changes()
    try:
        with site_lock(context.state, site=context.site.name, purpose=VERB):
            _plan(context, graph, summary, changes)
    except InstallerError as error:
        _finish(context, graph, summary, changes, error)
        raise
    summary.result = DONE
    _finish(context, graph, summary, changes, None)


def _plan(context: OperationContext, graph: Graph, summary: Summary, changes: _Changes) -> None:
    root, runs = context.paths.root, context.state / "runs"
    graph.check(root)
    end_orphans(runs, say=context.terminal.say)
    verify_bundle(context)
    folder = runs / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-plan"
    summary.more["log_folder"] = str(folder)
    remove_old_runs(runs)
    context.terminal.step(f"Finding out what {graph.name} would change on {context.site.name}")
    # Nothing is waited for in check mode, so one process with one login per host is the fastest.
    at_once = context.request.stages_at_once or 1
    run_graph(
        context, graph, folder=folder, summary=summary, watcher=Watcher(task=changes.take), at_once=at_once, check=True
    )
    require_done(context, summary, again="plan again with")
    changes.brought = brought_along(context, changes.observed(folder))


def _finish(
    context: OperationContext, graph: Graph, summary: Summary, changes: _Changes, error: InstallerError | None
) -> None:
    terminal = context.terminal
    open_operation = notice(Journal.of(context.state).unfinished())
    summary.more["unfinished_operation"] = open_operation
    made = _made(context, graph, summary, changes)
    page = write(made, context.state / "evidence") if made is not None else None
    other_bundle = ""
    if made is not None:
        summary.more |= {"plan": made.to_json(), "page": str(page)}
        other_bundle = upgrade_notice(context) if any(change.is_upgrade for change in made.changes) else ""
        summary.more["other_bundle"] = other_bundle
    terminal.document(summary.to_json(error))
    if terminal.output == "json":
        return
    if open_operation:
        terminal.result(open_operation)
    for line in lines_of(made) if made is not None else ():
        terminal.result(line)
    if error is not None:
        summary.print(terminal)
    elif made is not None:
        terminal.result(f"{made.verdict}; nothing was changed now")
        if other_bundle:
            terminal.result(other_bundle)
        terminal.result(f"page: {page}")


def _made(context: OperationContext, graph: Graph, summary: Summary, changes: _Changes) -> Plan | None:
    """The plan, made of what was said so far; None when nothing was asked yet."""
    if "log_folder" not in summary.more:
        return None
    tried = {line.name for line in summary.stages if line.result == DONE}
    frame = Frame(
        site=context.site.name,
        operation=graph.name,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        addresses={name: str(host.address) for name, host in context.site.hosts.items()},
        stages=[stage.name for stage in graph.stages],
        unknown=tuple(stage.name for stage in graph.stages if stage.name not in tried),
    )
    observed = [*changes.observed(Path(summary.more["log_folder"])), *changes.brought]
    return make_plan(observed, frame, redact=context.terminal.redact)
