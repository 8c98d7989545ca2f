"""A pool of workers of both kinds: forked processes or threads, as the autoscaler decides from their rate.

On a near disk a call takes microseconds, and threads would wait for the interpreter's lock: batches go to processes, or
are done in this process where there are none. On a far file system each call waits for a server: batches go to threads,
as many as raise the rate.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, Generic, NamedTuple, TypeVar

from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Autoscaler, FinishedBatch
from planbalance.executor.processes import ProcessPool, available_cores
from planbalance.executor.threads import run_in_threads
from planbalance.model import Progress

Item = TypeVar("Item")
Batch = TypeVar("Batch")
Result = TypeVar("Result")

_ITEMS: Final = 64  # the most that go to a process in one message


class _TimedTask(NamedTuple, Generic[Batch, Result]):
    """A batch with what is to be done to it."""

    work: Callable[[Batch], Result]
    batch: Batch
    weight: int


class _Items(NamedTuple, Generic[Item, Result]):
    """Items with what is to be done to each."""

    work: Callable[[Item], Result]
    items: Sequence[Item]


class _Timed(NamedTuple, Generic[Result]):
    """A result with the worker's seconds, and the seconds of them that it computed."""

    result: Result
    seconds: float
    busy: float


class WorkerPool:
    """The workers of one stage of a command.

    Args:
        jobs: as many workers as the user asked for; None: as many as the autoscaler finds worth it.
        processes: forked before, perhaps none.
        progress: where every batch is reported.
    """

    def __init__(self, jobs: int | None, processes: ProcessPool, progress: Progress) -> None:
        self._processes = processes
        self._progress = progress
        self._scaler = Autoscaler(autoscaler.LIMITS.cores or available_cores(), processes.count, jobs)

    @property
    def calls_a_batch(self) -> int:
        """How many calls to put into one batch."""
        return self._scaler.batch

    def cut(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """Cut items into batches of one call each."""
        source = iter(items)
        while batch := list(islice(source, self.calls_a_batch)):
            yield batch

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the results of all items, in their order.

        Processes work on all of them at the first call, before they get any batch; threads and this process on each
        when it is asked for. `work` is a function of a module; what it takes and returns can be pickled.
        """
        if self._processes.count and not self._threads():
            size = max(1, min(_ITEMS, len(items) // (4 * self._processes.count)))
            batches = [_Items(work, items[start : start + size]) for start in range(0, len(items), size)]
            done = dict(self._processes.work_off(_work_on, batches))  # all of it: the caller has batches for them next
            yield from chain.from_iterable(done[number] for number in range(len(batches)))
            return
        waiting = iter(items)
        for item in waiting:
            if self._threads() > 1:
                most = autoscaler.LIMITS.most_threads
                yield from _in_order(run_in_threads(work, chain((item,), waiting), most, self._threads))
            else:
                yield work(item)

    def do(
        self, work: Callable[[Batch], Result], batches: Iterable[Batch], *, weigh: Callable[[Batch], int]
    ) -> list[Result]:
        """Return the results of all batches, in their order. Progress advances by the weight of each, its calls."""
        weights: list[int] = []

        def tasks() -> Iterator[_TimedTask[Batch, Result]]:
            for batch in batches:
                weights.append(weigh(batch))
                yield _TimedTask(work, batch, weights[-1])

        results: dict[int, Result] = {}
        source = tasks()
        while (first := next(source, None)) is not None:  # the kind of the workers may change on the way
            start = len(results)
            for number, done in self._work_off(chain((first,), source)):
                results[start + number] = done.result
                weight = weights[start + number]
                self._scaler.observe(FinishedBatch(time.perf_counter(), weight, done.seconds, done.busy))
                self._progress.advance(weight)
        return [results[number] for number in range(len(results))]

    def _threads(self) -> int:
        """Return how many threads should be at work; 0 where processes are."""
        return self._scaler.workers if self._scaler.kind == "threads" else 0

    def _work_off(self, tasks: Iterator[_TimedTask[Batch, Result]]) -> Iterator[tuple[int, _Timed[Result]]]:
        """Work tasks off as long as the same kind of worker is wanted; at least one."""
        if self._threads() > 1:
            return run_in_threads(_timed, tasks, autoscaler.LIMITS.most_threads, self._threads)
        return self._processes.work_off(_timed, _while(lambda: self._threads() <= 1, tasks))


def _while(wanted: Callable[[], bool], items: Iterator[Item]) -> Iterator[Item]:
    """Yield items until no more are wanted; none is taken from `items` and not yielded."""
    for item in items:
        yield item
        if not wanted():
            return


def _work_on(batch: _Items[Item, Result]) -> list[Result]:
    return [batch.work(item) for item in batch.items]


def _timed(task: _TimedTask[Batch, Result]) -> _Timed[Result]:
    start, computing = time.perf_counter(), time.thread_time()
    result = task.work(task.batch)
    return _Timed(result, time.perf_counter() - start, time.thread_time() - computing)


def _in_order(numbered: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    early: dict[int, Result] = {}
    due = 0
    for number, result in numbered:
        early[number] = result
        while due in early:
            yield early.pop(due)
            due += 1
