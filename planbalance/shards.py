"""Divide the blocks of a plan among shards. Every node computes the same, so shards need no communication.

A folder that many nodes fill at once is slow on a cluster file system, because its lock moves between nodes. So a
folder stays whole as long as it is no larger than a shard's share. A shard is a run of blocks in the plan's order, so a
node reads one part of the plan file. A dataset in one file has no folders to lock, so its shards may begin within a
block.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, groupby
from typing import Final, NamedTuple

from planbalance.errors import UsageError
from planbalance.model import Block

# The rule below, by number: shards that were cut by different rules must not meet in one build.
RULE: Final = 1
_MOST: Final = 1_000_000
_SLURM: Final = "SLURM_ARRAY_TASK_"


class Shard(NamedTuple):
    """Part `number` of `total`, counted from 1."""

    number: int
    total: int

    def __str__(self) -> str:
        """Return it as it is given on the command line."""
        return f"{self.number}/{self.total}"


def parse_shard(text: str) -> Shard:
    """Read `I/N`. Raises ValueError where it is not that, or I is not within 1 and N."""
    number, slash, total = text.partition("/")
    if not (slash and number.isascii() and number.isdigit() and total.isascii() and total.isdigit()):
        raise ValueError(text)
    shard = Shard(int(number), int(total))
    if not 1 <= shard.number <= shard.total <= _MOST:
        raise ValueError(text)
    return shard


def shard_of_array(environment: Mapping[str, str]) -> Shard:
    """Return the shard of a task of a Slurm array: any range, any step.

    Raises UsageError outside of an array, and for a list such as `--array=1,5,9`, which has no step.
    """
    try:
        task, count, first, step = (int(environment[_SLURM + name]) for name in ("ID", "COUNT", "MIN", "STEP"))
    except (KeyError, ValueError):
        raise UsageError(
            "--shard auto needs a Slurm array task: its variables are not set here",
            kind="shard",
            hint="submit with sbatch --array, or give --shard I/N",
        ) from None
    index, off = divmod(task - first, max(1, step))
    if off or not 0 <= index < count:
        raise UsageError(
            f"--shard auto: array task {task} is not number 1 to {count} of a range that begins with {first} in "
            f"steps of {step}",
            kind="shard",
            hint="give the array as a range (--array=1-8), or the shard as --shard I/N",
        )
    return Shard(index + 1, count)


def cut(blocks: Sequence[Block], count: int) -> list[range]:
    """Return the blocks of every shard, as ranges of block numbers; a shard may be empty.

    The weight of a block is its share of the operations and its share of the bytes, one half each. A unit (a folder,
    or a block of a folder that is larger than a shard) goes to the shard in whose share of the whole weight its middle
    lies: no shard is heavier than its share and one unit.
    """
    operations = sum(block.count for block in blocks)
    size = sum(block.bytes for block in blocks)
    weights = [block.count * size + block.bytes * operations for block in blocks]
    whole = sum(weights)
    stops = [0] * count
    before = 0
    for unit in _units(blocks, weights, count):
        weight = sum(weights[unit.start : unit.stop])
        stops[(2 * before + weight) * count // (2 * whole)] = unit.stop
        before += weight
    ranges = []
    start = 0
    for stop in stops:
        ranges.append(range(start, max(start, stop)))
        start = ranges[-1].stop
    return ranges


class Stretch(NamedTuple):
    """What a shard builds: blocks that follow each other, of the first and of the last one perhaps a part.

    Attributes:
        blocks: their numbers in the plan.
        first: how many slices of the first block belong to an earlier shard.
        stop: in the last block, the slice behind the last one of this shard.
    """

    blocks: range
    first: int
    stop: int

    def of(self, blocks: Sequence[Block]) -> tuple[Block, ...]:
        """Return these blocks, each with as many slices as belong to the shard; `blocks` are all of the plan."""
        own = list(blocks[self.blocks.start : self.blocks.stop])
        if own:
            own[-1] = own[-1]._replace(count=self.stop)
            own[0] = own[0]._replace(count=own[0].count - self.first)
        return tuple(own)

    def in_plan(self, block: int, start: int, stop: int) -> tuple[int, int, int]:
        """Return slices `start` to `stop` of a block of the shard as the plan counts them: block, start and stop."""
        before = 0 if block else self.first
        return self.blocks.start + block, start + before, stop + before

    def holds(self, block: int, position: int) -> bool:
        """Return whether a slice is in it, given by its block in the plan and its position there."""
        return (self.blocks.start, self.first) <= (block, position) and (block, position) < (
            self.blocks.stop - 1,
            self.stop,
        )


def whole_blocks(blocks: Sequence[Block], run: range) -> Stretch:
    """Return a run of whole blocks."""
    return Stretch(run, 0, blocks[run.stop - 1].count if run else 0)


def cut_slices(blocks: Sequence[Block], count: int, starts: Iterable[int]) -> Iterator[Stretch]:
    """Yield what each shard of a packed dataset builds: about as many slices each, and one may have none.

    Args:
        blocks: of the plan.
        count: how many shards there are.
        starts: where a shard may begin, in rising order: numbers of slices, counted over all blocks. They are read only
            as far as the shards need that were taken.
    """
    firsts = list(accumulate((block.count for block in blocks), initial=0))
    slices = firsts.pop()
    coming = chain(starts, [slices])
    begin = before = after = 0
    for number in range(1, count + 1):
        goal = slices * number // count
        while after < goal:
            before, after = after, next(coming)
        end = before if before >= begin and goal - before < after - goal else after
        yield _slices(firsts, begin, end)
        begin = end


def _slices(firsts: Sequence[int], begin: int, end: int) -> Stretch:
    """Return the stretch of slices `begin` to `end`; `firsts` is the number of each block's first one."""
    if begin == end:
        return Stretch(range(0), 0, 0)
    first, last = bisect_right(firsts, begin) - 1, bisect_right(firsts, end - 1) - 1
    return Stretch(range(first, last + 1), begin - firsts[first], end - firsts[last])


def _units(blocks: Sequence[Block], weights: Sequence[int], count: int) -> list[range]:
    """Return what is not cut further, in the order of the plan, which holds a folder's blocks side by side."""
    whole = sum(weights)
    units = []
    for _, group in groupby(range(len(blocks)), key=lambda index: blocks[index].folder):
        members = list(group)
        run = range(members[0], members[-1] + 1)
        if sum(weights[run.start : run.stop]) * count <= whole:
            units.append(run)
        else:
            units += [range(index, index + 1) for index in run]
    return units
