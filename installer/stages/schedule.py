"""The order in which stages run: side by side what does not need each other, in one go what follows alone.

A stage that runs by itself pays for a start of Ansible and for a login to each of its hosts. A chain
of stages in one process pays once, so whatever can only follow one stage is put behind it.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from installer.stages.graph import Stage

MOST_AT_ONCE: Final = 4


class Outcome(Protocol):
    """What the scheduler must know of a stage that ended."""

    @property
    def result(self) -> str:
        """`done` when what needs the stage may start."""


Result = TypeVar("Result", bound=Outcome)


def run_stages(
    stages: Sequence[Stage],
    work: Callable[[Sequence[Stage], Callable[[Stage, Result], None]], None],
    *,
    done: Collection[str],
    limit: int,
    keep_going: bool = False,
    begun: Callable[[Stage], None],
    ended: Callable[[Stage, Result], None],
) -> None:
    """Run every stage not yet done, at the same time what does not need each other.

    When a stage ends other than `done`, the chains that run go on to their end and none is started.
    `begun` and `ended` are called from the calling thread, `work` from others.

    Args:
        stages: All stages.
        work: Runs a chain of stages one after the other; tells its second argument of each that ended,
            and returns early behind one that did not end well.
        done: Names of the stages that need not run.
        limit: Most chains at once; with 1, everything is one chain.
        keep_going: Start also what needs a stage that did not end well.
        begun: Told before a stage starts.
        ended: Told of a stage's result.

    Raises:
        RuntimeError: If `work` returns and has not told of a single stage; to start it again could go on forever.
    """
    graph = _Graph(stages, done)
    told: SimpleQueue[Future[None] | tuple[Stage, Result]] = SimpleQueue()
    running: dict[Future[None], list[Stage]] = {}
    silent: set[Future[None]] = set()
    broken = False
    with ThreadPoolExecutor(max_workers=limit, thread_name_prefix="stage") as pool:
        while True:
            while not broken and len(running) < limit and (chain := graph.chain(last=len(running) == limit - 1)):
                begun(chain[0])
                future = pool.submit(work, tuple(chain), lambda stage, result: told.put((stage, result)))
                running[future] = chain
                silent.add(future)
                future.add_done_callback(told.put)
            if not running:
                return
            news = told.get()
            if isinstance(news, Future):
                left = running.pop(news)
                news.result()
                if news in silent:
                    raise RuntimeError(f"stage {left[0].name} ended without a result")
                graph.waiting = [*left, *graph.waiting]
                continue
            stage, result = news
            future, chain = next((future, chain) for future, chain in running.items() if stage in chain)
            silent.discard(future)
            chain.remove(stage)
            ended(stage, result)
            if result.result == "done" and chain:
                begun(chain[0])
            if result.result == "done" or (keep_going and result.result == "failed"):
                graph.finished.add(stage.name)
            else:
                broken = True


class _Graph:
    """What is finished and what waits."""

    def __init__(self, stages: Sequence[Stage], done: Collection[str]) -> None:
        self._always = {stage.name for stage in stages if stage.always}
        self.finished = set(done) - self._always
        self.waiting = [stage for stage in stages if stage.name not in self.finished]

    def chain(self, *, last: bool) -> list[Stage]:
        """Take the next stages for one process out of those that wait; empty when none can start.

        Args:
            last: No other process may be started, so everything that can run joins this one.
        """
        chain: list[Stage] = []
        while following := self._following(chain, everything=last):
            if chain and len(following) > 1 and not last:
                break
            chain.append(following[0])
            self.waiting.remove(following[0])
        return chain

    def _following(self, chain: Sequence[Stage], *, everything: bool) -> list[Stage]:
        """What could start behind the chain and, unless everything is asked for, not without it."""
        behind = self.finished.union(stage.name for stage in chain)
        ready = [stage for stage in self.waiting if behind.issuperset(self._needs(stage))]
        if everything or not chain:
            return ready
        return [stage for stage in ready if not self.finished.issuperset(self._needs(stage))]

    def _needs(self, stage: Stage) -> set[str]:
        return {*stage.needs, *(self._always - {stage.name})}
