"""The journal: one appended line a finished batch, with what proves it; a torn tail is cut off.

A killed process loses nothing that the kernel has, so its lines stand. A lost machine may keep the journal and lose the
data: lines written under another boot count only as far as a later sync line vouches for them.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
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


def sync_line(records: int) -> bytes:
    """Return the line that says: the first `records` batches of this journal are on disk."""
    return line({"synced": records})


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
    found: list[tuple[Here, Record | None]] = []
    synced = length = 0
    under = Here("", "")
    for value, end in _whole_lines(data):
        length = end
        if "run" in value:
            under = _here(value["run"])
        elif "synced" in value:
            synced = max(synced, _count(value["synced"]))
        elif "done" in value:
            found.append((under, _record(value, blocks, with_sums=with_sums)))
    proven = (
        record
        for number, (written_under, record) in enumerate(found)
        if record is not None and (number < synced or (here.boot and written_under.boot == here.boot))
    )
    return Journal(tuple(proven), len(found), length)


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
    try:
        ranges = tuple(Range(*map(int, part)) for part in value["done"])
        sums = base64.b64decode(value["sums"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    if not all(0 <= r.block < len(blocks) and 0 <= r.start < r.stop <= blocks[r.block].count for r in ranges):
        return None
    if with_sums and len(sums) != SUM_BYTES * sum(r.stop - r.start for r in ranges):
        return None
    return Record(ranges, sums)
