"""Names and inodes of a SquashFS image read a column at a time, where they are as in most images.

The functions return None where anything is unusual: then the image is read one name at a time (`squashfs_reader`),
which says what is wrong with it.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter, lt
from typing import Final, NamedTuple

from planbalance.packed.folder import PackedFolder
from planbalance.packed.squashfs_layout import BASIC_FILE, METADATA, NONE, STORED

LONGEST_NAME: Final = 256
MOST_IN_A_RUN: Final = 256
NO_NAMES: Final = frozenset((b".", b".."))
_RUN: Final = struct.Struct("<II4x")
_NAME: Final = struct.Struct("<H4xH")
_FILE_BYTES: Final = 32  # of the inode of a basic file, without the sizes of its blocks
_WITH_A_BLOCK: Final = _FILE_BYTES + 4


class InodeTable(NamedTuple):
    """All inodes of an image.

    Attributes:
        data: the table's metadata blocks, one behind the other, and zeros.
        size: bytes of `data` without the zeros.
        begins: where a metadata block is in `data`, by its place in the table.
    """

    data: bytes
    size: int
    begins: Mapping[int, int]


def inode_table(blocks: Iterator[tuple[int, bytes]], most: int) -> InodeTable | None:
    """Return a table from its metadata blocks, given by their places; None where it has more than `most` bytes."""
    parts, begins, size = [], {}, 0
    for at, data in blocks:
        if not data or size % METADATA or size > most:
            return None  # only the last block may be smaller
        parts.append(data)
        begins[at] = size
        size += len(data)
    return InodeTable(b"".join((*parts, bytes(_WITH_A_BLOCK))), size, begins)


class ListedNames(NamedTuple):
    """The names of one folder, with the place of each one's inode: as the image says it, and in the table's bytes."""

    names: Sequence[str]
    ats: Sequence[int]
    positions: Sequence[int]


def names_of(listing: bytes, begins: Mapping[int, int]) -> ListedNames | None:
    """Return the names of a folder from its listing. `begins`: see `InodeTable`."""
    names: list[bytes] = []
    ats: list[int] = []
    positions: list[int] = []
    at, end = 0, len(listing)
    unpack = _NAME.unpack_from
    while at < end:
        if at + _RUN.size > end:
            return None
        count, block = _RUN.unpack_from(listing, at)
        begin = begins.get(block)
        if begin is None or count >= MOST_IN_A_RUN:
            return None
        at += _RUN.size
        first, high = len(names), block << 16
        for _ in range(count + 1):
            if at + _NAME.size > end:
                return None
            offset, length = unpack(listing, at)
            name = at + _NAME.size
            at = name + length + 1
            names.append(listing[name:at])
            ats.append(high | offset)
            positions.append(begin + offset)
        if max(ats[first:]) >= high + METADATA:
            return None
    texts = _texts(names) if at == end else None
    return None if texts is None else ListedNames(texts, ats, positions)


def _texts(names: Sequence[bytes]) -> Sequence[str] | None:
    """Return names as text; None where one is no name, or they are not sorted."""
    together = b"/".join(names)
    if not (
        together.count(b"/") == max(len(names) - 1, 0)
        and b"\0" not in together
        and not any(b"/%b/" % name in b"/%b/" % together for name in NO_NAMES)
        and all(map(lt, names, islice(names, 1, None)))
        and max(map(len, names), default=0) <= LONGEST_NAME
    ):
        return None
    if together.isascii():
        return together.decode("ascii").split("/") if names else []
    return [name.decode("utf-8", "surrogateescape") for name in names]


def files_of(
    names: ListedNames, table: InodeTable, block_size: int, fragment: Callable[[int], tuple[int, int]]
) -> PackedFolder | None:
    """Return a folder that holds nothing but basic files whose inodes are whole words apart.

    Args:
        names: of the folder.
        table: all inodes.
        block_size: of the image.
        fragment: returns where a fragment block begins, and how many bytes are stored there as they are.
    """
    positions = names.positions
    first, last = min(positions, default=0), max(positions, default=0)
    if len(positions) < 2 or last + _FILE_BYTES > table.size or any((at - first) % 4 for at in positions):
        return None
    words = array("I", table.data[first : last + _WITH_A_BLOCK])
    if sys.byteorder == "big":
        words.byteswap()
    pick = itemgetter(*[(at - first) // 4 for at in positions])
    kinds = pick(words)  # permissions and type
    modes = {kind: kind >> 16 & 0o7777 for kind in set(kinds)}
    if any(kind & 0xFFFF != BASIC_FILE for kind in modes):
        return None
    times, starts, fragments, sizes, blocks = (pick(words[number:]) for number in (2, 4, 5, 7, 8))
    runs = [
        start if number == NONE and 0 < size <= block_size and block == size | STORED else -1
        for start, number, size, block in zip(starts, fragments, sizes, blocks, strict=True)
    ]
    numbers = set(fragments) - {NONE}
    if numbers:
        stored = {number: fragment(number) for number in numbers}
        runs = [
            run if number == NONE else _in_fragment(stored[number], offset, size)
            for run, number, offset, size in zip(runs, fragments, pick(words[6:]), sizes, strict=True)
        ]
    of_modes = array("H", map(modes.__getitem__, kinds))
    columns = (array("I", sizes), array("I", times), of_modes, array("Q", names.ats), array("q", runs))
    return PackedFolder(names.names, *columns)


def _in_fragment(block: tuple[int, int], offset: int, size: int) -> int:
    """Return where the content of a file in a fragment block begins in the image, -1 where it is not stored so."""
    begin, length = block
    return begin + offset if offset + size <= length else -1
