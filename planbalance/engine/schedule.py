"""Which operations are placed together, and in which order. Pure.

The kernel locks a folder while it creates a file in it. So batches are spread over the folders in proportion to what is
left of each: workers seldom wait for one another, and all folders are finished at about the same time. Reading workers
can also slow one another down in source folders, where a folder's state moves between nodes (GPFS). There is no lock
there, so source folders only decide between destination folders of about equal weight.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush, heapreplace
from typing import Final, NamedTuple

from planbalance.executor.autoscaler import LIMITS
from planbalance.model import Block

ANY_PERMISSIONS: Final = 0o777  # of a batch, where the permissions of its sources do not count
# The source folder decides between destinations whose weights differ by less than this, and of at most so many.
_ABOUT_EQUAL: Final = 7 / 8
_COMPARED: Final = 16


class Range(NamedTuple):
    """Operations `start` to `stop` (not included) of one block."""

    block: int
    start: int
    stop: int


Batch = tuple[Range, ...]
Done = Mapping[int, Sequence[tuple[int, int]]]


def ranges_by_block(ranges: Iterable[Range]) -> dict[int, list[tuple[int, int]]]:
    """Return ranges as (start, stop), per block."""
    found: dict[int, list[tuple[int, int]]] = {}
    for block, start, stop in ranges:
        found.setdefault(block, []).append((start, stop))
    return found


def append_range(ranges: list[Range], part: Range) -> None:
    """Append a range; one that begins where the last one ends, in the same block, prolongs that."""
    last = ranges[-1] if ranges else None
    if last is not None and (last.block, last.stop) == (part.block, part.start):
        ranges[-1] = last._replace(stop=part.stop)
    else:
        ranges.append(part)


def count_operations(ranges: Iterable[Range]) -> int:
    """Return how many operations there are in ranges."""
    return sum(part.stop - part.start for part in ranges)


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


def shares(blocks: Sequence[Block], count: int) -> list[list[int]]:
    """Return which blocks each of `count` workers reads: about as many operations each, the largest assigned first."""
    assigned: list[list[int]] = [[] for _ in range(count)]
    weights = [0] * count
    for index in sorted(range(len(blocks)), key=lambda index: -blocks[index].count):
        lightest = weights.index(min(weights))
        assigned[lightest].append(index)
        weights[lightest] += blocks[index].count
    return [sorted(each) for each in assigned]


class Schedule:
    """Hands out what is left, batch by batch.

    The next batch comes from the folder in which most is left for each batch that works there already, this one counted
    (D'Hondt's rule): so the batches in flight stand in proportion to what the folders still have. A folder that has
    less than a batch is filled up with the next one, so that many small folders make few batches. Among folders of
    about equal weight, and in which no more batches work, the same rule chooses by source folder.

    Args:
        blocks: the plan's.
        ranges: what is to be done.
        owners: the blocks that each worker has read, if they are read; `take` goes by them.
        sources: the source folder of each block's images (of most of them); none where that is not known.
        starts: for each block where a batch may begin, in rising order, or none for anywhere; no batch cuts what lies
            between two of them. None at all: anywhere in all blocks.
        worth_reading: a worker that ran out of blocks of its own reads another's only where so much of it is left.
        in_order: all is handed out in the plan's order, as for one file, where no folder is locked.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        ranges: Sequence[Range],
        owners: Sequence[Sequence[int]] = (),
        sources: Sequence[str] = (),
        *,
        starts: Sequence[Sequence[int]] = (),
        worth_reading: int = LIMITS.worth_reading,
        in_order: bool = False,
    ) -> None:
        self._worth_reading = worth_reading
        self._folders = ["" if in_order else block.folder for block in blocks]
        self._in_flight: dict[str, int] = {}
        self._sources = _Sources(() if in_order else sources, ranges)
        self._groups: list[_FolderQueues] = []
        owner_of = {block: owner for owner, owned in enumerate(owners) for block in owned}
        parted: list[list[Range]] = [[] for _ in owners or (None,)]
        for part in ranges:
            parted[owner_of.get(part.block, 0)].append(part)
        self._groups = [_FolderQueues(self._folders, parts, self._in_flight, self._sources, starts) for parts in parted]

    @property
    def left(self) -> int:
        """How many operations were not handed out yet."""
        return sum(group.left for group in self._groups)

    def take(self, size: int, owner: int | None = None, *, alone: bool = False) -> Batch:
        """Return the next batch of at most `size` operations; none where nothing is left.

        `owner`: the asking worker, where blocks are owned. Its own come first, then others that are worth reading, or
        all where it works alone.
        """
        fullest = max(self._groups, key=lambda group: group.left)
        group = fullest if owner is None else self._groups[owner]
        if not group.left and (alone or fullest.left >= self._worth_reading):
            group = fullest
        batch = group.fill(size)
        for folder in self._folders_of(batch):
            self._in_flight[folder] = self._in_flight.get(folder, 0) + 1
        self._sources.began(batch)
        return batch

    def done(self, batch: Batch) -> None:
        """Note that a batch is finished."""
        self._sources.ended(batch)
        for folder in self._folders_of(batch):
            self._in_flight[folder] -= 1
            for group in self._groups:
                group.weigh_again(folder)

    def _folders_of(self, batch: Batch) -> set[str]:
        return {self._folders[part.block] for part in batch}


class _Sources:
    """What is left to be read from each source folder, and how many batches read there."""

    def __init__(self, of_blocks: Sequence[str], ranges: Sequence[Range]) -> None:
        self._of_blocks = of_blocks
        self._left: dict[str, int] = {}
        self._in_flight: dict[str, int] = {}
        for part in ranges if of_blocks else ():
            source = of_blocks[part.block]
            self._left[source] = self._left.get(source, 0) + _size(part)

    @property
    def several(self) -> bool:
        """Whether there is a choice at all."""
        return len(self._left) > 1

    def weight(self, part: Range) -> float:
        """Return how much of a part's source folder is left for each batch that reads there, this one counted."""
        source = self._of_blocks[part.block]
        return self._left[source] / (self._in_flight.get(source, 0) + 1)

    def began(self, batch: Batch) -> None:
        if not self.several:
            return
        for part in batch:
            self._left[self._of_blocks[part.block]] -= _size(part)
        for source in self._of(batch):
            self._in_flight[source] = self._in_flight.get(source, 0) + 1

    def ended(self, batch: Batch) -> None:
        for source in self._of(batch) if self.several else ():
            self._in_flight[source] -= 1

    def _of(self, batch: Batch) -> set[str]:
        return {self._of_blocks[part.block] for part in batch}


class _FolderQueues:
    """What is left of some blocks, by folder; the heap holds at least one entry a folder, no lighter than it is."""

    def __init__(
        self,
        folders: Sequence[str],
        ranges: Sequence[Range],
        in_flight: Mapping[str, int],
        sources: _Sources,
        starts: Sequence[Sequence[int]],
    ) -> None:
        self._in_flight = in_flight
        self._starts = starts
        self._sources = sources
        self._queues: dict[str, deque[Range]] = {}
        for part in ranges:
            self._queues.setdefault(folders[part.block], deque()).append(part)
        self._left = {folder: sum(map(_size, queue)) for folder, queue in self._queues.items()}
        self._order = {folder: order for order, folder in enumerate(self._queues)}
        self._heap: list[tuple[float, int, str]] = []
        for folder in self._queues:
            self.weigh_again(folder)
        self.left = sum(self._left.values())

    def fill(self, size: int) -> Batch:
        batch: list[Range] = []
        room = size
        while room > 0 and (folder := self._next()) is not None:
            batch.append(self._cut(folder, room))
            room -= _size(batch[-1])
        return tuple(batch)

    def weigh_again(self, folder: str) -> None:
        """Note that a folder may have become heavier."""
        if folder in self._queues:
            heappush(self._heap, (-self._weight(folder), self._order[folder], folder))

    def _weight(self, folder: str) -> float:
        return self._left[folder] / (self._in_flight.get(folder, 0) + 1)

    def _next(self) -> str | None:
        """Return the folder for the next part: the heaviest; of about equal ones, by their source folders."""
        heaviest = self._heaviest()
        if heaviest is None or not self._sources.several:
            return heaviest
        chosen, most = heaviest, self._sources.weight(self._queues[heaviest][0])
        least, batches_there = _ABOUT_EQUAL * self._weight(heaviest), self._in_flight.get(heaviest, 0)
        compared: list[tuple[float, int, str]] = []
        while len(compared) < _COMPARED and (folder := self._heaviest()) is not None and self._weight(folder) >= least:
            compared.append(heappop(self._heap))
            weight = self._sources.weight(self._queues[folder][0])
            if weight > most and self._in_flight.get(folder, 0) <= batches_there:
                chosen, most = folder, weight
        for entry in compared:
            heappush(self._heap, entry)
        return chosen

    def _heaviest(self) -> str | None:
        while self._heap:
            weight, order, folder = self._heap[0]
            if folder not in self._queues:
                heappop(self._heap)
            elif -weight != (now := self._weight(folder)):
                heapreplace(self._heap, (-now, order, folder))
            else:
                return folder
        return None

    def _cut(self, folder: str, size: int) -> Range:
        queue = self._queues[folder]
        part = queue.popleft()
        stop = part.start + size
        if self._starts and (starts := self._starts[part.block]):
            at = bisect_left(starts, stop)
            stop = starts[at] if at < len(starts) else part.stop
        taken = part._replace(stop=min(part.stop, stop))
        if taken.stop < part.stop:
            queue.appendleft(part._replace(start=taken.stop))
        elif not queue:
            del self._queues[folder]
        self._left[folder] -= _size(taken)
        self.left -= _size(taken)
        return taken


def _size(part: Range) -> int:
    return part.stop - part.start
