"""Are all shards done? Asked of their journals, and then of the tree: what both say counts, and nothing else."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final, NamedTuple

import anyio
import anyio.to_thread

from planbalance import fs
from planbalance.destination import Destination, label_of
from planbalance.engine.job import Job, command, takes_sums
from planbalance.engine.resume import Sums, TreeLook
from planbalance.engine.schedule import Range, missing_ranges
from planbalance.engine.shard_journals import Reader
from planbalance.engine.staging import SEEN_SECONDS, Staging, here, read_header, refuse_other, shards_of
from planbalance.errors import IncompleteError
from planbalance.executor.threads import batched, run_in_threads
from planbalance.model import Mode, Progress
from planbalance.shards import Shard, cut

_FOLDERS_A_BATCH: Final = 8
_JOBS: Final = 16  # lists of folders wait for a server, they do not compute
_LOOK_AGAIN_SECONDS: Final = 2.0
_NAMED: Final = 3


@dataclass(slots=True)
class Gathered:
    """What the shards have built.

    Attributes:
        sums: of every image, where sums are taken and kept.
        with_sums: a record without them does not count.
        tools: the versions of planbalance that they ran.
        hosts: where they ran.
    """

    sums: Sums | None
    with_sums: bool
    tools: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)


class _Stretch(NamedTuple):
    """The blocks of one destination folder."""

    folder: str
    blocks: range


def nothing_begun(job: Job) -> IncompleteError:
    """Return what to say where no shard has begun."""
    example = command(job.plan.path, replace(job.options, finish=False, shard=Shard(1, 8)))
    return IncompleteError(
        f"No shard of {job.output} has begun, as far as this node sees: there is no {job.staging}",
        kind="shards-missing",
        hint=f"begin with a shard, such as: {example}\nor let `planbalance slurm` write the batch files",
        paths=[job.staging],
    )


def refuse_missing(job: Job) -> None:
    """Refuse to finish while shards are missing (IncompleteError), by the journals alone and without a lock.

    So that a look at what is missing never stands in the way of a shard that begins. Raises UsageError, PlanError where
    the partial build is another one.
    """
    try:
        tree = fs.Tree(job.staging)
    except FileNotFoundError:
        raise nothing_begun(job) from None
    own = -1
    try:
        header = read_header(tree)
        if header is None:
            raise nothing_begun(job)
        refuse_other(job, header)
        own = tree.folder(fs.OWN)
        total = shards_of(header)
        way: Any = header.get("way")
        gathered = Gathered(None, takes_sums(job, way))
        if missing := _by_journals(job, own, cut(job.plan.header.blocks, total), gathered):
            raise _missing(job, missing, total)
    finally:
        if own >= 0:
            fs.close(own)
        tree.close()


async def gather(job: Job, staging: Staging, way: Mode, progress: Progress) -> Gathered:
    """Return what the shards have built, once all of it is there.

    Raises IncompleteError: shards are missing, or what they did is not seen here.
    """
    total = shards_of(staging.header or {})
    with_sums = takes_sums(job, way)
    gathered = Gathered(Sums(job) if with_sums else None, with_sums)
    ranges = cut(job.plan.header.blocks, total)
    missing = await anyio.to_thread.run_sync(lambda: _by_journals(job, staging.own, ranges, gathered))
    if missing:
        raise _missing(job, missing, total)
    await _by_tree(job, staging, way, progress, ranges, gathered)
    return gathered


def _by_journals(job: Job, own: int, ranges: Sequence[range], gathered: Gathered) -> list[int]:
    """Return the numbers of the shards that are not done by their journals."""
    reader = Reader(job, own, with_sums=gathered.with_sums)
    missing = []
    for number, run in enumerate(ranges, start=1):
        blocks = job.plan.header.blocks[run.start : run.stop]
        done: dict[int, list[tuple[int, int]]] = {}
        for journal in reader.of(Shard(number, len(ranges)), blocks):
            gathered.tools.add(journal.tool)
            gathered.hosts.add(journal.host)
            for record in journal.records:
                for part in record.ranges:
                    done.setdefault(part.block, []).append((part.start, part.stop))
                if gathered.sums is not None:
                    whole = [part._replace(block=part.block + run.start) for part in record.ranges]
                    gathered.sums.add(whole, record.sums)
        if missing_ranges(blocks, done):
            missing.append(number)
    return missing


def _missing(job: Job, missing: Sequence[int], total: int) -> IncompleteError:
    return IncompleteError(
        f"{_listed(missing, total)} not done, so {job.output} was not published",
        kind="shards-missing",
        hint=_commands(job, missing, total),
        paths=[job.staging],
    )


def _listed(missing: Sequence[int], total: int) -> str:
    if len(missing) == total:
        return f"All {total} shards are"
    if len(missing) == 1:
        return f"Shard {missing[0]} of {total} is"
    return f"{len(missing)} of {total} shards ({_runs(missing)}) are"


def _runs(numbers: Sequence[int]) -> str:
    """Return numbers as Slurm takes them: `1-3,7`."""
    texts = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        texts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(texts)


def _commands(job: Job, missing: Sequence[int], total: int) -> str:
    options = replace(job.options, finish=False)
    lines = [command(job.plan.path, replace(options, shard=Shard(number, total))) for number in missing]
    under_slurm = [f"(under Slurm: sbatch --array={_runs(missing)} and the array's file)"]
    return "\n".join(["run", *lines, *under_slurm, "then --finish again"])


# ---- the tree -----------------------------------------------------------------------------------------------------


async def _by_tree(
    job: Job, staging: Staging, way: Mode, progress: Progress, ranges: Sequence[range], gathered: Gathered
) -> None:
    """Hold the plan against the names that stand there, and take away what runs that were cut off left behind."""
    absent: list[Range] = []

    def look(stretches: Sequence[_Stretch]) -> None:
        absent.clear()
        batches = list(batched(stretches, _FOLDERS_A_BATCH))
        for number, found in run_in_threads(lambda batch: _absent(job, staging, way, batch), batches, _JOBS):
            absent.extend(found)
            blocks = [index for each in batches[number] for index in each.blocks]
            progress.advance(sum(job.plan.header.blocks[index].count for index in blocks))

    stretches = list(_stretches(job))
    progress.begin("check", job.slices, "slices")
    try:
        await anyio.to_thread.run_sync(look, stretches)
    finally:
        progress.end()
    late = time.monotonic() + SEEN_SECONDS
    while absent and gathered.hosts - {here().host} and time.monotonic() < late:  # another node's names come late
        await anyio.sleep(_LOOK_AGAIN_SECONDS)
        blocks = {part.block for part in absent}
        await anyio.to_thread.run_sync(look, [each for each in stretches if not blocks.isdisjoint(each.blocks)])
    if absent:
        raise _not_seen(job, absent, ranges)


def _stretches(job: Job) -> Iterator[_Stretch]:
    blocks = job.plan.header.blocks
    for folder, group in groupby(range(len(blocks)), key=lambda index: blocks[index].folder):
        members = list(group)
        yield _Stretch(folder, range(members[0], members[-1] + 1))


def _absent(job: Job, staging: Staging, way: Mode, batch: Sequence[_Stretch]) -> list[Range]:
    """Return the operations of which image or label is not there."""
    absent = []
    look = TreeLook(job, way, staging.tree)
    for stretch in batch:
        for index in stretch.blocks:
            there = look.there(stretch.folder, job.plan.read_block(index))
            absent += [Range(index, at, at + 1) for at, found in enumerate(there) if not found]
        for folder, names in look.temporary():
            _remove(staging, folder, names)
    return absent


def _remove(staging: Staging, folder: str, names: Sequence[str]) -> None:
    fd = staging.tree.folder(folder)
    try:
        for name in names:
            fs.unlink(name, fd)
    finally:
        fs.close(fd)


def _not_seen(job: Job, absent: Sequence[Range], ranges: Sequence[range]) -> IncompleteError:
    numbers = sorted({number for number, run in enumerate(ranges, start=1) for part in absent if part.block in run})
    places = []
    for part in absent[:_NAMED]:
        folder = job.plan.header.blocks[part.block].folder
        name = job.plan.read_block(part.block)[part.start].image.rpartition("/")[2]
        places.append(f"{folder}/{name} or {label_of(Destination(folder, name)).folder}/...")
    more = f" and {len(absent) - _NAMED:,} more" if len(absent) > _NAMED else ""
    return IncompleteError(
        f"{_listed(numbers, len(ranges))} done by the journal, but {len(absent):,} slices are not seen on "
        f"{here().host}: {', '.join(places)}{more}",
        kind="shards-missing",
        hint="if another node wrote them a moment ago, run --finish again in a minute; else they were removed:\n"
        + _commands(job, numbers, len(ranges)),
        paths=[job.staging],
    )
