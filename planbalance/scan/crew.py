"""How many worker threads the scan has, and how work is handed to them."""

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from planbalance.model import Progress
from planbalance.pool import for_each_batch

Item = TypeVar("Item")
Result = TypeVar("Result")

FAR_WORKERS: Final = 16  # waiting workers cost nothing; more of them would load the servers of a shared file system
FAR_SECONDS: Final = 100e-6  # a call; a local one takes 1 to 20 us
_UNMEASURED: Final = 4


class Crew:
    """The workers: as many as asked for, else as many as the distance of the files is worth.

    On a local disk one worker is fastest, since the interpreter lock is what they would wait for (ENGINE, section 1).
    """

    def __init__(self, jobs: int | None, progress: Progress) -> None:
        self._progress = progress
        self._fixed = jobs is not None
        self.measured = self._fixed
        self.workers = jobs or _UNMEASURED

    async def do(
        self,
        work: Callable[[list[Item]], list[Result]],
        batches: Iterable[list[Item]],
        *,
        weigh: Callable[[list[Item]], int] = len,
    ) -> list[Result]:
        """Return the results of all batches, in their order. Progress advances by the weight of each batch."""
        numbered = list(enumerate(batches))
        results: list[list[Result]] = [[]] * len(numbered)

        async def finished(batch: tuple[int, list[Item]], done: list[Result]) -> None:
            results[batch[0]] = done
            self._progress.advance(weigh(batch[1]))

        await for_each_batch(lambda batch: work(batch[1]), numbered, jobs=self.workers, finished=finished)
        return [result for done in results for result in done]

    async def measure(self, work: Callable[[list[Item]], list[Result]], sample: list[Item], calls: int) -> list[Result]:
        """Do a sample of so many calls alone, and choose the number of workers by the time a call takes."""
        start = time.perf_counter()
        results = await self.do(work, [sample], weigh=lambda _: calls)
        if not self.measured:
            self.measured = True
            self.workers = FAR_WORKERS if (time.perf_counter() - start) / calls > FAR_SECONDS else 1
        return results

    def at_least(self, workers: int) -> None:
        """Raise the number for work that computes outside the interpreter lock, unless it was given."""
        if not self._fixed:
            self.workers = max(workers, self.workers)
