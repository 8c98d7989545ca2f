"""Which operations are placed together, and in which order: pure, tested without a disk.

The kernel holds a folder's lock while it makes a name in it, so batches go round the folders in proportion to what each
still has: whatever the number of workers, they seldom meet in one folder, and all folders end at about the same time.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from planbalance.model import Block


class Range(NamedTuple):
    """Operations `start` to `stop` (not included) of one block."""

    block: int
    start: int
    stop: int


Done = Mapping[int, Sequence[tuple[int, int]]]


def missing_ranges(blocks: Sequence[Block], done: Done) -> list[Range]:
    """Return what is left of every block without the ranges in `done` (per block; in any order, overlapping or not)."""
    left = []
    for index, block in enumerate(blocks):
        start = 0
        for first, stop in sorted(done.get(index, ())):
            if first > start:
                left.append(Range(index, start, first))
            start = max(start, stop)
        if start < block.count:
            left.append(Range(index, start, block.count))
    return left


def in_batches(blocks: Sequence[Block], ranges: Sequence[Range], size: int) -> Iterator[tuple[Range, ...]]:
    """Yield batches of at most `size` operations that cover `ranges` once, folders taking turns.

    The next batch begins in the folder of which the smallest share is dispatched (ties: plan order). What is left of a
    folder that is smaller than a batch is filled up from the next one, so that many small folders make few batches.
    """
    queues: dict[str, list[Range]] = {}
    for part in ranges:
        queues.setdefault(blocks[part.block].folder, []).extend(_cut(part, size))
    turns = [(1 / (2 * len(parts)), order, 0, parts) for order, parts in enumerate(queues.values())]
    heapq.heapify(turns)
    batch: list[Range] = []
    room = size
    while turns:
        _, order, at, parts = turns[0]
        part = parts[at]
        if batch and part.stop - part.start > room:
            yield tuple(batch)
            batch, room = [], size
        batch.append(part)
        room -= part.stop - part.start
        if at + 1 < len(parts):
            heapq.heapreplace(turns, ((at + 1.5) / len(parts), order, at + 1, parts))
        else:
            heapq.heappop(turns)
    if batch:
        yield tuple(batch)


def _cut(part: Range, size: int) -> Iterator[Range]:
    for start in range(part.start, part.stop, size):
        yield Range(part.block, start, min(start + size, part.stop))


def joined(ranges: Sequence[Range]) -> list[Range]:
    """Return ranges with neighbours of one block made one, sorted."""
    result: list[Range] = []
    for part in sorted(ranges):
        if result and result[-1].block == part.block and result[-1].stop == part.start:
            result[-1] = result[-1]._replace(stop=part.stop)
        else:
            result.append(part)
    return result
