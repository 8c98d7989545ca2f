"""Processes of our own that work off batches: for loops that the interpreter's lock would keep on one core.

They are forked, so they start in a millisecond and have every module at hand. Forking is safe only while there is one
thread: where there are more (a notebook, a bar that draws itself) there are no workers, and this process does the work.
"""

import select
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from planbalance.forked import Child, ChildGoneError, may_fork

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Workers:
    """`count` processes, for as long as the `with` block lasts; none where `count` is 1 or forking is not safe.

    Fewer, or none, where the user may have no more processes, or there is no memory for them.
    """

    def __init__(self, count: int) -> None:
        self._workers: list[Child] = []
        if count > 1 and may_fork():
            with suppress(OSError):
                for _ in range(count):
                    self._workers.append(Child(lambda: _work_off, self._workers))

    @property
    def count(self) -> int:
        """How many there are; 0: batches are worked off in this process."""
        return len(self._workers)

    def work_off(self, work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[tuple[int, Result]]:
        """Call `work` on every batch, and yield the batch's number and the result, in the order of their ends.

        `work` is a function of a module; what it takes and gives can be pickled. What a worker that died (killed for
        its memory, say) had in hand is done here. An exception ends all workers and is raised.
        """
        numbered = enumerate(batches)
        if self._workers:
            try:
                yield from self._in_workers(work, numbered)
            except BaseException:
                self.end()
                raise
        for number, batch in numbered:
            yield number, work(batch)

    def _in_workers(
        self, work: Callable[[Batch], Result], numbered: Iterator[tuple[int, Batch]]
    ) -> Iterator[tuple[int, Result]]:
        idle = list(self._workers)
        busy: dict[Child, tuple[int, Batch]] = {}
        while True:
            while idle and (task := next(numbered, None)) is not None:
                worker = idle.pop()
                busy[worker] = task
                with suppress(ChildGoneError):  # that it is gone shows when the answer is due
                    worker.ask(work, task[1])
            if not busy:
                return
            for worker in select.select(list(busy), (), ())[0]:
                number, batch = busy.pop(worker)
                try:
                    result: Result = worker.answer()
                except ChildGoneError:
                    self._workers.remove(worker)
                    worker.kill()
                    result = work(batch)
                else:
                    idle.append(worker)
                yield number, result

    def end(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _work_off(work: Callable[[Batch], Result], batch: Batch) -> Result:
    return work(batch)
