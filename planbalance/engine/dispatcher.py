"""The dispatcher: hands batches to as many workers as the autoscaler wants, until nothing is left or the run stops."""

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import anyio
import anyio.to_thread

from planbalance.engine.context import Context
from planbalance.engine.journal import JournalFile, Record
from planbalance.engine.placer_pool import Worker
from planbalance.engine.schedule import Range, Schedule
from planbalance.executor.autoscaler import Autoscaler, FinishedBatch
from planbalance.executor.processes import available_cores

_MOST_WORKERS: Final = 1_000
_SMALLEST: Final = 8


class Dispatcher:
    """Hands out batches. Its methods run in the event loop's thread.

    Args:
        context: of the run; its workers must have begun.
        ranges: what is to be placed, or checked in a dry run.
        journal: records what is in place; None in a dry run.
        keep: takes what is done, once the journal has it.
        what: what is done with the slices, in a word for the progress.
    """

    def __init__(
        self,
        context: Context,
        ranges: Sequence[Range],
        journal: JournalFile | None = None,
        keep: Callable[[Record], None] = lambda _: None,
        *,
        what: str = "apply",
    ) -> None:
        job, limits, pool = context.job, context.job.kind.limits(), context.pool
        self._context = context
        self._pool = pool
        self._journal = journal
        self._keep = keep
        self._what = "check" if journal is None else what
        self._schedule = Schedule(
            job.plan.header.blocks,
            ranges,
            pool.owned,
            job.stats.sources(),
            starts=() if limits.threads else job.stats.starts(),
            worth_reading=limits.worth_reading,
            in_order=job.packing is not None,
        )
        self._scaler = Autoscaler(
            limits.cores or available_cores(),
            pool.processes,
            job.options.jobs,
            waits=context.call_wait if journal is not None else 0.0,
            limits=limits,
        )
        self._limiter = anyio.CapacityLimiter(_MOST_WORKERS)
        self._working = 0
        self._failures: list[Exception] = []

    async def run(self, meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Place all ranges, and await `meanwhile` at the same time; it must not raise.

        Once `context.stop` is set, running batches finish and no new one starts. An exception of a worker or of the
        journal ends the others the same way and is raised.
        """
        progress = self._context.progress
        progress.begin(self._what, self._context.job.slices, "slices")
        try:
            progress.advance(self._context.placed)
            async with anyio.create_task_group() as self._tasks:
                if meanwhile is not None:
                    self._tasks.start_soon(meanwhile)
                self._start_workers()
        finally:
            progress.end()
        if self._failures:
            raise self._failures[0]

    def _start_workers(self) -> None:
        """Start workers, up to the number wanted."""
        while self._working < self._scaler.workers and self._continues():
            worker = self._pool.idle_worker(self._scaler.kind)
            if worker is None:
                return
            self._working += 1
            self._tasks.start_soon(self._work, worker)

    def _continues(self) -> bool:
        return bool(self._schedule.left) and not self._failures and not self._context.stop

    def _wanted(self, worker: Worker) -> bool:
        return worker.kind == self._scaler.kind and self._working <= self._scaler.workers

    async def _work(self, worker: Worker) -> None:
        """Hand one batch after the other to a worker, as long as the autoscaler wants it."""
        spent = False
        try:
            while self._continues() and self._wanted(worker):
                batch = self._schedule.take(self._batch_size(), worker.owner, alone=self._working == 1)
                if not batch:
                    spent = True
                    break
                result = await anyio.to_thread.run_sync(worker.place, batch, limiter=self._limiter)
                self._schedule.done(batch)
                self._scaler.observe(FinishedBatch(time.monotonic(), result.count, result.seconds, result.busy))
                if result.done and self._journal is not None:
                    record = Record(tuple(result.done), bytes(result.sums), result.permissions, result.spooled)
                    await self._journal.append(record)
                    self._keep(record)
                self._context.add(result)
                self._start_workers()
        except Exception as error:  # raised once the others have finished their batch
            self._failures.append(error)
        finally:
            self._working -= 1
            self._pool.give_back(worker, spent=spent)
        if not self._wanted(worker):
            self._start_workers()

    def _batch_size(self) -> int:
        """Return how large a batch is: the last ones are small, so that all workers end together."""
        wanted = self._scaler.batch
        if self._working == 1:
            return wanted
        share = -(-self._schedule.left // (2 * self._scaler.workers))
        return max(min(wanted, share), min(-(-wanted // 2), _SMALLEST))
