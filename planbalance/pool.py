"""Batches handed to worker threads under anyio: the one way in which scan, apply and verify do things side by side.

A hop to a thread costs as much as 35 to 100 small file operations, so work is handed over a batch at a time, never a
file at a time.
"""

import gc
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, TypeVar

_UNLIMITED: Final = 1 << 16

Batch = TypeVar("Batch")
Result = TypeVar("Result")
Item = TypeVar("Item")


def available_cores() -> int:
    """Return the cores that this process may use: its affinity (not the machine's count), and its cgroups' quota."""
    return max(1, min(len(os.sched_getaffinity(0)), _quota("/proc/self/cgroup", "/sys/fs/cgroup")))


def _quota(membership: str, root: str) -> int:
    """Return how many cores' time the cgroups of this process are given, rounded up; many where nothing limits them.

    cgroups(7): a line of `membership` is `hierarchy:controllers:path`; hierarchy 0 is version 2 (`cpu.max`), each group
    within the limits of those above it.
    """
    least = float(_UNLIMITED)
    for files in _limits(membership, root):
        words = [word for file in files for word in _words(file)]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            least = min(least, int(words[0]) / int(words[1]))
    return math.ceil(least)


def _limits(membership: str, root: str) -> Iterator[tuple[str, ...]]:
    """Yield the files that give quota and period of each group that this process is in."""
    for line in _words(membership):
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        parts = path.strip("/").split("/")
        for depth in range(len(parts) + 1):
            group = "/".join((root, *parts[:depth]))
            if hierarchy == "0":
                yield (f"{group}/cpu.max",)
            elif "cpu" in controllers.split(","):
                group = "/".join((root, "cpu", *parts[:depth]))
                yield f"{group}/cpu.cfs_quota_us", f"{group}/cpu.cfs_period_us"


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split()
    except OSError:
        return []


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut items into lists of `size`, the last one shorter (itertools.batched is 3.12 and newer)."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


@contextmanager
def without_collecting() -> Iterator[None]:
    """Keep the garbage collector from walking what grows over and over, where nothing makes cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def run_blocking(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run `main` to its end; in a thread of its own where this thread already runs an event loop (a notebook)."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    import anyio

    results: list[Result] = []

    async def keep() -> None:  # asyncio formats a task's result when it closes: a second, for a whole snapshot
        results.append(await main())

    try:
        asyncio.get_running_loop()
        looping = True
    except RuntimeError:
        looping = False
    if not looping:
        anyio.run(keep)
    else:
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(anyio.run, keep).result()
    return results[0]


async def for_each_batch(
    work: Callable[[Batch], Result],
    batches: Iterable[Batch],
    *,
    jobs: int,
    finished: Callable[[Batch, Result], Awaitable[None]],
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Call `work` on every batch in up to `jobs` threads, and await `finished` in the loop after each.

    `batches` is pulled from the loop's thread only, as workers become free. Once `stopping` answers true, running
    batches finish and no new one starts. An exception from `work`, `finished` or `batches` ends the others the same
    way and is raised.
    """
    import anyio
    import anyio.to_thread

    limiter = anyio.CapacityLimiter(jobs)
    source = iter(batches)
    failures: list[Exception] = []

    async def worker() -> None:
        try:
            for batch in source:
                if failures or stopping():
                    return
                await finished(batch, await anyio.to_thread.run_sync(work, batch, limiter=limiter))
        except Exception as error:
            failures.append(error)  # raised once the others have finished their batch

    async with anyio.create_task_group() as tasks:
        for _ in range(jobs):
            tasks.start_soon(worker)
    if failures:
        raise failures[0]
