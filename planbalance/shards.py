"""Divide the blocks of a plan among shards. Every node computes the same, so shards need no communication.

A folder that many nodes fill at once is slow on a cluster file system, because its lock moves between nodes. So a
folder stays whole as long as it is no larger than a shard's share. A shard is a run of blocks in the plan's order, so a
node reads one part of the plan file.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from planbalance.errors import UsageError
from planbalance.model import Block
from planbalance.modes import MODE_TABLE, Mode

# The rule below, by number: shards that were cut by different rules must not meet in one build.
RULE: Final = 1
_MOST: Final = 1_000_000
_SEGMENT: Final = 2_048  # slices, of which the blocks of a packed dataset are put together
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


def segments(blocks: Sequence[Block]) -> list[range]:
    """Return the runs of blocks that shards of a packed dataset (one file) do not cut, in the plan's order.

    They depend on the plan alone, since each begins at a place of the file that must not depend on the number of
    shards.
    """
    found: list[range] = []
    start = count = 0
    for index, block in enumerate(blocks):
        count += block.count
        if count >= _SEGMENT:
            found.append(range(start, index + 1))
            start, count = index + 1, 0
    if start < len(blocks):
        found.append(range(start, len(blocks)))
    return found


def cut_packed(blocks: Sequence[Block], count: int) -> list[range]:
    """Return the blocks of every shard of a packed dataset: as `cut` does, but no segment is cut."""
    runs = segments(blocks)
    merged = [
        Block(
            folder=str(number),
            count=sum(blocks[index].count for index in run),
            offset=blocks[run.start].offset,
            bytes=sum(blocks[index].bytes for index in run),
            sha256="",
        )
        for number, run in enumerate(runs)
    ]
    return [
        range(runs[part.start].start, runs[part.stop - 1].stop) if part else range(0) for part in cut(merged, count)
    ]


def cut_for(blocks: Sequence[Block], count: int, mode: Mode) -> list[range]:
    """Return the blocks of every shard of a build in a mode."""
    return cut_packed(blocks, count) if MODE_TABLE[mode].one_file else cut(blocks, count)


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
