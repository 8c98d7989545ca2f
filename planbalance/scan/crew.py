"""Who does the work of a scan: this process, worker processes or threads, by how far away the files are.

On a near disk a call is answered in microseconds and the interpreter's lock is what threads would wait for, so batches
go to processes, or stay here where there are none (ENGINE, section 1). On a far file system each call waits for a
server, and threads hide the waiting.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import Final, TypeVar

from planbalance.model import Progress
from planbalance.workers import Workers

Item = TypeVar("Item")
Batch = TypeVar("Batch")
Result = TypeVar("Result")

FAR_WORKERS: Final = 16  # waiting workers cost nothing; more of them would load the servers of a shared file system
FAR_SECONDS: Final = 100e-6  # a call; a local one takes 1 to 20 us
SAMPLE: Final = 32  # calls that are timed before anything is chosen
NEAR_CALLS: Final = 2048  # a batch of them takes 5 ms
_BATCH_SECONDS: Final = 0.25  # of a far batch: what an interrupt waits for


class Crew:
    """The hands of one scan.

    Args:
        jobs: as many hands as the user asked for; None: as many as the distance of the files is worth.
        workers: processes, or none.
        progress: told of every batch.
    """

    def __init__(self, jobs: int | None, workers: Workers, progress: Progress) -> None:
        self._jobs = jobs
        self._workers = workers
        self._progress = progress
        self._call: float | None = None  # seconds; None: not measured yet

    @property
    def threads(self) -> int:
        """How many threads are worth it; 0 where the files are near, or not measured yet."""
        far = self._call is not None and self._call > FAR_SECONDS
        return (self._jobs or FAR_WORKERS) if far else 0

    @property
    def calls_a_batch(self) -> int:
        """How many calls to put into one batch."""
        if self._call is None:
            return SAMPLE
        return max(8, min(NEAR_CALLS, int(_BATCH_SECONDS / max(self._call, 1e-9))))

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results of all items, in their order. On a near disk each is worked on when it is asked for."""
        waiting = iter(items)
        for item in waiting:
            if self.threads:
                yield from _in_order(_in_threads(work, chain((item,), waiting), self.threads))
            else:
                yield work(item)

    def do(
        self,
        work: Callable[[Batch], Result],
        batches: Iterable[Batch],
        *,
        weigh: Callable[[Batch], int],
        threads: int = 0,
    ) -> list[Result]:
        """Return the results of all batches, in their order. Progress advances by the weight of each batch.

        The first batch of all tells how far the files are: its weight is its number of calls. `threads` are worth it
        near by too where the work leaves the interpreter's lock alone, and there are no processes.
        """
        weights: list[int] = []

        def weighed() -> Iterator[Batch]:
            for batch in batches:
                weights.append(weigh(batch))
                yield batch

        source = weighed()
        results: dict[int, Result] = {}
        if self._call is None and (first := next(source, None)) is not None:
            results[0] = self._measured(work, first, weights[0])
        start = len(results)
        for number, result in self._work_off(work, source, 0 if self._workers.count else threads):
            results[start + number] = result
            self._progress.advance(weights[start + number])
        return [results[number] for number in range(len(results))]

    def _measured(self, work: Callable[[Batch], Result], batch: Batch, calls: int) -> Result:
        start = time.perf_counter()
        result = work(batch)
        self._call = (time.perf_counter() - start) / max(1, calls)
        self._progress.advance(calls)
        return result

    def _work_off(
        self, work: Callable[[Batch], Result], batches: Iterator[Batch], threads: int
    ) -> Iterator[tuple[int, Result]]:
        threads = self.threads or threads
        return _in_threads(work, batches, threads) if threads > 1 else self._workers.work_off(work, batches)


def _in_threads(
    work: Callable[[Batch], Result], batches: Iterable[Batch], threads: int
) -> Iterator[tuple[int, Result]]:
    """Yield each batch's number and result, in the order of their ends; `batches` is pulled as threads become free."""
    numbered = enumerate(batches)
    running: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(threads) as executor:
        while True:
            while len(running) < threads and (task := next(numbered, None)) is not None:
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
