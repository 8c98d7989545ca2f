"""The journals of shards: one for each run of a shard, so that two runs of one shard never write into the same file.

A journal counts blocks within its shard. What a run takes over from earlier ones it writes into its own journal, where
its own sync line vouches for it: the node that finishes is another machine, and believes nothing else.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.engine.job import Job
from planbalance.engine.journal import Here, Record, line, opening, read_journal
from planbalance.engine.resume import Sums, proven
from planbalance.engine.schedule import Range, missing_ranges
from planbalance.engine.staging import Staging, here
from planbalance.model import Block, Mode
from planbalance.shards import Shard

_PREFIX: Final = f"{fs.JOURNAL}-"
NOBODY: Final = Here("", "")


class ShardJournal(NamedTuple):
    """What one run of a shard has written.

    Attributes:
        records: what it did, as far as the reader believes it.
        tool: the version of planbalance that ran.
        host: where it ran.
    """

    records: tuple[Record, ...]
    tool: str
    host: str


def new_name(shard: Shard) -> str:
    """Return a name for the journal of a run of this shard that no other run has."""
    return f"{_PREFIX}{shard.number}-{os.urandom(8).hex()}"


def by_shard(names: Iterable[str]) -> dict[int, list[str]]:
    """Return the journals among the names in a staging folder's `.planbalance`, by their shard's number."""
    found: dict[int, list[str]] = {}
    for name in sorted(names):
        number = name.removeprefix(_PREFIX).partition("-")[0] if name.startswith(_PREFIX) else ""
        if number.isascii() and number.isdigit():
            found.setdefault(int(number), []).append(name)
    return found


def opening_line(job: Job, shard: Shard) -> bytes:
    """Return a shard's journal's first line."""
    return line({"shard": [*shard], "digest": job.plan.header.digest, "tool": tool_version(), "host": here().host})


def tool_version() -> str:
    """Return the version of planbalance that runs; "" where it is not installed (a checkout on the path)."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - heavy, and shards alone ask

    try:
        return version("planbalance")
    except PackageNotFoundError:
        return ""


class Reader:
    """Reads the journals of shards of one build; lists them once.

    Args:
        job: which build.
        own: descriptor of the staging folder's `.planbalance`.
        with_sums: a record counts only with its images' sums.
    """

    def __init__(self, job: Job, own: int, *, with_sums: bool) -> None:
        self._digest = job.plan.header.digest
        self._own = own
        self._names = by_shard(fs.list_folder(own))
        self._with_sums = with_sums

    def of(self, shard: Shard, blocks: Sequence[Block], reader: Here | None = None) -> Iterator[ShardJournal]:
        """Yield the journals of one shard; one of another plan or count of shards is passed over. Raises OSError.

        `reader`: whose beliefs count, by default this machine's; `NOBODY` believes only what is vouched for.
        """
        for name in self._names.get(shard.number, ()):
            try:
                data = fs.read_whole(name, self._own)
            except FileNotFoundError:
                continue  # listed by a cache that is older than the last publication
            first = opening(data)
            if first.get("shard") == [*shard] and first.get("digest") == self._digest:
                records = read_journal(data, blocks, reader or here(), with_sums=self._with_sums).records
                yield ShardJournal(records, str(first.get("tool")), str(first.get("host")))


def is_done(job: Job, staging: Staging, way: Mode, *, with_sums: bool) -> bool:
    """Return whether this job's shard is done: vouched for, and all of its names are there."""
    shard, blocks = job.options.shard, job.plan.header.blocks
    assert shard is not None
    journals = Reader(job, staging.own, with_sums=with_sums).of(shard, blocks, NOBODY)
    records = [record for journal in journals for record in journal.records]
    claimed: dict[int, list[tuple[int, int]]] = {}
    for part in (part for record in records for part in record.ranges):
        claimed.setdefault(part.block, []).append((part.start, part.stop))
    if missing_ranges(blocks, claimed):
        return False
    return not proven(job, way, staging.tree, records).gone


def taken_over(done: Mapping[int, Sequence[tuple[int, int]]], sums: Sums | None) -> Iterator[Record]:
    """Yield the records that a run writes of what earlier runs did: one a block."""
    for block, runs in done.items():
        ranges = tuple(Range(block, start, stop) for start, stop in runs)
        yield Record(ranges, b"" if sums is None else sums.of(ranges))
