"""The layout of a SquashFS 4.0 image of stored files: every byte but the content of the files, from names and sizes.

Nothing is compressed, so each offset is known before the first byte of content is read: the content can be written by
many workers in any order. The format: the kernel's Documentation/filesystems/squashfs, and the format description of
squashfs-tools-ng (doc/format.adoc). All numbers are little endian.

An image is: superblock, content, inode table, directory table, fragment table, id table, zeros up to 4 KiB. A table is
cut into metadata blocks of 8 KiB, each with 2 bytes before it that say how long it is and that it is stored. A place in
a table is the position of such a block and an offset in it.
"""

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, repeat
from typing import Final, NamedTuple

from planbalance.packed.entry import FIXED_TIME, FOLDER_MODE, LATEST_TIME, Files

BLOCK_LOG: Final = 17
BLOCK: Final = 1 << BLOCK_LOG  # bytes of content in a data block or a fragment block
SUPERBLOCK: Final = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
MAGIC: Final = 0x73717368
GZIP: Final = 1  # what the superblock names; readers need it only for blocks that are compressed, and none is
NONE: Final = 0xFFFFFFFF
NO_TABLE: Final = 0xFFFFFFFFFFFFFFFF
STORED: Final = 1 << 24  # in the size of a data or fragment block: it is not compressed
METADATA: Final = 8192
STORED_METADATA: Final = 1 << 15
BASIC_FOLDER, BASIC_FILE, EXTENDED_FOLDER, EXTENDED_FILE = 1, 2, 8, 9

# Inodes, data, fragments and ids are stored, and there are no extended attributes.
_FLAGS: Final = 0x0001 | 0x0002 | 0x0008 | 0x0200 | 0x0800
_ALIGNED: Final = 4096
_ON_DISK: Final = METADATA + 2
_FILE: Final = struct.Struct("<HHHHIIIIII")
_LARGE_FILE: Final = struct.Struct("<HHHHIIQQQIIII")
_FOLDER: Final = struct.Struct("<HHHHIIIIHHI")
_LARGE_FOLDER: Final = struct.Struct("<HHHHIIIIIIHHI")
_RUN: Final = struct.Struct("<III")
_NAME: Final = struct.Struct("<HhHH")
_INDEX: Final = struct.Struct("<III")
_FRAGMENT: Final = struct.Struct("<QII")
_MOST_IN_A_RUN: Final = 256
_MOST_INDEXES: Final = 0xFFFF
_MOST_IN_A_FOLDER: Final = 0xFFFFFFFF - 3
_MOST_BASIC_LISTING: Final = 0xFFFF - 3
_SMALL: Final = 1 << 32
# At most: of a file an inode, an entry and a header of its own; of a folder the same, and an index.
_MOST_OF_A_FILE: Final = 56 + 4 + 8 + 12
_MOST_OF_A_FOLDER: Final = 512
_MOST_FIXED: Final = 1 << 15


class _Group(NamedTuple):
    """Files of one folder, with where their content is.

    Attributes:
        files: names, sizes and times.
        starts: where the content of each begins; for a file in a fragment, the offset in that fragment; 0 for one
            without content, where there are fragments.
        fragments: the number of each one's fragment, or `NONE`; None where no file is in a fragment.
    """

    files: Files
    starts: "array[int]"
    fragments: "array[int] | None"


class SquashfsLayout:
    """An image that grows by groups of files. The content of a group is one run, in the order of its names.

    Attributes:
        end: where the content ends; the next group begins there.
    """

    def __init__(self) -> None:
        self.end = SUPERBLOCK.size
        self._groups: list[_Group] = []
        self._fragment_starts = array("Q")
        self._fragment_sizes = array("I")
        self._tables: _Tables | None = None
        self._most = 0

    def align(self, boundary: int) -> int:
        """Let the next group begin at a multiple of `boundary`, which is returned."""
        self.end += -self.end % boundary
        return self.end

    def add(self, files: Files, *, fragments: bool = False) -> Sequence[int]:
        """Add files, and return where the content of each begins in the image.

        Args:
            files: of one folder; no two files of the image have one path.
            fragments: files smaller than a block share fragment blocks, so that many small ones are read at once.
        """
        starts = offsets(self.end, files.sizes)
        ends = starts[-1] + files.sizes[-1] if files.sizes else self.end
        if fragments:
            self._add_fragments(files, starts)
        else:
            self._groups.append(_Group(files, array("Q", starts), None))
        self.end = ends
        names = "".join(files.names)
        blocks = sum([size // BLOCK for size in files.sizes if size > BLOCK])
        bytes_of_names = len(names) if names.isascii() else len(names.encode())
        self._most += len(files.names) * _MOST_OF_A_FILE + bytes_of_names + 4 * blocks
        return starts

    def _add_fragments(self, files: Files, starts: Sequence[int]) -> None:
        numbers, within = array("I"), array("Q")
        room = 0
        for start, size in zip(starts, files.sizes, strict=True):
            if not 0 < size < BLOCK:  # no content, or blocks of its own
                numbers.append(NONE)
                within.append(start if size else 0)
                room = room if size == 0 else 0
                continue
            if size > room:
                self._fragment_starts.append(start)
                self._fragment_sizes.append(0)
                room = BLOCK
            numbers.append(len(self._fragment_starts) - 1)
            within.append(self._fragment_sizes[-1])
            self._fragment_sizes[-1] += size
            room -= size
        self._groups.append(_Group(files, within, numbers))

    def tables(self) -> bytes:
        """Return what follows the content, to be written at `end`: all tables, and zeros up to 4 KiB."""
        return self._made().after

    def superblock(self) -> bytes:
        """Return the first bytes of the image. A file without them is not an image: write them last."""
        return self._made().superblock

    @property
    def size(self) -> int:
        """Bytes of the whole image."""
        return self.end + len(self._made().after)

    @property
    def most(self) -> int:
        """Bytes that the whole image has at most: its size but for the tables, which take a while to make."""
        folders = {group.files.folder for group in self._groups}
        of_folders = sum(_MOST_OF_A_FOLDER * (1 + folder.count("/")) + 2 * len(folder.encode()) for folder in folders)
        tables = self._most + of_folders + len(self._fragment_starts) * _FRAGMENT.size
        return self.end + tables + tables // 8 + _MOST_FIXED

    def _made(self) -> "_Tables":
        made = self._tables
        if made is None or made.content_end != self.end:
            made = self._tables = _make_tables(
                self._groups, zip(self._fragment_starts, self._fragment_sizes, strict=True), self.end
            )
        return made


def offsets(start: int, sizes: Sequence[int]) -> list[int]:
    """Return where each of some files begins whose content follows one another."""
    return list(accumulate(sizes[:-1], initial=start)) if sizes else []


# ---- tables ---------------------------------------------------------------------------------------------------------


class _Tables(NamedTuple):
    """The finished image but for its content.

    Attributes:
        content_end: where the content ends.
        after: everything behind it.
        superblock: the first bytes.
    """

    content_end: int
    after: bytes
    superblock: bytes


class _Stream:
    """A table that is being written: one run of bytes, cut into metadata blocks at the end."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.length = 0

    def append(self, data: bytes) -> None:
        self._parts.append(data)
        self.length += len(data)

    def blocks(self) -> bytes:
        """Return the table as it is stored."""
        whole = memoryview(b"".join(self._parts))  # its cuts share its memory
        cuts = [whole[at : at + METADATA] for at in range(0, len(whole), METADATA)]
        return b"".join([part for cut in cuts for part in ((len(cut) | STORED_METADATA).to_bytes(2, "little"), cut)])


def _block_at(position: int) -> int:
    """Return where the metadata block that holds a position of a table begins, from the table's begin."""
    return position // METADATA * _ON_DISK


class _Folder:
    """One folder: its groups of files, and the folders in it by name."""

    def __init__(self, number: int, parent: int) -> None:
        self.number = number
        self.parent = parent
        self.groups: list[_Group] = []
        self.inner: dict[bytes, _Folder] = {}
        self.inode = 0  # position in the inode table, once written


def _make_tables(groups: Sequence[_Group], fragments: Iterator[tuple[int, int]], content_end: int) -> _Tables:
    folders = _folders_of(groups)
    inodes, listings = _Stream(), _Stream()
    number = len(folders)
    for folder in reversed(folders):  # a folder follows the one that holds it, so inner ones are written first
        number = _write_folder(folder, number, inodes, listings)
    root = folders[0].inode
    inode_table, directory_table = inodes.blocks(), listings.blocks()
    directories_at = content_end + len(inode_table)
    fragments_at = directories_at + len(directory_table)
    rows = b"".join([_FRAGMENT.pack(start, size | STORED, 0) for start, size in fragments])
    fragment_table, fragment_list = _lookup_table(rows, fragments_at)
    ids_at = fragments_at + len(fragment_table)
    id_table, id_list = _lookup_table(bytes(4), ids_at)
    used = ids_at + len(id_table)
    superblock = SUPERBLOCK.pack(
        MAGIC, number, FIXED_TIME, BLOCK, len(rows) // _FRAGMENT.size, GZIP, BLOCK_LOG, _FLAGS, 1, 4, 0,
        _block_at(root) << 16 | root % METADATA, used, id_list, NO_TABLE, content_end, directories_at,
        fragment_list if rows else NO_TABLE, NO_TABLE,
    )  # fmt: skip
    padding = bytes(-used % _ALIGNED)
    return _Tables(content_end, inode_table + directory_table + fragment_table + id_table + padding, superblock)


def _folders_of(groups: Sequence[_Group]) -> list[_Folder]:
    """Return all folders, the root first and each behind the one that holds it; they are numbered from 1."""
    root = _Folder(1, 0)
    folders, known = [root], {"": root}
    for group in groups:
        known.setdefault(group.files.folder, root)
    for path in sorted(known):
        current = root
        for part in path.encode().split(b"/") if path else ():
            following = current.inner.get(part)
            if following is None:
                following = current.inner[part] = _Folder(len(folders) + 1, current.number)
                folders.append(following)
            current = following
        known[path] = current
    for group in groups:
        known[group.files.folder].groups.append(group)
    return folders


def _lookup_table(rows: bytes, at: int) -> tuple[bytes, int]:
    """Return a table of rows with the list of its blocks behind it, and where that list begins."""
    table = _Stream()
    table.append(rows)
    blocks = table.blocks()
    places = [at + _block_at(position) for position in range(0, len(rows), METADATA)]
    return blocks + struct.pack(f"<{len(places)}Q", *places), at + len(blocks)


def _write_folder(folder: _Folder, number: int, inodes: _Stream, listings: _Stream) -> int:
    """Write the inodes of a folder's files, its listing, and its own inode; return the last number that was given."""
    names: list[tuple[bytes, int, int, int]] = [  # name, type, position of the inode, its number
        (name, BASIC_FOLDER, inner.inode, inner.number) for name, inner in folder.inner.items()
    ]
    for group in folder.groups:
        number = _write_files(group, number, inodes, names)
    names.sort()
    begin = listings.length
    indexes = _write_listing(names, listings)
    length = listings.length - begin
    folder.inode = inodes.length
    links = 2 + len(folder.inner)
    if not indexes and length <= _MOST_BASIC_LISTING:
        inodes.append(
            _FOLDER.pack(
                BASIC_FOLDER, FOLDER_MODE, 0, 0, FIXED_TIME, folder.number,
                _block_at(begin), links, length + 3, begin % METADATA, folder.parent,
            )
        )  # fmt: skip
        return number
    step = -(-len(indexes) // _MOST_INDEXES) or 1
    kept = indexes[::step]
    inodes.append(
        _LARGE_FOLDER.pack(
            EXTENDED_FOLDER, FOLDER_MODE, 0, 0, FIXED_TIME, folder.number,
            links, length + 3, _block_at(begin), folder.parent, len(kept), begin % METADATA, NONE,
        )
    )  # fmt: skip
    inodes.append(b"".join(kept))
    return number


def _write_files(group: _Group, number: int, inodes: _Stream, names: list[tuple[bytes, int, int, int]]) -> int:
    files, count = group.files, len(group.files.names)
    table, places = _inodes_alike(group, number + 1), [inodes.length]
    if table is not None:
        length = len(table) // count
        places = list(range(inodes.length, inodes.length + len(table), length))
    else:
        made = _inodes_of_any_kind(group, number + 1)
        places = list(accumulate(map(len, made[:-1]), initial=inodes.length))
        table = b"".join(made)
    inodes.append(table)
    numbers = range(number + 1, number + 1 + count)
    names += zip(map(str.encode, files.names), repeat(BASIC_FILE), places, numbers, strict=False)
    return number + count


def _inodes_alike(group: _Group, first: int) -> bytes | None:
    """Return the inodes of files that all have one block, or are all smaller and may be in fragments; else None.

    They are made column by column: most images have one block, and most labels are empty or in a fragment.
    """
    files, fragments, starts = group.files, group.fragments, group.starts
    count = len(files.names)
    if not count or min(files.times) < 0 or max(files.times) > LATEST_TIME or max(files.sizes) > BLOCK:
        return None
    sizes, numbers = array("I", files.sizes), array("I", range(first, first + count))
    columns: tuple[int | array[int], ...] = (files.mode << 16 | BASIC_FILE, 0, array("I", files.times), numbers)
    if fragments is None and min(sizes) and max(starts) < _SMALL:
        columns += (array("I", starts), NONE, 0, sizes, array("I", [size | STORED for size in sizes]))
    elif fragments is not None and max(sizes) < BLOCK:
        columns += (0, fragments, array("I", starts), sizes)
    else:
        return None
    table = array("I", bytes(4 * len(columns) * count))
    for at, column in enumerate(columns):
        table[at :: len(columns)] = array("I", [column]) * count if isinstance(column, int) else column
    if sys.byteorder == "big":
        table.byteswap()
    return table.tobytes()


def _inodes_of_any_kind(group: _Group, first: int) -> list[bytes]:
    """Return the inodes of files."""
    files = group.files
    fragments = group.fragments or array("I", [NONE]) * len(files.names)
    columns = zip(files.sizes, files.times, group.starts, fragments, strict=True)
    return [
        _file_inode(files.mode, min(max(time, 0), LATEST_TIME), number, size, start, fragment)
        for number, (size, time, start, fragment) in enumerate(columns, start=first)
    ]


def _file_inode(mode: int, time: int, number: int, size: int, start: int, fragment: int) -> bytes:
    if fragment != NONE:
        return _FILE.pack(BASIC_FILE, mode, 0, 0, time, number, 0, fragment, start, size)
    if not size:
        return _FILE.pack(BASIC_FILE, mode, 0, 0, time, number, 0, NONE, 0, 0)
    whole, rest = divmod(size, BLOCK)
    sizes = (BLOCK | STORED).to_bytes(4, "little") * whole
    if rest:
        sizes += (rest | STORED).to_bytes(4, "little")
    if start < _SMALL and size < _SMALL:
        return _FILE.pack(BASIC_FILE, mode, 0, 0, time, number, start, NONE, 0, size) + sizes
    return _LARGE_FILE.pack(EXTENDED_FILE, mode, 0, 0, time, number, start, size, 0, 1, NONE, 0, NONE) + sizes


def _write_listing(names: Sequence[tuple[bytes, int, int, int]], listings: _Stream) -> list[bytes]:
    """Write a folder's names, sorted; return its index: the first name of each metadata block but the first.

    The names are cut into runs, each with one header: all inodes of a run are in one metadata block, their numbers
    differ from the header's by 16 bits, and a run begins anew in each metadata block of the listing.
    """
    begin = at = listings.length
    indexes: list[bytes] = []
    parts: list[bytes] = []
    pack, add = _NAME.pack, parts.append
    indexed = begin // METADATA
    low = base = left = run_at = 0  # of the run: where its inodes' metadata block begins, its number, room for names
    boundary = -1  # where the listing's metadata block ends in which the run begins
    for name, kind, inode, number in names:
        if at >= boundary or not left or not low <= inode < low + METADATA or not -0x8000 <= number - base <= 0x7FFF:
            if parts:
                parts[run_at] = _run(low, base, _MOST_IN_A_RUN - left)
            low, base, left, run_at = inode - inode % METADATA, number, _MOST_IN_A_RUN, len(parts)
            block = at // METADATA
            boundary = (block + 1) * METADATA
            if block != indexed:
                indexed = block
                indexes.append(_INDEX.pack(at - begin, _block_at(at), len(name) - 1) + name)
            add(b"")
            at += _RUN.size
        left -= 1
        length = len(name)
        add(pack(inode - low, number - base, kind, length - 1))
        add(name)
        at += _NAME.size + length
    if parts:
        parts[run_at] = _run(low, base, _MOST_IN_A_RUN - left)
    if at - begin > _MOST_IN_A_FOLDER:
        raise ValueError("the names of a folder take more than 4 GiB")
    listings.append(b"".join(parts))
    return indexes


def _run(inodes: int, number: int, count: int) -> bytes:
    """Return the header of a run of names, whose inodes are in the metadata block that begins at a position."""
    return _RUN.pack(count - 1, _block_at(inodes), number)
