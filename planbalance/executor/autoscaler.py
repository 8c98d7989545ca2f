"""Choose the kind and number of workers and the size of a batch, by measuring the run. Pure: times are arguments.

The rule. The first batches are small and show whether a slice waits (for a disk, for a server) longer than it computes:
then threads work, else the processes that were forked at the start. The batch that waited least decides, since on a
busy machine batches also wait for a core. On a near file system, the run begins with one thread, since threads that
make links wait for one interpreter lock; but with one for each core where a slice takes long, as a copy of a large
image does. Where nothing was forked and calls are known to wait, it begins with several threads, since the first
batches of one worker would take longer than the rest. From there on the rate is measured in windows of time.

* Climbing: the number of workers is doubled, as long as that raises the rate by an eighth or more. Then the best number
  is kept: the run has settled. If the first doubling raises nothing, half the workers are tried, and half of these,
  as long as the rate stays.
* Settled: nothing changes while the rate stays. If it falls below two thirds for two windows (a server that slows down
  under load, or other users), half the workers are tried, and kept if their rate is as good.
* A long time after it settled, twice the workers are tried once more: the server may be fast again.

With `--jobs N` there are N: of threads always, of processes those that were forked, since on a near file system threads
in their place would only wait for one interpreter lock.
"""

import math
from typing import Final, Literal, NamedTuple

Kind = Literal["processes", "threads"]

_BATCH_SECONDS: Final = 0.06  # an interrupt waits for the end of a batch, and a killed run does a batch again
_LONG: Final = 50e-6  # seconds of a slice, from which on one interpreter lock does not slow two threads
_FIRST_THREADS: Final = 16
_VERY_FAR: Final = 500e-6  # seconds of waiting in a call, from which on a slice waits 50 times as long as it computes
_FIRST_VERY_FAR: Final = 64
_WINDOW_SECONDS: Final = 0.2
_WORTH: Final = 1.125
_FALLEN: Final = 0.67
_AS_GOOD: Final = 0.95
_TRY_AGAIN_SECONDS: Final = 20.0


class Limits(NamedTuple):
    """When processes and threads are worth it, and how many at most: the same for scan, apply, verify and tune.

    Attributes:
        cores: that there are; None: those that this process may use.
        worth_forking: slices, below which forking and parsing in two processes costs more than it saves.
        most_processes: more than that wait for the process that collects their results.
        most_threads: of one process.
        far_seconds: a file system whose calls wait longer counts as far; on a local one they wait 2 to 20 us.
        first_batch: slices of the first batches.
        smallest_batch: slices.
        largest_batch: slices.
        worth_reading: slices, from which on a process reads a block again that another process has read. Reading takes
            2 ms, so the second process must save more than that.
        threads: whether several threads of a process may work: not where what they call may run in one thread only.
    """

    cores: int | None = None
    worth_forking: int = 4_096
    most_processes: int = 8
    most_threads: int = 128
    far_seconds: float = 100e-6
    first_batch: int = 8
    smallest_batch: int = 4
    largest_batch: int = 4_096
    worth_reading: int = 512
    threads: bool = True


LIMITS: Limits = Limits()


class FinishedBatch(NamedTuple):
    """One batch: when it ended (seconds of any clock), slices, the worker's seconds, and those of them it computed."""

    at: float
    count: int  # type: ignore[assignment]  # hides tuple's method, which is not needed here
    seconds: float
    busy: float


class Autoscaler:
    """Chooses kind, workers and batch.

    Args:
        cores: that this process may use.
        processes: that were forked; 0 for none.
        jobs: as many workers as the user asked for, or None.
        waits: seconds that a call on this file system was seen to wait; 0 where that was not measured.
        limits: None: `LIMITS`.

    Attributes:
        kind: of the workers that should be at work.
        workers: how many should be.
        batch: slices that the next batch should have.
    """

    def __init__(
        self, cores: int, processes: int, jobs: int | None, *, waits: float = 0.0, limits: Limits | None = None
    ) -> None:
        self._limits = limits = limits or LIMITS
        self._cores = cores
        self._pinned = jobs
        self.kind: Kind = "processes" if processes else "threads"
        self.workers = processes or 1
        self.batch = limits.first_batch
        self._most = processes or 1
        self._began: float | None = None
        self._count = 0
        self._batches = 0
        self._first = self.workers
        self._best = (self.workers, 0.0)
        self._phase: str = "first"
        self._settled_at = 0.0
        self._fallen = 0
        self._waits: list[float] = []
        self._least = math.inf  # seconds a slice takes
        if limits.threads and not processes and (jobs is not None or waits > limits.far_seconds):
            self.batch = limits.smallest_batch if waits > limits.far_seconds else limits.first_batch
            self._use_threads(far=True, first=_FIRST_VERY_FAR if waits >= _VERY_FAR else _FIRST_THREADS)

    def observe(self, finished: FinishedBatch) -> None:
        """Take in a finished batch."""
        if self._phase == "first":
            self._choose(finished)
            return
        self._size(finished)
        if self._began is None:
            self._open_window(finished.at - finished.seconds)
        self._count += finished.count
        self._batches += 1
        elapsed = finished.at - (self._began or 0.0)
        enough = 2 * self.workers if elapsed < 4 * _WINDOW_SECONDS else self.workers
        if elapsed >= _WINDOW_SECONDS and self._batches >= max(8, enough):
            rate = self._count / elapsed
            self._open_window(finished.at)
            if self._pinned is None:
                self._decide(rate, finished.at)

    def _size(self, finished: FinishedBatch) -> None:
        a_slice = finished.seconds / max(1, finished.count)
        wanted = int(_BATCH_SECONDS / max(a_slice, 1e-6))
        self.batch = max(self._limits.smallest_batch, min(self._limits.largest_batch, wanted))

    def _choose(self, finished: FinishedBatch) -> None:
        waited = (finished.seconds - finished.busy) / max(1, finished.count)
        if not self._limits.threads:
            self._watch_from_now_on()
            self._size(finished)
            self._open_window(finished.at)
            self._settled_at = finished.at
            return
        self._waits.append(waited if 2 * finished.busy < finished.seconds else 0.0)
        self._least = min(self._least, finished.seconds / max(1, finished.count))
        if len(self._waits) < 2 * self.workers:
            return
        far = min(self._waits) > self._limits.far_seconds
        if far or self.kind == "threads":
            near_by = self._cores if self._least > _LONG else 1
            self._use_threads(far=far, first=_FIRST_THREADS if far else near_by)
        else:
            self._watch_from_now_on()
        self._size(finished)
        self._open_window(finished.at)
        self._settled_at = finished.at

    def _use_threads(self, *, far: bool, first: int) -> None:
        self.kind = "threads"
        self._most = self._pinned or (self._limits.most_threads if far else self._cores)
        self.workers = self._pinned or min(self._most, first)
        self._watch_from_now_on()

    def _watch_from_now_on(self) -> None:
        self._first = self.workers
        self._phase = "climbing" if self.workers < self._most else "settled"
        self._best = (self.workers, 0.0)

    def _open_window(self, at: float) -> None:
        self._began, self._count, self._batches = at, 0, 0

    def _decide(self, rate: float, at: float) -> None:
        workers, best = self._best
        if self._phase == "climbing":
            if rate >= _WORTH * best:
                self._best = (self.workers, rate)
                if self.workers < self._most:
                    self.workers = min(self._most, 2 * self.workers)
                    return
            elif workers == self._first:
                self._phase, self.workers = "falling", max(1, workers // 2)
                return
            self._settle(at)
        elif self._phase == "falling":
            if rate >= _AS_GOOD * best:
                self._best = (self.workers, max(rate, best))
                if self.workers > 1:
                    self.workers //= 2
                    return
            self._settle(at)
        else:
            self._watch(rate, at, workers, best)

    def _settle(self, at: float) -> None:
        self.workers = self._best[0]
        self._phase, self._settled_at, self._fallen = "settled", at, 0

    def _watch(self, rate: float, at: float, workers: int, best: float) -> None:
        self._fallen = self._fallen + 1 if rate < _FALLEN * best else 0
        if not best:
            self._best = (workers, rate)
        elif self._fallen >= 2 and workers > 1:
            self._phase, self._best, self.workers, self._fallen = "falling", (workers, rate), workers // 2, 0
        elif at - self._settled_at > _TRY_AGAIN_SECONDS and workers < self._most:
            self._phase, self._best, self.workers = "climbing", (workers, rate), min(self._most, 2 * workers)
