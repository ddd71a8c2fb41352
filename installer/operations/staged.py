"""Carry out an operation that is a graph of stages: decide, check, run, verify, each step on record.

What is the same for every kind of operation stands here: the site's lock, the journal, resuming, the order of things
when something stops it, and what is said at the end. What differs comes as a `StagedOperation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.controller.site_lock import site_lock
from installer.errors import InstallerError, InterruptedRunError
from installer.operations.settling import settle
from installer.operations.stage_runs import Watcher, remove_old_runs, require_done, run_graph
from installer.operations.summary import Summary
from installer.playbooks.orphans import end_orphans
from installer.playbooks.results import DONE, FAILED, INTERRUPTED
from installer.stages.digests import folder_input, secrets_input, short, stage_inputs
from installer.stages.journal import VERIFICATION_FAILED, Circumstances, Input, Journal, Operation, StageRecord
from installer.stages.kinds import Wanted, decide, describe
from installer.stages.schedule import MOST_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from installer.operations.context import OperationContext
    from installer.playbooks.runner import PlaybookResult
    from installer.stages.graph import Graph, Stage
    from installer.stages.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What an operation works from beside the site and the checkout.

    Attributes:
        inputs: Its part of what the result depends on; the site and the stages' files are added to it.
        bundle: Which bundle, for the journal; empty when none is installed from.
    """

    inputs: Mapping[str, Input]
    bundle: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedOperation:
    """What one kind of operation does beside its stages.

    Attributes:
        kind: Its kind.
        graph: Its stages.
        title: What is being done, as shown while it is: `Installing`.
        prepare: Makes sure of what is worked from; refuses what cannot be used. Nothing is on record yet.
        check: Refuses when the site is not fit for it; before the first stage, also of a resumed operation.
        verify: Refuses when the site is not what it should be; behind the last stage.
        seal: What is done once more when something was changed and is verified; it refuses nothing.
        conclude: Tells a person the result when everything went well.
        stands_on: The graph that brought the site to what this one works on, when that is not its own: on record are
            then the files of its stages, so that the next operation finds them unchanged.
        resumes_unverified: When only the verification fails, the same command verifies again, and nothing else may run
            before; otherwise all stages are gone through again, by whatever is run next.
        begin: Makes what the operation brings to the site, just before it is on record, and returns the inputs that are
            others by that. A resumed one has made it before.
        variables: Further variables for the playbooks, none of them secret, out of the operation as it is on record: a
            resumed one gets the same as when it was begun.
        at_once: Most stages at the same time, when the kind has a reason of its own; the operator's word goes first.
    """

    kind: Kind
    graph: Graph
    title: str
    prepare: Callable[[], Material]
    check: Callable[[Summary], None]
    verify: Callable[[Summary], None]
    conclude: Callable[[Summary], None]
    seal: Callable[[Summary], None] = lambda _summary: None
    stands_on: Graph | None = None
    resumes_unverified: bool = False
    begin: Callable[[], Mapping[str, Input]] = dict
    variables: Callable[[Operation], Mapping[str, Any]] = lambda _operation: {}
    at_once: int | None = None


def carry_out(context: OperationContext, work: StagedOperation) -> None:
    """Begin or resume an operation and bring it to its end.

    Raises:
        InstallerError: Whatever stopped it; the same command resumes it.
    """
    summary = Summary(operation=work.kind.name, site=context.site.name, started=context.request.started)
    try:
        with site_lock(context.state, site=context.site.name, purpose=work.kind.name):
            _carry_out(context, work, summary)
    except KeyboardInterrupt:
        error = InterruptedRunError("interrupted", hint=f"resume with: {context.request.command}")
        _tell(context, work, summary, error)
        raise error from None
    except InstallerError as error:
        _tell(context, work, summary, error)
        raise
    _tell(context, work, summary, None)


def _carry_out(context: OperationContext, work: StagedOperation, summary: Summary) -> None:
    terminal, root = context.terminal, context.paths.root
    work.graph.check(root)
    end_orphans(context.state / "runs", say=terminal.say)
    material = work.prepare()
    inputs = {**_site_inputs(context), **material.inputs, **stage_inputs(work.stands_on or work.graph, root)}
    journal = Journal.of(context.state)
    request = context.request
    wanted = Wanted(
        kind=work.kind,
        inputs=inputs,
        command=request.command,
        install=request.install_command,
        start_over=request.start_over,
    )
    unfinished = journal.unfinished()
    decision = decide(unfinished, wanted, verified=journal.verified(work.kind.name))
    last = journal.last()
    again = last is not None and last.result == DONE and not last.changed_inputs(inputs)
    if unfinished is not None:
        settle(context.ssh, terminal.say)
    work.check(summary)
    if decision.abandon is not None:
        journal.abandon(decision.abandon)
    if decision.resume is None:
        inputs = {**inputs, **work.begin()}
        circumstances = Circumstances(
            command=request.command,
            site=context.site.resolved(),
            release=context.release.version,
            commit=context.release.commit,
            bundle=material.bundle,
        )
        operation = journal.begin(
            work.kind.name, inputs, stages=[stage.name for stage in work.graph.stages], begun_with=circumstances
        )
    else:
        operation = decision.resume
        _resume(context, journal, operation)
    at_once = request.stages_at_once or work.at_once or (1 if again else MOST_AT_ONCE)
    try:
        _stages(context, work, journal, operation, summary, at_once=at_once)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | InterruptedRunError)
        _end(journal, operation, INTERRUPTED if stopped else FAILED, summary)
        raise
    try:
        work.verify(summary)
    except BaseException:
        _end(journal, operation, FAILED if work.resumes_unverified else VERIFICATION_FAILED, summary)
        raise
    # One that was interrupted may have changed things before.
    if summary.changed or decision.resume is not None:
        work.seal(summary)
    summary.result = DONE
    _end(journal, operation, DONE, summary)


def _site_inputs(context: OperationContext) -> dict[str, Input]:
    """What the site itself decides."""
    site = context.site
    inputs = {
        "site": Input(digest=short(site.digest()), about=str(site.path)),
        "secrets": secrets_input(context.secrets),
    }
    if site.certificates_directory is not None:
        inputs["certificates"] = folder_input(site.certificates_directory)
    return inputs


def _resume(context: OperationContext, journal: Journal, operation: Operation) -> None:
    journal.resume(operation)
    context.terminal.say(
        f"resuming {describe(operation)}: {len(operation.done_stages)} of {len(operation.planned)} stages are done"
    )


def _stages(
    context: OperationContext,
    work: StagedOperation,
    journal: Journal,
    operation: Operation,
    summary: Summary,
    *,
    at_once: int,
) -> None:
    """Run the graph, each end of a stage on record."""
    runs = context.state / "runs"
    folder = runs / operation.identifier
    summary.more["log_folder"] = str(folder)
    remove_old_runs(runs)
    context.terminal.step(f"{work.title} {context.site.name}")
    context.runner.variables.update(work.variables(operation))

    def ended(stage: Stage, result: PlaybookResult) -> None:
        record = StageRecord(result=result.result, seconds=result.seconds, changed=result.changed, hosts=result.hosts)
        journal.end_stage(operation, stage.name, record)

    watcher = Watcher(begun=lambda stage: journal.begin_stage(operation, stage.name), ended=ended)
    run_graph(
        context,
        work.graph,
        folder=folder,
        summary=summary,
        watcher=watcher,
        at_once=at_once,
        done=operation.done_stages,
    )
    require_done(context, summary)


def _end(journal: Journal, operation: Operation, result: str, summary: Summary) -> None:
    journal.end(operation, result, seconds=summary.seconds, changed=summary.changed, failed=summary.failed)


def _tell(context: OperationContext, work: StagedOperation, summary: Summary, error: InstallerError | None) -> None:
    """Say what was done, in the form that was asked for."""
    terminal = context.terminal
    if isinstance(error, InterruptedRunError):
        summary.result = INTERRUPTED
    if summary.stages:
        summary.print(terminal)
    terminal.document(summary.to_json(error))
    if error is None and terminal.output == "text":
        work.conclude(summary)
