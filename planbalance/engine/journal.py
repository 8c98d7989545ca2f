"""The journal: one appended line a finished batch, with what proves it; a torn tail is cut off.

A killed process loses nothing that the kernel has, so its lines stand. A lost machine may keep the journal and lose the
data: lines written under another boot count only as far as a later sync line vouches for them. What a run did not
believe it makes again, so from that run's line on nobody may believe it any more: its files may be half made now.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from planbalance.engine.schedule import Range
from planbalance.model import Block

SUM_BYTES = 32  # SHA-256


class Here(NamedTuple):
    """The machine and boot that lines are written under; the boot id alone tells two boots apart (it is random)."""

    host: str
    boot: str


class Record(NamedTuple):
    """One finished batch: its ranges, and the sums of their images end to end (empty where none were taken)."""

    ranges: tuple[Range, ...]
    sums: bytes


def line(value: Mapping[str, Any]) -> bytes:
    """Return a journal line: JSON, a tab, the CRC-32 of the JSON in hex, a newline."""
    text = orjson.dumps(value)
    return b"%b\t%08x\n" % (text, zlib.crc32(text))


def run_line(here: Here) -> bytes:
    """Return the line that begins a run."""
    return line({"run": [here.host, here.boot]})


def record_line(record: Record) -> bytes:
    """Return the line of a finished batch."""
    return line({"done": [list(part) for part in record.ranges], "sums": base64.b64encode(record.sums).decode("ascii")})


def gone_line(ranges: Iterable[Range]) -> bytes:
    """Return the line that takes earlier claims back: these names were not there, and are made again."""
    return line({"gone": [list(part) for part in ranges]})


def syncing_line(records: int) -> bytes:
    """Return the line that says: the first `records` batches are being put on disk.

    Where no sync line follows, that failed or was cut off. Data that a sync could not keep may still be seen and never
    reach the disk (fsync(2)), so those batches are made again rather than synced again.
    """
    return line({"syncing": records})


def sync_line(records: int) -> bytes:
    """Return the line that says: the first `records` batches of this journal are on disk."""
    return line({"synced": records})


def opening(data: bytes) -> Mapping[str, Any]:
    """Return the first line's value; nothing where it is not whole."""
    return next((value for value, _ in _whole_lines(data)), {})


class Journal(NamedTuple):
    """What a journal says.

    Attributes:
        records: the batches that count, in the order written.
        written: how many batch lines there are, those that do not count included.
        length: bytes of the lines that are whole; what lies behind is to be cut off.
    """

    records: tuple[Record, ...]
    written: int
    length: int


def read_journal(data: bytes, blocks: Sequence[Block], here: Here, *, with_sums: bool) -> Journal:
    """Read a journal, as untrusted as any file: the first line that is not whole ends it.

    Lines with ranges outside `blocks`, or without the sums that `with_sums` asks for, do not count.
    """
    reading = _Reading(blocks, with_sums=with_sums)
    length = 0
    for value, end in _whole_lines(data):
        length = end
        reading.take(value)
    reading.believe(here.boot)
    records = tuple(record for record in reading.records if record is not None)
    return Journal(records, len(reading.records), length)


class _Reading:
    """A journal as far as it was read; a record that does not count (any more) is None."""

    def __init__(self, blocks: Sequence[Block], *, with_sums: bool) -> None:
        self.records: list[Record | None] = []
        self._blocks = blocks
        self._with_sums = with_sums
        self._boots: list[str] = []  # per record
        self._boot = ""
        self._synced = 0  # so many records are on disk
        self._syncing = 0  # so many were on their way when the next line was written

    def take(self, value: Mapping[str, Any]) -> None:
        """Take in the next line."""
        if "run" in value:
            self._boot = _here(value["run"]).boot
            self.believe(self._boot)
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

    def believe(self, boot: str) -> None:
        """Drop, for good, what a run under `boot` does not believe.

        That is what is not known to be on disk, and was written under another boot or did not reach the disk when it
        should have.
        """
        for at in range(self._synced, len(self.records)):
            if not boot or self._boots[at] != boot or at < self._syncing:
                self.records[at] = None
        self._syncing = 0


def without(record: Record, gone: Sequence[Range]) -> Record:
    """Return a record that claims nothing of `gone`, its sums cut to what is left."""
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
    return Record(tuple(ranges), bytes(sums))


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


def _whole_lines(data: bytes) -> Iterator[tuple[dict[str, Any], int]]:
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


def _here(value: object) -> Here:
    match value:
        case [str(host), str(boot)]:
            return Here(host, boot)
    return Here("", "")


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
    return Record(ranges, sums)


def _ranges(value: object, blocks: Sequence[Block]) -> tuple[Range, ...]:
    """Return ranges; none at all where one is not within a block."""
    try:
        ranges = tuple(Range(*map(int, part)) for part in value)  # type: ignore[attr-defined]  # TypeError says so
    except (TypeError, ValueError):
        return ()
    within = all(0 <= r.block < len(blocks) and 0 <= r.start < r.stop <= blocks[r.block].count for r in ranges)
    return ranges if within else ()
