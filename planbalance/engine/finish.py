"""Publish what shards have built, once their journals list all of it and all files are in the folders."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final, NamedTuple

import anyio
import anyio.to_thread

from planbalance import fs
from planbalance.dataset_files import OWN_FOLDER
from planbalance.destination import Destination, label_of
from planbalance.engine import preflight
from planbalance.engine.apply import build
from planbalance.engine.context import Context
from planbalance.engine.job import Job, command, takes_sums
from planbalance.engine.metadata_files import count_files, finish_metadata, finish_packed, write_metadata
from planbalance.engine.packed_file import make_file, publish_file
from planbalance.engine.rendering import Rendered, all_rendered, keep_places, planned_sizes
from planbalance.engine.resume import ImageSums, PlacedNames, taken_as_they_are
from planbalance.engine.schedule import ANY_PERMISSIONS, Range, missing_ranges, ranges_by_block
from planbalance.engine.shard import ShardJournals
from planbalance.engine.spool import Spool, is_there
from planbalance.engine.staging import (
    SEEN_SECONDS,
    Staging,
    effective_mode,
    publish,
    read_header,
    refuse_other,
    shards_of,
)
from planbalance.errors import IncompleteError
from planbalance.executor.threads import batched, run_in_threads
from planbalance.model import Outcome
from planbalance.modes import Mode
from planbalance.shards import Shard, Stretch
from planbalance.text import counted

_FOLDERS_A_BATCH: Final = 8
_THREADS: Final = 16  # listing folders waits for a server, it does not compute
_LIST_AGAIN_SECONDS: Final = 2.0
_NAMED: Final = 3


@dataclass(slots=True)
class ShardsDone:
    """What the shards have built.

    Attributes:
        sums: of every image, where sums are taken and kept.
        with_sums: a record without them does not count.
        tools: the versions of planbalance that they ran.
        hosts: where they ran.
        permissions: bits that every source of a packed dataset has.
        spool: where the images lie that shards have rendered for one file; None where they have their places.
        there: the spool files that this node sees, with their lengths.
    """

    sums: ImageSums | None
    with_sums: bool
    spool: Spool | None = None
    there: Mapping[str, int] = field(default_factory=dict)
    tools: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    permissions: int = ANY_PERMISSIONS


class _FolderBlocks(NamedTuple):
    """A destination folder and its blocks."""

    folder: str
    blocks: range


async def publish_shards(context: Context) -> Outcome:
    """Write the metadata of a dataset whose shards are all done, and publish it.

    Raises IncompleteError: shards are missing, or what they did is not seen here.
    """
    job = context.job
    if job.renders_first:
        return await build(context, _refuse_missing, _rendered_by_shards)
    await context.step(lambda: preflight.check(job, context.pool))
    await context.step(lambda: _refuse_missing(job))
    async with context.open_staging() as staging:
        if staging.header is None:
            raise _nothing_begun(job)
        onto_empty = await context.begin(staging)
        done = await _confirmed_shards(context, staging)
        if len(done.tools) > 1:
            context.warnings.append(
                f"The shards were built by several versions of planbalance ({', '.join(sorted(done.tools))}); "
                "plan and journals are of one format, so the dataset is the same"
            )
        digest = b""
        if job.packing is None:
            metadata = await context.step(lambda: write_metadata(job, staging, context.mode))
            await context.step(lambda: finish_metadata(context, staging, metadata, done.sums))
        else:
            context.permissions = done.permissions
            await context.step(lambda: make_file(job, staging))
            digest = await context.step(lambda: finish_packed(context, staging, done.sums))
        if job.options.durability == "safe":
            await context.step(lambda: fs.sync_below(staging.tree.fd))
        if job.packing is None:
            await anyio.to_thread.run_sync(lambda: publish(job, staging, onto_empty=onto_empty))
        else:
            await anyio.to_thread.run_sync(lambda: publish_file(job, staging, digest))
    files = count_files(job, context.mode)
    return context.outcome(files, resumed=job.slices, published=True)


async def _rendered_by_shards(context: Context, staging: Staging) -> Rendered:
    """Return what shards have rendered for one file. Raises IncompleteError where something is missing."""
    if not shards_of(staging.header or {}):  # removed since it was looked at, and begun again by this run
        raise _nothing_begun(context.job)
    done = await _confirmed_shards(context, staging)
    assert done.spool is not None
    context.permissions = done.permissions
    return await all_rendered(context, staging, done.spool, context.job.slices)


async def _confirmed_shards(context: Context, staging: Staging) -> ShardsDone:
    """Return what the shards have built. Raises IncompleteError where something is missing."""
    job = context.job
    total = shards_of(staging.header or {})
    done = await anyio.to_thread.run_sync(lambda: _nothing_done(job, context.mode, staging.own))
    stretches = job.cut(total)
    missing = await anyio.to_thread.run_sync(lambda: _by_journals(job, staging.own, stretches, done))
    if missing:
        raise _missing(job, missing, total)
    if done.spool is None:
        await _confirm_names(context, staging, stretches, done)
    return done


def _nothing_begun(job: Job) -> IncompleteError:
    """Return the error where no shard has begun."""
    example = command(job.plan.path, replace(job.options, finish=False, shard=Shard(1, 8)))
    return IncompleteError(
        f"No shard of {job.output} has begun, as far as this node sees: there is no {job.staging}",
        kind="shards-missing",
        hint=f"begin with a shard, such as: {example}\nor let `planbalance slurm` write the batch files",
        paths=[job.staging],
    )


def _refuse_missing(job: Job) -> None:
    """Refuse to finish while shards are missing (IncompleteError), by the journals alone.

    It takes no lock, so that this check never stops a shard that begins. Raises UsageError, PlanError where the partial
    build is another one.
    """
    try:
        tree = fs.Tree(job.staging)
    except FileNotFoundError:
        raise _nothing_begun(job) from None
    own = -1
    try:
        header = read_header(tree)
        if header is None:
            raise _nothing_begun(job)
        refuse_other(job, header)
        own = tree.folder(OWN_FOLDER)
        total = shards_of(header)
        done = _nothing_done(job, effective_mode(header) or job.options.mode, own)
        if missing := _by_journals(job, own, job.cut(total), done):
            raise _missing(job, missing, total)
    finally:
        if own >= 0:
            fs.close(own)
        tree.close()


def _nothing_done(job: Job, mode: Mode, own: int) -> ShardsDone:
    """Return where what shards have done is collected. Raises PlanError, OSError."""
    if job.renders_first:
        return ShardsDone(None, with_sums=False, spool=Spool(planned_sizes(job)), there=fs.spool_files(own))
    with_sums = takes_sums(job, mode)
    return ShardsDone(ImageSums(job) if with_sums else None, with_sums)


def _by_journals(job: Job, own: int, stretches: Sequence[Stretch], done: ShardsDone) -> list[int]:
    """Return the numbers of the shards whose journals do not list all of their slices."""
    journals = ShardJournals(job, own, with_sums=done.with_sums)
    not_rendered = list(taken_as_they_are(job)) if done.spool is not None else []
    missing = []
    for number, stretch in enumerate(stretches, start=1):
        blocks = stretch.of(job.plan.header.blocks)
        first = stretch.blocks.start
        recorded = [part._replace(block=part.block - first) for part in not_rendered if part.block in stretch.blocks]
        for journal in journals.of(Shard(number, len(stretches)), blocks):
            done.tools.add(journal.tool)
            done.hosts.add(journal.host)
            for record in journal.records:
                if done.spool is not None and not is_there(record.spooled, done.there):
                    continue
                recorded += record.ranges
                done.permissions &= record.permissions
                in_plan = [Range(*stretch.in_plan(*part)) for part in record.ranges]
                if done.sums is not None:
                    done.sums.add(in_plan, record.sums)
                if done.spool is not None:
                    keep_places(done.spool, record._replace(ranges=tuple(in_plan)))
        if missing_ranges(blocks, ranges_by_block(recorded)):
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


# ---- the names in the folders ----------------------------------------------------------------------------------------


async def _confirm_names(context: Context, staging: Staging, stretches: Sequence[Stretch], done: ShardsDone) -> None:
    """Compare the plan with the names that are there, and remove temporary names of interrupted runs."""
    job, progress = context.job, context.progress
    absent: list[Range] = []

    def look(folders: Sequence[_FolderBlocks]) -> None:
        absent.clear()
        batches = list(batched(folders, _FOLDERS_A_BATCH))
        for number, found in run_in_threads(lambda batch: _absent(context, staging, batch), batches, _THREADS):
            absent.extend(found)
            blocks = [index for each in batches[number] for index in each.blocks]
            progress.advance(sum(job.plan.header.blocks[index].count for index in blocks))

    folders = list(_folder_blocks(job))
    progress.begin("check", job.slices, "slices")
    try:
        await anyio.to_thread.run_sync(look, folders)
    finally:
        progress.end()
    until = time.monotonic() + SEEN_SECONDS
    while absent and done.hosts - {job.node.host} and time.monotonic() < until:  # this node may see new files late
        await anyio.sleep(_LIST_AGAIN_SECONDS)
        blocks = {part.block for part in absent}
        await anyio.to_thread.run_sync(look, [each for each in folders if not blocks.isdisjoint(each.blocks)])
    if absent:
        raise _not_visible(job, absent, stretches)


def _folder_blocks(job: Job) -> Iterator[_FolderBlocks]:
    blocks = job.plan.header.blocks
    for folder, group in groupby(range(len(blocks)), key=lambda index: blocks[index].folder):
        members = list(group)
        yield _FolderBlocks(folder, range(members[0], members[-1] + 1))


def _absent(context: Context, staging: Staging, batch: Sequence[_FolderBlocks]) -> list[Range]:
    """Return the operations of which image or label is not there."""
    job = context.job
    absent = []
    names = PlacedNames(job, context.mode, staging.tree)
    for each in batch:
        for index in each.blocks:
            there = names.there(each.folder, job.plan.read_block(index))
            absent += [Range(index, at, at + 1) for at, found in enumerate(there) if not found]
        for folder, left in names.temporary():
            _remove(staging, folder, left)
    return absent


def _remove(staging: Staging, folder: str, names: Sequence[str]) -> None:
    fd = staging.tree.folder(folder)
    try:
        for name in names:
            fs.unlink(name, fd)
    finally:
        fs.close(fd)


def _not_visible(job: Job, absent: Sequence[Range], stretches: Sequence[Stretch]) -> IncompleteError:
    numbers = [
        number
        for number, stretch in enumerate(stretches, start=1)
        if any(stretch.holds(part.block, part.start) for part in absent)
    ]
    places = []
    for part in absent[:_NAMED]:
        folder = job.plan.header.blocks[part.block].folder
        name = job.kind.destinations.of(job.plan.read_block(part.block)[part.start]).name
        places.append(f"{folder}/{name} or {label_of(Destination(folder, name)).folder}/...")
    more = f" and {len(absent) - _NAMED:,} more" if len(absent) > _NAMED else ""
    return IncompleteError(
        f"{_listed(numbers, len(stretches))} complete by the journal, but {job.node.host} does not see "
        f"{counted(len(absent), 'slice')}: {', '.join(places)}{more}",
        kind="shards-missing",
        hint="if another node wrote them a moment ago, run --finish again in a minute; else they were removed:\n"
        + _commands(job, numbers, len(stretches)),
        paths=[job.staging],
    )
