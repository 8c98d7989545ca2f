"""Threads: batches worked off by several of them; and batches themselves."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Batch = TypeVar("Batch")
Result = TypeVar("Result")
Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut items into lists of `size`, the last one shorter (itertools.batched is 3.12 and newer)."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def run_in_threads(
    work: Callable[[Batch], Result], batches: Iterable[Batch], most: int, wanted: Callable[[], int] | None = None
) -> Iterator[tuple[int, Result]]:
    """Call `work` on every batch in up to `most` threads; yield each batch's number and result as they are finished.

    `batches` is pulled from the caller's thread only, as threads become free. An exception from `work` or `batches` is
    raised once the running batches have finished; no new one starts.

    Args:
        work: called in a thread.
        batches: any number of them.
        most: threads.
        wanted: how many should be at work now, asked before each batch; `most` where None.
    """
    from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

    numbered = enumerate(batches)
    running: dict[Future[Result], int] = {}
    with ThreadPoolExecutor(most) as executor:
        while True:
            while len(running) < (most if wanted is None else wanted()) and (task := next(numbered, None)) is not None:
                running[executor.submit(work, task[1])] = task[0]
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


@contextmanager
def without_collecting() -> Iterator[None]:
    """Turn the garbage collector off for code that makes many objects and no cycles: it would walk them repeatedly."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
