"""The full staged install: what `./install` does without a verb."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from installer.bundle.build import keys_folder
from installer.bundle.trust import trusted_folder
from installer.bundle.verify import verify
from installer.controller.site_lock import site_lock
from installer.errors import ConfigurationError, InstallerError, InterruptedRunError
from installer.operations import checks
from installer.operations.settling import settle
from installer.operations.stage_runs import Watcher, remove_old_runs, require_done, run_graph
from installer.operations.summary import Summary
from installer.playbooks.orphans import end_orphans
from installer.playbooks.results import DONE, FAILED, INTERRUPTED
from installer.stages.graph import STAGES, Stage, check_stages, file_digests
from installer.stages.journal import UNPROVEN, Journal, Operation, StageRecord
from installer.stages.schedule import MOST_AT_ONCE

if TYPE_CHECKING:
    from installer.bundle import Manifest
    from installer.operations.context import OperationContext
    from installer.playbooks.runner import PlaybookResult

VERB: Final = "install"


def install(context: OperationContext) -> None:
    """Bring the site to what its inventory and the bundle say, and prove it.

    Raises:
        InstallerError: Whatever stopped it; the same command carries on.
    """
    summary = Summary(operation=VERB, site=context.site.name, started=context.request.started)
    try:
        with site_lock(context.state, site=context.site.name, purpose=VERB):
            _install(context, summary)
    except KeyboardInterrupt:
        error = InterruptedRunError("interrupted", hint=f"carry on with: {context.request.command}")
        _finish(context, summary, error)
        raise error from None
    except InstallerError as error:
        _finish(context, summary, error)
        raise
    _finish(context, summary, None)


def _install(context: OperationContext, summary: Summary) -> None:
    terminal = context.terminal
    check_stages(STAGES, context.paths.root)
    end_orphans(context.state / "runs", say=terminal.say)
    terminal.step(f"Checking the bundle {context.bundle}")
    manifest = verify_bundle(context)
    journal = Journal(context.state / "journal.jsonl")
    inputs = inputs_of(context, manifest)
    operation = _operation(context, journal, inputs)
    last = journal.last(VERB)
    again = last is not None and last.result == DONE and not last.changed_inputs(inputs)
    if last is not None and last.unfinished:
        settle(context.ssh, terminal.say)
    terminal.step(f"Preflight of {context.site.name}")
    report = checks.preflight(context)
    summary.add_step("preflight", DONE if report.ok else FAILED, report.seconds)
    checks.require(context, report, kind="preflight")
    operation = _begin(context, journal, operation, inputs)
    at_once = context.request.stages_at_once or (1 if again else MOST_AT_ONCE)
    try:
        _stages(context, journal, operation, summary, at_once=at_once)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | InterruptedRunError)
        _end(journal, operation, INTERRUPTED if stopped else FAILED, summary)
        raise
    try:
        _prove(context, summary)
    except BaseException:
        _end(journal, operation, UNPROVEN, summary)
        raise
    summary.result = DONE
    _end(journal, operation, DONE, summary)


def _stages(
    context: OperationContext, journal: Journal, operation: Operation, summary: Summary, *, at_once: int
) -> None:
    """Run the graph, each end of a stage on record."""
    runs = context.state / "runs"
    folder = runs / operation.identifier
    summary.more["log_folder"] = str(folder)
    remove_old_runs(runs)
    context.terminal.step(f"Installing {context.site.name}")

    def ended(stage: Stage, result: PlaybookResult) -> None:
        record = StageRecord(result=result.result, seconds=result.seconds, changed=result.changed, hosts=result.hosts)
        journal.end_stage(operation, stage.name, record)

    watcher = Watcher(begun=lambda stage: journal.begin_stage(operation, stage.name), ended=ended)
    run_graph(context, folder=folder, summary=summary, watcher=watcher, at_once=at_once, done=operation.done_stages)
    require_done(context, summary)


def _prove(context: OperationContext, summary: Summary) -> None:
    context.terminal.step(f"Proving {context.site.name} from the user's side")
    report = checks.verify(context)
    summary.add_step("verify", DONE if report.ok else FAILED, report.seconds)
    summary.more["verification"] = {"ok": report.ok, **report.counts()}
    summary.more["evidence"] = str(checks.require(context, report, kind="evidence"))


def verify_bundle(context: OperationContext) -> Manifest:
    """Refuse a bundle that is not what its publisher signed.

    Raises:
        BundleError: Naming the file that is wrong.
    """
    return verify(
        context.bundle,
        trusted=trusted_folder(keys_folder(context.paths)),
        report=context.terminal.say,
        key=context.request.bundle_key,
    )


def inputs_of(context: OperationContext, manifest: Manifest) -> dict[str, str]:
    """Hashes of all an install depends on, by what a person calls them."""
    return {
        f"the site's settings ({context.site.path})": context.site.digest()[:16],
        f"the bundle ({context.bundle})": hashlib.sha256(manifest.to_bytes()).hexdigest()[:16],
        **file_digests(STAGES, context.paths.root),
    }


def _operation(context: OperationContext, journal: Journal, inputs: dict[str, str]) -> Operation | None:
    """The unfinished operation to carry on with, or None to begin a new one.

    Raises:
        ConfigurationError: If its inputs have changed since.
    """
    last = journal.last(VERB)
    if last is None or not last.unfinished or context.request.start_over:
        return None
    changes = last.changed_inputs(inputs)
    if changes:
        raise ConfigurationError(
            f"the install begun {last.started:%Y-%m-%d %H:%M} UTC is not finished, and since then changed:"
            f" {'; '.join(changes)}",
            hint=f"put it back as it was, or go through all stages again: {context.request.command} --start-over",
        )
    return last


def _begin(
    context: OperationContext, journal: Journal, operation: Operation | None, inputs: dict[str, str]
) -> Operation:
    if operation is None:
        last = journal.last(VERB)
        if last is not None and last.unfinished:
            journal.abandon(last)
        return journal.begin(VERB, inputs)
    journal.resume(operation)
    done = len(operation.done_stages)
    context.terminal.say(
        f"carrying on with the install begun {operation.started:%Y-%m-%d %H:%M} UTC:"
        f" {done} of {len(STAGES)} stages are done"
    )
    return operation


def _end(journal: Journal, operation: Operation, result: str, summary: Summary) -> None:
    journal.end(operation, result, seconds=summary.seconds, changed=summary.changed, failed=summary.failed)


def _finish(context: OperationContext, summary: Summary, error: InstallerError | None) -> None:
    """Say what was done, in the form that was asked for."""
    terminal = context.terminal
    if isinstance(error, InterruptedRunError):
        summary.result = INTERRUPTED
    if summary.stages:
        summary.print(terminal)
    terminal.document(summary.to_json(error))
    if error is None and terminal.output == "text":
        site = context.site
        terminal.result(
            f"{site.name} is installed and proven: changed={summary.changed} on {len(site.hosts)} host(s)"
            f" in {summary.seconds:.0f} s"
        )
        terminal.result(f"evidence: {summary.more['evidence']}")
        terminal.result(f"users open: https://{site.public_name}/ (address {site.virtual_ip})")
