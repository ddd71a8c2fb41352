"""Run a graph of stages on a site, for real or in check mode."""

from __future__ import annotations

import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from installer.errors import InterruptedRunError, PlaybookError
from installer.operations.progress import progress_for
from installer.playbooks.results import DONE, INTERRUPTED
from installer.playbooks.runner import PlaybookRun
from installer.stages.schedule import run_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from installer.operations.context import OperationContext
    from installer.operations.summary import Summary
    from installer.playbooks.events import TaskEvent
    from installer.playbooks.runner import PlaybookResult, Runner
    from installer.stages.graph import Graph, Stage

_KEPT_RUNS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told of what happens in the graph.

    Attributes:
        begun: A stage is about to start.
        task: A task began or ended; called from the stage's own thread.
        ended: A stage ended.
    """

    begun: Callable[[Stage], None] = lambda _stage: None
    task: Callable[[str, TaskEvent], None] = lambda _stage, _event: None
    ended: Callable[[Stage, PlaybookResult], None] = lambda _stage, _result: None


def run_graph(
    context: OperationContext,
    graph: Graph,
    *,
    folder: Path,
    summary: Summary,
    watcher: Watcher,
    at_once: int,
    done: Collection[str] = (),
    check: bool = False,
) -> None:
    """Run every stage that is not done; the caller looks at the summary for the outcome.

    Args:
        context: The opened site.
        graph: What to run.
        folder: Where the stages' logs go.
        summary: Takes the results.
        watcher: Is told of everything.
        at_once: Most processes at once; what is to be done by one runs in the order of the stages.
        done: Names of the stages that need not run.
        check: Only find out what would change; then every stage is tried, whatever became of others.
    """
    root, groups, hosts = context.paths.root, context.site.groups, tuple(context.site.hosts)
    shown = {stage.name: stage.hosts(root, groups, hosts) for stage in graph.stages}
    before = {stage.name: "done before" for stage in graph.stages if stage.name in done and not stage.always}
    for name in before:
        summary.add_step(name, "done before", 0)
    with (
        progress_for(
            context.terminal, title=f"{summary.operation} {context.site.name}", hosts=hosts, stages=shown, done=before
        ) as progress,
        stoppable(context.runner),
    ):

        def listener(stage: Stage) -> Callable[[TaskEvent], None]:
            def listen(event: TaskEvent) -> None:
                progress.task(stage.name, event)
                watcher.task(stage.name, event)

            return listen

        def work(chain: Sequence[Stage], ended: Callable[[Stage, PlaybookResult], None]) -> None:
            runs = {
                stage: PlaybookRun(playbook=stage.path(root), folder=folder / stage.name, report=listener(stage))
                for stage in chain
            }
            stages = {run.playbook: stage for stage, run in runs.items()}
            try:
                context.runner.run(
                    tuple(runs.values()), ended=lambda run, result: ended(stages[run.playbook], result), check=check
                )
            except BaseException:
                context.runner.stop()  # a defect in one thread must not leave the others at work
                raise

        def note_begin(stage: Stage) -> None:
            watcher.begun(stage)
            progress.begin(stage.name)

        def note_end(stage: Stage, result: PlaybookResult) -> None:
            watcher.ended(stage, result)
            progress.end(stage.name, result)
            summary.add(stage.name, result)

        run_stages(
            graph.stages,
            work,
            done=done,
            limit=at_once,
            keep_going=check,
            begun=note_begin,
            ended=note_end,
        )
    known = {line.name for line in summary.stages}
    for stage in graph.stages:
        if stage.name not in known:
            summary.add_step(stage.name, "not run", 0)
    summary.stages.sort(key=lambda line: graph.order.get(line.name, -1))


def require_done(context: OperationContext, summary: Summary, *, again: str = "resume with") -> None:
    """Go on only when every stage so far is done.

    Args:
        context: The opened site.
        summary: What the stages did.
        again: What the same command does after it was stopped, as the hint says it.

    Raises:
        PlaybookError: If one failed.
        InterruptedRunError: If the operator stopped it.
    """
    command = context.request.command
    failed = [line.name for line in summary.stages if line.result not in {DONE, "done before", "not run"}]
    if any(line.result == INTERRUPTED for line in summary.stages) or context.runner.is_stopping():
        raise InterruptedRunError("interrupted; nothing runs any more", hint=f"{again}: {command}")
    if failed:
        where = ", ".join(sorted({failure.host for failure in summary.failures if failure.host}))
        raise PlaybookError(
            f"failed in {', '.join(failed)}{' on ' + where if where else ''}",
            hint=f"fix the cause, then {again}: {command}",
        )


@contextmanager
def stoppable(runner: Runner) -> Iterator[None]:
    """Turn Ctrl-C and the polite ways of killing into an orderly end of all playbooks."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        runner.stop()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def remove_old_runs(runs: Path) -> None:
    """Keep the logs of the latest operations; their names begin with the time."""
    if runs.is_dir():
        for folder in sorted(runs.iterdir())[:-_KEPT_RUNS]:
            shutil.rmtree(folder, ignore_errors=True)
