"""`plan`: what an operation would change, on a bare site as on a running one; changes nothing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from installer.controller.site_lock import site_lock
from installer.errors import InstallerError
from installer.operations.install.operation import verify_bundle
from installer.operations.stage_runs import Watcher, remove_old_runs, require_done, run_graph
from installer.operations.summary import Summary
from installer.playbooks.orphans import end_orphans
from installer.playbooks.results import DONE
from installer.stages.install import INSTALL
from installer.stages.journal import Journal
from installer.stages.kinds import notice

if TYPE_CHECKING:
    from installer.operations.context import OperationContext
    from installer.playbooks.events import TaskEvent
    from installer.stages.graph import Graph

VERB: Final = "plan"


class _Changes:
    """What would change: task by task, with the hosts it concerns, in the order of the stages."""

    def __init__(self, graph: Graph) -> None:
        self._order = graph.order
        self._hosts: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    def take(self, stage: str, event: TaskEvent) -> None:
        """Take in a task's result; called from the stages' threads."""
        if event.outcome == "changed":
            with self._lock:
                self._hosts.setdefault((stage, event.task), []).append(event.host)

    def rows(self) -> list[tuple[str, str, list[str]]]:
        """Stage, task, hosts."""
        found = [(stage, task, sorted(hosts)) for (stage, task), hosts in self._hosts.items()]
        return sorted(found, key=lambda row: self._order[row[0]])


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
    changes = _Changes(graph)
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
    require_done(context, summary)


def _finish(
    context: OperationContext, graph: Graph, summary: Summary, changes: _Changes, error: InstallerError | None
) -> None:
    terminal = context.terminal
    rows = changes.rows()
    would_change: list[dict[str, Any]] = [{"stage": stage, "task": task, "hosts": hosts} for stage, task, hosts in rows]
    summary.more["would_change"] = would_change
    open_operation = notice(Journal(context.state / "journal.jsonl").unfinished())
    summary.more["unfinished_operation"] = open_operation
    terminal.document(summary.to_json(error))
    if terminal.output == "json":
        return
    if open_operation:
        terminal.result(open_operation)
    if rows:
        terminal.table(("stage", "would change", "on"), [(stage, task, " ".join(hosts)) for stage, task, hosts in rows])
    if error is not None:
        summary.print(terminal)
        return
    hosts = sorted({host for _stage, _task, names in rows for host in names})
    terminal.result(
        f"{graph.name} would change {len(rows)} thing(s) on {len(hosts)} of {len(context.site.hosts)} host(s);"
        " nothing was changed now"
    )
    terminal.result(f"the files' differences are in {summary.more['log_folder']}/<stage>/output.log")
