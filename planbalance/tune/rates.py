"""How many files a second a number of workers can make and remove, each in a folder of its own or all in one."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

from planbalance import fs
from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Kind
from planbalance.executor.processes import ProcessPool
from planbalance.executor.threads import run_in_threads
from planbalance.model import Progress

Where = Literal["own", "one"]

POINT_SECONDS: Final = 0.3  # how long one point is measured
# Two points in a row below this share of the best rate end the series: more workers would only load the servers.
_GIVE_UP: Final = 0.8


class Rate(NamedTuple):
    """One measured point.

    Attributes:
        kind: of the workers.
        workers: how many.
        where: each in a folder of its `own`, or all in `one`.
        per_second: files made and removed, of all workers together.
        busy: share of the time that a worker computed, and did not wait; from 0 to 1.
    """

    kind: Kind
    workers: int
    where: Where
    per_second: float
    busy: float


class _Task(NamedTuple):
    """What one worker is to do: its folder, how its names begin, and until when."""

    path: str
    prefix: str
    until: float


class _WorkerResult(NamedTuple):
    """What one worker did: how many files, until when, in how many seconds, and how many of those it computed."""

    files: int
    until: float
    seconds: float
    computed: float


def rates(tree: fs.Tree, processes: ProcessPool, progress: Progress) -> list[Rate]:
    """Return the points: for all worker processes, and for as many threads as raise the rate."""
    points: list[Rate] = []
    progress.begin("measure", None, "files")
    try:
        for point in _points(tree, processes):
            points.append(point)
            progress.advance(round(point.per_second * POINT_SECONDS))
    finally:
        progress.end()
    return points


def _points(tree: fs.Tree, processes: ProcessPool) -> Iterator[Rate]:
    for where in _WHERE:
        for count in _doubled(processes.count):
            yield _measure("processes", tree, count, where, partial(processes.work_off, _make_and_remove))
    for where in _WHERE:
        best, fallen = 0.0, 0
        for count in _doubled(autoscaler.LIMITS.most_threads):
            point = _measure("threads", tree, count, where, partial(run_in_threads, _make_and_remove, most=count))
            yield point
            best, fallen = max(best, point.per_second), fallen + 1 if point.per_second < _GIVE_UP * best else 0
            if fallen == 2:
                break


_WHERE: Final[tuple[Where, ...]] = ("own", "one")


def _doubled(most: int) -> Iterator[int]:
    count = 1
    while count < most:
        yield count
        count *= 2
    if most:
        yield most


def _folders(tree: fs.Tree, count: int, where: Where) -> list[str]:
    names = [f"rate-{index if where == 'own' else 0}" for index in range(count)]
    for name in dict.fromkeys(names):
        fs.close(tree.folder(name, make=True))
    return [f"{tree.path}/{name}" for name in names]


_Run = Callable[[list[_Task]], Iterable[tuple[int, _WorkerResult]]]  # hands the tasks to that many workers


def _measure(kind: Kind, tree: fs.Tree, count: int, where: Where, run: _Run) -> Rate:
    start = time.perf_counter()  # one clock for all processes
    tasks = [_Task(path, f"{index}-", start + POINT_SECONDS) for index, path in enumerate(_folders(tree, count, where))]
    return _summed(kind, where, [result for _, result in run(tasks)], start)


def _summed(kind: Kind, where: Where, done: Sequence[_WorkerResult], start: float) -> Rate:
    elapsed = max(each.until for each in done) - start
    worked = sum(each.seconds for each in done)
    computed = sum(each.computed for each in done)
    busy = min(1.0, computed / worked) if worked else 1.0
    return Rate(kind, len(done), where, sum(each.files for each in done) / elapsed, busy)


def _make_and_remove(task: _Task) -> _WorkerResult:
    """Make and remove files in a folder, under names that no other worker uses, until the time is over."""
    folder = fs.open_source_folder(task.path)
    start, computing = time.perf_counter(), time.thread_time()
    now, files = start, 0
    try:
        while now < task.until:
            name = f"{task.prefix}{files}"
            fs.empty_new(name, folder)
            fs.unlink(name, folder)
            files += 1
            now = time.perf_counter()
        return _WorkerResult(files, now, now - start, time.thread_time() - computing)
    finally:
        fs.close(folder)
