"""Who does the work of a scan: this process, worker processes or threads, as the controller says while it watches.

On a near disk a call is answered in microseconds and the interpreter's lock is what threads would wait for, so batches
go to processes, or stay here where there are none (ENGINE, section 1). On a far file system each call waits for a
server, and threads hide the waiting: as many as raise the rate.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import Final, Generic, NamedTuple, TypeVar

from planbalance.controller import Controller, Seen
from planbalance.model import Progress
from planbalance.pool import available_cores
from planbalance.workers import Workers

Item = TypeVar("Item")
Batch = TypeVar("Batch")
Result = TypeVar("Result")

MOST_THREADS: Final = 128
_ITEMS: Final = 64  # at most so many go to a process in one message


class _Task(NamedTuple, Generic[Batch, Result]):
    """A batch with what is to be done to it."""

    work: Callable[[Batch], Result]
    batch: Batch
    weight: int


class _Items(NamedTuple, Generic[Item, Result]):
    """Items with what is to be done to each."""

    work: Callable[[Item], Result]
    items: Sequence[Item]


class _Done(NamedTuple, Generic[Result]):
    """A result, and what it took the worker: seconds, and those of them that it computed."""

    result: Result
    seconds: float
    busy: float


class Crew:
    """The hands of one stage of a scan.

    Args:
        jobs: as many hands as the user asked for; None: as many as the controller finds worth it.
        workers: processes, or none.
        progress: told of every batch.
    """

    def __init__(self, jobs: int | None, workers: Workers, progress: Progress) -> None:
        self._workers = workers
        self._progress = progress
        self._controller = Controller(available_cores(), workers.count, jobs)

    @property
    def calls_a_batch(self) -> int:
        """How many calls to put into one batch."""
        return self._controller.batch

    def cut(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """Cut items into batches of one call each."""
        source = iter(items)
        while batch := list(islice(source, self.calls_a_batch)):
            yield batch

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the results of all items, in their order.

        Processes work on all of them at the first call, before they get any batch; threads and this process on each
        when it is asked for. `work` is a function of a module; what it takes and gives can be pickled.
        """
        if self._workers.count and not self._threads():
            size = max(1, min(_ITEMS, len(items) // (4 * self._workers.count)))
            batches = [_Items(work, items[start : start + size]) for start in range(0, len(items), size)]
            done = dict(self._workers.work_off(_work_on, batches))  # all of it: the caller has batches for them next
            yield from chain.from_iterable(done[number] for number in range(len(batches)))
            return
        waiting = iter(items)
        for item in waiting:
            if self._threads() > 1:
                yield from _in_order(_in_threads(work, chain((item,), waiting), self._threads))
            else:
                yield work(item)

    def do(
        self, work: Callable[[Batch], Result], batches: Iterable[Batch], *, weigh: Callable[[Batch], int]
    ) -> list[Result]:
        """Return the results of all batches, in their order. Progress advances by the weight of each, its calls."""
        weights: list[int] = []

        def tasks() -> Iterator[_Task[Batch, Result]]:
            for batch in batches:
                weights.append(weigh(batch))
                yield _Task(work, batch, weights[-1])

        results: dict[int, Result] = {}
        source = tasks()
        while (first := next(source, None)) is not None:  # the kind of the workers may change on the way
            start = len(results)
            for number, done in self._work_off(chain((first,), source)):
                results[start + number] = done.result
                weight = weights[start + number]
                self._controller.observe(Seen(time.perf_counter(), weight, done.seconds, done.busy))
                self._progress.advance(weight)
        return [results[number] for number in range(len(results))]

    def _threads(self) -> int:
        """Return how many threads should be at work; 0 where processes are."""
        return self._controller.workers if self._controller.kind == "threads" else 0

    def _work_off(self, tasks: Iterator[_Task[Batch, Result]]) -> Iterator[tuple[int, _Done[Result]]]:
        """Work tasks off as long as the same kind of worker is wanted; at least one."""
        if self._threads() > 1:
            return _in_threads(_timed, tasks, self._threads)
        return self._workers.work_off(_timed, _while(lambda: self._threads() <= 1, tasks))


def _while(wanted: Callable[[], bool], items: Iterator[Item]) -> Iterator[Item]:
    """Yield items until nobody wants more; none is taken in vain."""
    for item in items:
        yield item
        if not wanted():
            return


def _work_on(batch: _Items[Item, Result]) -> list[Result]:
    return [batch.work(item) for item in batch.items]


def _timed(task: _Task[Batch, Result]) -> _Done[Result]:
    start, computing = time.perf_counter(), time.thread_time()
    result = task.work(task.batch)
    return _Done(result, time.perf_counter() - start, time.thread_time() - computing)


def _in_threads(
    work: Callable[[Batch], Result], batches: Iterable[Batch], threads: Callable[[], int]
) -> Iterator[tuple[int, Result]]:
    """Yield each batch's number and result, in the order of their ends; `batches` is pulled as threads become free."""
    numbered = enumerate(batches)
    running: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(MOST_THREADS) as executor:
        while True:
            while len(running) < threads() and (task := next(numbered, None)) is not None:
                running[executor.submit(work, task[1])] = task[0]
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


def _in_order(numbered: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    early: dict[int, Result] = {}
    due = 0
    for number, result in numbered:
        early[number] = result
        while due in early:
            yield early.pop(due)
            due += 1
