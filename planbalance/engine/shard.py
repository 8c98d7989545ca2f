"""Build one shard of a dataset, and read what shards have done.

Each run of a shard writes a journal of its own, so that two runs of one shard never write into the same file. A journal
counts blocks within its shard. A run copies what earlier runs have done into its own journal, so that its own sync line
covers that too: `--finish` may run on another machine, which counts only what a sync line covers.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from planbalance import fs, tool_version
from planbalance.engine import preflight
from planbalance.engine.context import Context
from planbalance.engine.dispatcher import Dispatcher
from planbalance.engine.job import Job, takes_sums
from planbalance.engine.journal import JournalFile, Record, first_value, line, read_journal
from planbalance.engine.packed_file import make_file
from planbalance.engine.resume import ConfirmedWork, ImageSums, confirm, keeps_sums
from planbalance.engine.schedule import Range, count_operations, missing_ranges
from planbalance.engine.staging import Staging
from planbalance.lock_owner import Node
from planbalance.model import Block, Outcome
from planbalance.shards import Shard

_PREFIX: Final = f"{fs.JOURNAL}-"
_NO_NODE: Final = Node("", "")


async def build_shard(context: Context) -> Outcome:
    """Place every slice of this shard that no earlier run has placed, and put all on disk; publish nothing."""
    job, shard = context.job, context.job.options.shard
    assert shard is not None
    await context.step(lambda: preflight.check(job, context.pool))
    if not job.slices:  # there are more shards than parts to divide
        return context.outcome(0)
    async with context.open_staging() as staging:
        await context.begin(staging)
        renders = job.renders_first
        if renders:
            context.done_as = "rendered"
        sums = ImageSums(job) if takes_sums(job, context.mode) and not renders else None
        if await context.step(lambda: _is_done(context, staging, with_sums=sums is not None)):
            return context.outcome(2 * job.slices, resumed=job.slices)
        safe = job.options.durability == "safe"
        journal = JournalFile(staging.own, staging.tree.fd, job.node, safe=safe, name=_new_name(shard))
        try:
            earlier = await context.step(lambda: _earlier_work(context, staging, sums))
            left = missing_ranges(job.plan.header.blocks, earlier.done)
            resumed = context.placed = job.slices - count_operations(left)
            await context.step(
                lambda: preflight.refuse_space(job, context.mode, job.staging, share_left=1 - resumed / job.slices)
            )
            await journal.begin((), _opening_line(job, shard))
            if job.packing is not None and not renders:
                await context.step(lambda: make_file(job, staging))
            for record in earlier.spooled if renders else _taken_over(earlier.done, sums, context.permissions):
                await journal.append(record)
            await context.begin_workers(staging.tree, overwrite=staging.resumed, renders=renders)
            await Dispatcher(context, left, journal, keeps_sums(sums)).run()
            if context.stop or context.errors:
                with suppress(OSError):
                    await journal.checkpoint()
            context.refuse_failures()
            await journal.checkpoint()  # for the node that finishes
        finally:
            journal.close()
    return context.outcome(2 * job.slices, resumed=resumed)


def _is_done(context: Context, staging: Staging, *, with_sums: bool) -> bool:
    """Return whether this shard is done: its journals say that all of it is on disk, and all of its files exist."""
    job, shard = context.job, context.job.options.shard
    assert shard is not None
    blocks = job.plan.header.blocks
    journals = ShardJournals(job, staging.own, with_sums=with_sums).of(shard, blocks, _NO_NODE)
    records = [record for journal in journals for record in journal.records]
    found = confirm(job, context.mode, staging.tree, records)
    return not found.gone and not missing_ranges(blocks, found.done)


def _earlier_work(context: Context, staging: Staging, sums: ImageSums | None) -> ConfirmedWork:
    """Return what earlier runs of this shard have done, and add the sums of its images."""
    job, shard = context.job, context.job.options.shard
    assert shard is not None
    journals = ShardJournals(job, staging.own, with_sums=sums is not None).of(shard, job.plan.header.blocks)
    records = [record for journal in journals for record in journal.records]
    keep = keeps_sums(sums)
    for record in records:
        keep(record)
        context.permissions &= record.permissions
    return confirm(job, context.mode, staging.tree, records)


def _taken_over(
    done: Mapping[int, Sequence[tuple[int, int]]], sums: ImageSums | None, permissions: int
) -> Iterator[Record]:
    """Yield the records that a run writes of what earlier runs did: one a block."""
    for block, runs in done.items():
        ranges = tuple(Range(block, start, stop) for start, stop in runs)
        yield Record(ranges, b"" if sums is None else sums.of(ranges), permissions)


def _new_name(shard: Shard) -> str:
    """Return a name for the journal of a run of this shard that no other run has."""
    return f"{_PREFIX}{shard.number}-{os.urandom(8).hex()}"


def _opening_line(job: Job, shard: Shard) -> bytes:
    """Return a shard's journal's first line."""
    return line({"shard": [*shard], "digest": job.plan.header.digest, "tool": tool_version(), "host": job.node.host})


# ---- what shards have done ------------------------------------------------------------------------------------------


class ShardJournal(NamedTuple):
    """What one run of a shard has written.

    Attributes:
        records: what it did, as far as it counts for the reader.
        tool: the version of planbalance that ran.
        host: where it ran.
    """

    records: tuple[Record, ...]
    tool: str
    host: str


class ShardJournals:
    """The journals of the shards of one build; their folder is listed once.

    Args:
        job: which build.
        own: descriptor of the staging folder's `.planbalance`.
        with_sums: a record counts only with its images' sums.
    """

    def __init__(self, job: Job, own: int, *, with_sums: bool) -> None:
        self._job = job
        self._own = own
        self._names = _by_shard(fs.list_folder(own))
        self._with_sums = with_sums

    def of(self, shard: Shard, blocks: Sequence[Block], node: Node | None = None) -> Iterator[ShardJournal]:
        """Yield the journals of one shard; a journal of another plan or number of shards is skipped. Raises OSError.

        `node`: the reader's, by default this machine; `_NO_NODE` counts only what is known to be on disk.
        """
        for name in self._names.get(shard.number, ()):
            try:
                data = fs.read_whole(name, self._own)
            except FileNotFoundError:
                continue  # removed since; this node's cache still lists it
            first = first_value(data)
            if first.get("shard") == [*shard] and first.get("digest") == self._job.plan.header.digest:
                journal = read_journal(data, blocks, node or self._job.node, with_sums=self._with_sums)
                yield ShardJournal(journal.records, str(first.get("tool")), str(first.get("host")))


def _by_shard(names: Iterable[str]) -> dict[int, list[str]]:
    """Return the journals among the names in a staging folder's `.planbalance`, by their shard's number."""
    found: dict[int, list[str]] = {}
    for name in sorted(names):
        number = name.removeprefix(_PREFIX).partition("-")[0] if name.startswith(_PREFIX) else ""
        if number.isascii() and number.isdigit():
            found.setdefault(int(number), []).append(name)
    return found
