"""The journal: one appended line for each finished batch, with its checksum; an incomplete last line is cut off.

The kernel has what a killed process has written, so its lines count. A machine that loses its power may keep the
journal and lose the data: lines written under another boot count only as far as a later sync line says that their data
is on disk. Slices whose lines did not count are placed again; while that happens their files may be incomplete, so no
later run may count the old lines either (docs/reliability.md, "Resume").
"""

import base64
import binascii
import io
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import anyio
import anyio.to_thread
import orjson
from aiofiles.threadpool import wrap

from planbalance import fs
from planbalance.engine.schedule import ANY_PERMISSIONS, Range, count_operations
from planbalance.engine.spool import Spooled, spooled_of, spooled_value
from planbalance.lock_owner import Node
from planbalance.model import Block

SUM_BYTES: Final = 32  # SHA-256
SYNC_SECONDS: Final = 30.0  # durability safe: the work of so many seconds may be lost in a power failure


class Record(NamedTuple):
    """One finished batch.

    Attributes:
        ranges: what is in place.
        sums: of their images, end to end; empty where none were taken.
        permissions: bits that each source has, of a packed dataset.
        spooled: where the images lie in a spool file, until they have their places; None where they are in place.
    """

    ranges: tuple[Range, ...]
    sums: bytes
    permissions: int = ANY_PERMISSIONS
    spooled: Spooled | None = None


def line(value: Mapping[str, Any]) -> bytes:
    """Return a journal line: JSON, a tab, the CRC-32 of the JSON in hex, a newline."""
    text = orjson.dumps(value)
    return b"%b\t%08x\n" % (text, zlib.crc32(text))


def run_line(node: Node) -> bytes:
    """Return the line that begins a run."""
    return line({"run": [node.host, node.boot]})


def record_line(record: Record) -> bytes:
    """Return the line of a finished batch."""
    value: dict[str, Any] = {
        "done": [list(part) for part in record.ranges],
        "sums": base64.b64encode(record.sums).decode("ascii"),
    }
    if record.permissions != ANY_PERMISSIONS:
        value["permissions"] = record.permissions
    if record.spooled is not None:
        value["spooled"] = spooled_value(record.spooled)
    return line(value)


def gone_line(ranges: Iterable[Range]) -> bytes:
    """Return the line that revokes earlier ones: the files of these ranges are missing, and are placed again."""
    return line({"gone": [list(part) for part in ranges]})


def syncing_line(records: int) -> bytes:
    """Return the line that says: the first `records` batches are being put on disk.

    Where no sync line follows, that failed or was interrupted. Data that a sync could not write may still be readable
    and never reach the disk (fsync(2)), so those batches are placed again rather than synced again.
    """
    return line({"syncing": records})


def sync_line(records: int) -> bytes:
    """Return the line that says: the first `records` batches of this journal are on disk."""
    return line({"synced": records})


def first_value(data: bytes) -> Mapping[str, Any]:
    """Return the first line's value; nothing where it is incomplete."""
    return next((value for value, _ in _complete_lines(data)), {})


class Journal(NamedTuple):
    """What a journal says.

    Attributes:
        records: the batches that count, in the order written.
        written: how many batch lines there are, those that do not count included.
        length: bytes of the complete lines; what follows is to be cut off.
    """

    records: tuple[Record, ...]
    written: int
    length: int


def read_journal(data: bytes, blocks: Sequence[Block], node: Node, *, with_sums: bool) -> Journal:
    """Read a journal, which is untrusted as any file is: the first incomplete line ends it.

    Lines with ranges outside `blocks`, or without the sums that `with_sums` asks for, do not count.
    """
    reading = _Reading(blocks, with_sums=with_sums)
    length = 0
    for value, end in _complete_lines(data):
        length = end
        reading.take(value)
    reading.discard_unsynced(node.boot)
    records = tuple(record for record in reading.records if record is not None)
    return Journal(records, len(reading.records), length)


class _Reading:
    """A journal as far as it was read; a record that does not count, or no longer does, is None."""

    def __init__(self, blocks: Sequence[Block], *, with_sums: bool) -> None:
        self.records: list[Record | None] = []
        self._blocks = blocks
        self._with_sums = with_sums
        self._boots: list[str] = []  # per record
        self._boot = ""
        self._synced = 0  # so many records are on disk
        self._syncing = 0  # so many were being synced when the next line was written

    def take(self, value: Mapping[str, Any]) -> None:
        """Read the next line."""
        if "run" in value:
            self._boot = _node(value["run"]).boot
            self.discard_unsynced(self._boot)
        elif "syncing" in value:
            self._syncing = _count(value["syncing"])
        elif "synced" in value:
            self._synced, self._syncing = max(self._synced, _count(value["synced"])), 0
        elif "gone" in value:
            gone = _ranges(value["gone"], self._blocks)
            self.records = [None if record is None else without(record, gone) for record in self.records]
        elif "done" in value:
            self.records.append(_record(value, self._blocks, with_sums=self._with_sums))
            self._boots.append(self._boot)

    def discard_unsynced(self, boot: str) -> None:
        """Drop the records that a run under `boot` does not count; no later line restores them.

        Those are not known to be on disk, and were written under another boot or by a sync that did not end.
        """
        for at in range(self._synced, len(self.records)):
            if not boot or self._boots[at] != boot or at < self._syncing:
                self.records[at] = None
        self._syncing = 0


def without(record: Record, gone: Sequence[Range]) -> Record:
    """Return a record without the ranges `gone`, its sums cut to what is left.

    Nothing is left of a record of spooled images of which some are gone: they lie end to end in one file.
    """
    summed = bool(record.sums)
    ranges: list[Range] = []
    sums = bytearray()
    at = 0
    for part in record.ranges:
        for start, stop in _left(part, gone):
            ranges.append(Range(part.block, start, stop))
            if summed:
                first = at + SUM_BYTES * (start - part.start)
                sums += record.sums[first : first + SUM_BYTES * (stop - start)]
        at += SUM_BYTES * (part.stop - part.start)
    if record.spooled is not None and count_operations(ranges) < count_operations(record.ranges):
        return record._replace(ranges=(), sums=b"", spooled=None)
    return record._replace(ranges=tuple(ranges), sums=bytes(sums))


def _left(part: Range, gone: Sequence[Range]) -> Iterator[tuple[int, int]]:
    start = part.start
    for hole in sorted(each for each in gone if each.block == part.block):
        if hole.stop <= start or hole.start >= part.stop:
            continue
        if hole.start > start:
            yield start, hole.start
        start = max(start, hole.stop)
    if start < part.stop:
        yield start, part.stop


def _complete_lines(data: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        text, tab, checksum = data[start:end].rpartition(b"\t")
        if not tab or checksum != b"%08x" % zlib.crc32(text):
            return
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        if not isinstance(value, dict):
            return
        start = end + 1
        yield value, start


def _node(value: object) -> Node:
    match value:
        case [str(host), str(boot)]:
            return Node(host, boot)
    return Node("", "")


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _record(value: Mapping[str, Any], blocks: Sequence[Block], *, with_sums: bool) -> Record | None:
    ranges = _ranges(value["done"], blocks)
    try:
        sums = base64.b64decode(value["sums"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    if not ranges or (with_sums and len(sums) != SUM_BYTES * sum(r.stop - r.start for r in ranges)):
        return None
    spooled = spooled_of(value["spooled"], count_operations(ranges)) if "spooled" in value else None
    if "spooled" in value and spooled is None:
        return None
    permissions = value.get("permissions", ANY_PERMISSIONS)
    return Record(ranges, sums, permissions if isinstance(permissions, int) else 0, spooled)


def _ranges(value: object, blocks: Sequence[Block]) -> tuple[Range, ...]:
    """Return ranges; none at all where one is not within a block."""
    try:
        ranges = tuple(Range(*map(int, part)) for part in value)  # type: ignore[attr-defined]  # TypeError says so
    except (TypeError, ValueError):
        return ()
    within = all(0 <= r.block < len(blocks) and 0 <= r.start < r.stop <= blocks[r.block].count for r in ranges)
    return ranges if within else ()


# ---- the file -------------------------------------------------------------------------------------------------------


class JournalFile:
    """A journal that is open for appending: written from the loop's thread, one line at a time.

    Args:
        own: descriptor of the folder that holds it.
        tree: descriptor of the staging folder, which a checkpoint puts on disk.
        node: under which lines are written.
        safe: durability safe.
        name: of the file.

    Attributes:
        raw: the file.
        written: how many batch lines it has.
    """

    def __init__(self, own: int, tree: int, node: Node, *, safe: bool, name: str = fs.JOURNAL) -> None:
        self.raw = fs.AppendedFile(name, own)
        self.written = 0
        self._tree = tree
        self._node = node
        self._safe = safe
        self._file = wrap(io.BufferedWriter(self.raw))
        self._synced_at = time.monotonic()
        self._order = anyio.Lock()
        self._waiting: list[bytes] = []  # lines of finished batches
        self._writing = False

    def read_earlier(self, blocks: Sequence[Block], *, with_sums: bool) -> tuple[Record, ...]:
        """Return what earlier runs wrote, as far as it counts; an incomplete last line is cut off."""
        known = read_journal(self.raw.content(), blocks, self._node, with_sums=with_sums)
        self.raw.cut(known.length)
        self.written = known.written
        return known.records

    async def begin(self, gone: Sequence[Range], opening_line: bytes = b"") -> None:
        """Write under which machine and boot the next lines are written, and which earlier lines are revoked.

        `opening_line`: a line of the caller's, written before them.
        """
        if opening_line:
            await self._append(opening_line)
        await self._append(run_line(self._node))
        if gone:
            await self._append(gone_line(gone))
            if self._safe:
                await anyio.to_thread.run_sync(self.raw.sync)

    async def append(self, record: Record) -> None:
        """Write a finished batch; with durability safe, put on disk what there is from time to time.

        While one line is written, others arrive: the same writer writes them too, so that no other worker waits for
        the disk. Where writing fails, the batches of lost lines are placed again.
        """
        self._waiting.append(record_line(record))
        if self._writing:
            return
        self._writing = True
        try:
            while self._waiting:
                async with self._order:
                    await self._append_waiting()
        finally:
            self._writing = False
        if self._safe and time.monotonic() - self._synced_at > SYNC_SECONDS:
            self._synced_at = time.monotonic()
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Put everything on disk and write that it is there, so that another boot or node counts the lines.

        Raises OSError; then the batches that should have been put on disk no longer count, and are placed again.
        """
        async with self._order:
            await self._append_waiting()
            await self._append(syncing_line(self.written))
            await anyio.to_thread.run_sync(lambda: fs.sync_below(self._tree, sure=self._safe))
            await self._append(sync_line(self.written))
            await anyio.to_thread.run_sync(self.raw.sync)

    async def _append_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            await self._append(b"".join(lines))
            self.written += len(lines)

    async def _append(self, data: bytes) -> None:
        await self._file.write(data)
        await self._file.flush()

    def close(self) -> None:
        """Close the file; batches whose lines could not be written are placed again by the next run."""
        with suppress(OSError, ValueError):
            self.raw.close()
