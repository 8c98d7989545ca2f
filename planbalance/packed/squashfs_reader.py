"""Read a SquashFS 4.0 image of any tool through a function that reads bytes at an offset.

The image is not trusted: every offset, size and count is checked, folders that hold themselves are found, and memory
is bounded, whatever the image says. The format: see `squashfs_layout`.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from planbalance.packed.decompress import decompressor
from planbalance.packed.entry import Entry, Kind, PackedError
from planbalance.packed.folder import GrowingFolder, PackedFolder, folders_of
from planbalance.packed.squashfs_columns import (
    LONGEST_NAME,
    MOST_IN_A_RUN,
    NO_NAMES,
    InodeTable,
    files_of,
    inode_table,
    names_of,
)
from planbalance.packed.squashfs_layout import MAGIC, METADATA, NO_TABLE, NONE, STORED, STORED_METADATA, SUPERBLOCK

ReadAt = Callable[[int, int], bytes]

ENTRY_LIMIT: Final = 10_000_000  # names that are listed; a larger image is refused
PATH_LIMIT: Final = 4_096  # characters of a path: Linux takes no longer one
_ALL_PATHS: Final = 1 << 29  # characters of all paths
_KEPT_METADATA: Final = 256  # of 8 KiB each
_KEPT_BLOCKS: Final = 4  # of at most 1 MiB each
_LONGEST_TARGET: Final = 65_535
_LARGEST_FILE: Final = 1 << 62
_PIECES: Final = 1_024  # block sizes that are read at a time
_HEADER: Final = struct.Struct("<HHHHII")
_RUN: Final = struct.Struct("<III")
_NAME: Final = struct.Struct("<HhHH")
_AHEAD: Final = 1 << 16  # bytes of a listing that are taken at a time
_AT_ONCE: Final = 1 << 27  # bytes of a table up to which it is read whole
_BASIC_FILE: Final = b"\x02\0"
_WHOLE_FILE: Final = struct.Struct("<2xH4xIIIIII")  # header and body of a basic file
_FRAGMENT: Final = struct.Struct("<QII")
# What follows the common header of an inode, by type.
_FOLDER: Final = struct.Struct("<IIHHI")
_LARGE_FOLDER: Final = struct.Struct("<IIIIHHI")
_FILE: Final = struct.Struct("<IIII")
_LARGE_FILE: Final = struct.Struct("<QQQIIII")
_LINK: Final = struct.Struct("<II")
_KINDS: Final[dict[int, Kind]] = {1: "folder", 2: "file", 3: "link", 8: "folder", 9: "file", 10: "link"}


class _Superblock(NamedTuple):
    inodes: int
    block_size: int
    fragments: int
    compressor: int
    root: int
    used: int
    inode_table: int
    directory_table: int
    fragment_list: int


class _Inode(NamedTuple):
    """An inode, as far as it is needed.

    Attributes:
        kind: what it is.
        mode: permissions.
        mtime: seconds.
        number: its number.
        size: of the content; of a folder, of its listing.
        start: where content begins in the image; of a folder, the metadata block of its listing.
        fragment: number of the fragment that holds the end, or `NONE`.
        offset: in that fragment; of a folder, in its first metadata block.
        place: where the list of block sizes begins, as (metadata block, offset).
    """

    kind: Kind
    mode: int
    mtime: int
    number: int
    size: int
    start: int
    fragment: int
    offset: int
    place: tuple[int, int]


class _Listing:
    """The bytes of a folder's listing, taken from its table some at a time.

    Attributes:
        left: bytes that are still to come.
    """

    def __init__(self, reader: "SquashfsReader", folder: _Inode) -> None:
        self.left = folder.size - 3
        self._unread = self.left
        self._place = reader.listing_place(folder)
        self._read = reader.take
        self._data, self._at = b"", 0

    def take(self, size: int) -> bytes:
        """Return the next bytes. Raises PackedError where the listing ends before."""
        if size > self.left:
            raise PackedError("a folder's names do not end where its size says")
        if self._at + size > len(self._data):
            more, self._place = self._read(self._place, min(self._unread, _AHEAD))
            self._unread -= len(more)
            self._data, self._at = self._data[self._at :] + more, 0
        self.left -= size
        self._at += size
        return self._data[self._at - size : self._at]

    def name(self) -> tuple[int, bytes]:
        """Return the next name of a run, behind the offset of its inode. Raises PackedError as `take`."""
        at = self._at
        end = at + _NAME.size
        if end <= len(self._data):
            offset, _, _, length = _NAME.unpack_from(self._data, at)
            end += length + 1
            if end <= len(self._data) and end - at <= self.left:
                self._at = end
                self.left -= end - at
                return offset, self._data[at + _NAME.size : end]
        offset, _, _, length = _NAME.unpack(self.take(_NAME.size))  # it goes on in what is not read yet
        return offset, self.take(length + 1)


class SquashfsReader:
    """A SquashFS image. Every method raises PackedError where the image is damaged, hostile or not supported.

    Several threads may read.

    Args:
        read_at: returns `size` bytes at an offset, fewer where the file ends before.
        size: bytes of the file.
    """

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at = read_at
        self._super = _superblock(read_at(0, SUPERBLOCK.size), size)
        self._decompress = decompressor(self._super.compressor)
        self._metadata: OrderedDict[int, tuple[bytes, int]] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._last_fragment = (-1, 0, 0)  # its number, where it begins, its size as it is stored

    # ---- listing

    def entries(self) -> Iterator[Entry]:
        """Yield everything in the image but the root folder: folders before what they hold, names sorted."""
        root = self._inode(self._super.root)
        if root.kind != "folder":
            raise PackedError("its root is not a folder")
        seen = {self._super.root}
        count = length = 0
        most = self._most_names
        stack = [("", self._names(root))]
        while stack:
            lead, names = stack[-1]
            found = next(names, None)
            if found is None:
                stack.pop()
                continue
            count += 1
            name, at = found
            inode = self._inode(at)
            path = lead + name
            length += len(path)
            if count > most or length > _ALL_PATHS:
                raise PackedError(f"it lists more than {count - 1:,} names, which so small a file cannot hold")
            if len(path) > PATH_LIMIT:
                raise PackedError(f"it holds a path of more than {PATH_LIMIT:,} characters")
            yield self._entry(path, at, inode)
            if inode.kind == "folder":
                if at in seen:
                    raise PackedError(f"the folder {path!r} is reached twice")
                seen.add(at)
                stack.append((f"{path}/", self._names(inode)))

    def folders(self) -> dict[str, PackedFolder]:
        """Return everything by folder, each folder behind the one that holds it; `""` is the root."""
        try:
            found = self._folders_at_once()
        except PackedError:
            found = None  # what is wrong is found again, and said, by reading one name at a time
        return folders_of(self.entries()) if found is None else found

    def _folders_at_once(self) -> dict[str, PackedFolder] | None:
        """Return the same, read a column at a time; None where anything is unusual. Raises PackedError."""
        root = self._inode(self._super.root)
        table = inode_table(self._inode_blocks(), _AT_ONCE)
        if root.kind != "folder" or table is None:
            return None
        folders: dict[str, PackedFolder] = {}
        seen = {self._super.root}
        count = length = 0
        waiting = [("", root)]
        while waiting:
            path, inode = waiting.pop()
            folder = self._folder_at_once(inode, table)
            if folder is None:
                return None
            lead = f"{path}/" if path else ""
            count += len(folder.names)
            length += sum(map(len, folder.names)) + len(lead) * len(folder.names)
            longest = len(lead) + max(map(len, folder.names), default=0)
            if count > self._most_names or length > _ALL_PATHS or longest > PATH_LIMIT:
                return None
            folders[path] = folder
            for number, kind in reversed(folder.kinds.items()):
                at = folder.ats[number]
                if kind == "folder":
                    if at in seen:
                        return None
                    seen.add(at)
                    waiting.append((lead + folder.names[number], self._inode(at)))
        return folders

    def _folder_at_once(self, inode: _Inode, table: InodeTable) -> PackedFolder | None:
        if inode.size > _AT_ONCE:
            return None
        listing, _ = self.take(self.listing_place(inode), inode.size - 3) if inode.size > 3 else (b"", None)
        names = names_of(listing, table.begins)
        if names is None:
            return None
        files = files_of(names, table, self._super.block_size, self._stored_fragment)
        if files is not None:
            return files
        folder = GrowingFolder()
        for name, at in zip(names.names, names.ats, strict=True):
            folder.add(name, self._entry(name, at, self._inode(at)))
        return folder

    def _inode_blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the metadata blocks of the inode table, with the place of each in it."""
        begin = at = self._super.inode_table
        while at < self._super.directory_table:
            place = at - begin
            data, at = self._metadata_block(at)
            yield place, data

    def _stored_fragment(self, number: int) -> tuple[int, int]:
        """Return where a fragment block begins, and how many bytes of the image are it as they are; -1 if none are."""
        try:
            at, stored = self._fragment(number)
        except PackedError:
            return 0, -1  # said when the file is read
        size = stored & ~STORED
        return at, size if stored & STORED and at + size <= self._super.used else -1

    @property
    def _most_names(self) -> int:
        return min(ENTRY_LIMIT, self._super.used)  # however it is compressed, a name takes a byte

    def _entry(self, path: str, at: int, inode: _Inode) -> Entry:
        size = inode.size if inode.kind == "file" else 0
        target = self._target(inode) if inode.kind == "link" else ""
        return Entry(path, inode.kind, size, inode.mtime, inode.mode, at, target, self._run_of(inode))

    def _run_of(self, inode: _Inode) -> int:
        """Return where the content of a file begins that has one stored block, as most images have; else -1."""
        if inode.kind != "file" or inode.fragment != NONE or not 0 < inode.size <= self._super.block_size:
            return -1
        data, _ = self._metadata_block(inode.place[0])
        word = data[inode.place[1] : inode.place[1] + 4]
        stored = len(word) == 4 and int.from_bytes(word, "little") == inode.size | STORED
        return inode.start if stored else -1

    def _names(self, folder: _Inode) -> Iterator[tuple[str, int]]:
        """Yield the names of a folder, with the place of each one's inode."""
        listing = _Listing(self, folder)
        last = b""
        while listing.left > 0:
            count, start, _ = _RUN.unpack(listing.take(_RUN.size))
            if count >= MOST_IN_A_RUN:
                raise PackedError(f"a folder has a run of more than {MOST_IN_A_RUN} names")
            for _ in range(count + 1):
                offset, name = listing.name()
                if len(name) > LONGEST_NAME:
                    raise PackedError(f"a name has more than {LONGEST_NAME} bytes")
                if name in NO_NAMES or b"/" in name or b"\0" in name:
                    raise PackedError(f"a folder holds the name {name!r}")
                if name <= last:
                    raise PackedError("the names of a folder are not sorted, or one is there twice")
                last = name
                yield name.decode("utf-8", "surrogateescape"), start << 16 | offset

    # ---- inodes

    def _inode(self, at: int) -> _Inode:
        place = (self._super.inode_table + (at >> 16), at & 0xFFFF)
        plain = self._plain_file(*place)
        if plain is not None:
            return plain
        head, place = self._take_inode(place, _HEADER.size)
        type_, mode, _, _, mtime, number = _HEADER.unpack(head)
        kind = _KINDS.get(type_, "other")
        if type_ == 0 or type_ > 14:
            raise PackedError(f"an inode has the type {type_}, which SquashFS 4.0 does not have")
        size = start = offset = 0
        fragment = NONE
        if type_ == 1:
            body, place = self._take_inode(place, _FOLDER.size)
            start, _, size, offset, _ = _FOLDER.unpack(body)
        elif type_ == 8:
            body, place = self._take_inode(place, _LARGE_FOLDER.size)
            _, size, start, _, _, offset, _ = _LARGE_FOLDER.unpack(body)
        elif type_ == 2:
            body, place = self._take_inode(place, _FILE.size)
            start, fragment, offset, size = _FILE.unpack(body)
        elif type_ == 9:
            body, place = self._take_inode(place, _LARGE_FILE.size)
            start, size, _, _, fragment, offset, _ = _LARGE_FILE.unpack(body)
        elif kind == "link":
            body, place = self._take_inode(place, _LINK.size)
            _, size = _LINK.unpack(body)
            if size > _LONGEST_TARGET:
                raise PackedError("the target of a link is too long")
        if size > _LARGEST_FILE:
            raise PackedError(f"a file has {size:,} bytes, which cannot be")
        return _Inode(kind, mode & 0o7777, mtime, number, size, start, fragment, offset, place)

    def _plain_file(self, at: int, offset: int) -> _Inode | None:
        """Return the inode of a basic file that lies within one metadata block, as most do; else None."""
        if at >= self._super.directory_table:
            return None
        data, _ = self._metadata_block(at)
        if data[offset : offset + 2] != _BASIC_FILE or offset + _WHOLE_FILE.size > len(data):
            return None
        mode, mtime, number, start, fragment, within, size = _WHOLE_FILE.unpack_from(data, offset)
        behind = (at, offset + _WHOLE_FILE.size)
        return _Inode("file", mode & 0o7777, mtime, number, size, start, fragment, within, behind)

    def _target(self, inode: _Inode) -> str:
        target, _ = self._take_inode(inode.place, inode.size)
        return target.decode("utf-8", "surrogateescape")

    def _take_inode(self, place: tuple[int, int], size: int) -> tuple[bytes, tuple[int, int]]:
        if not self._super.inode_table <= place[0] < self._super.directory_table:
            raise PackedError("an inode lies outside of the inode table")
        return self.take(place, size)

    # ---- content

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield a file's content, in pieces of at most 1 MiB; as many bytes as `entry.size` says, no more."""
        inode = self._inode(entry.at)
        if inode.kind != "file" or inode.size != entry.size:
            raise PackedError(f"{entry.path!r} is not the file that was listed")
        block_size = self._super.block_size
        whole, rest = divmod(inode.size, block_size)
        in_fragment = rest if inode.fragment != NONE else 0
        count = whole + (1 if rest and not in_fragment else 0)
        at, left = inode.start, inode.size - in_fragment
        for stored in self._block_sizes(inode.place, count):
            wanted = min(block_size, left)
            yield self._data(at, stored, wanted)
            at += stored & ~STORED
            left -= wanted
        if in_fragment:
            yield self._in_fragment(inode, in_fragment)

    def runs(self, entry: Entry) -> tuple[int, int] | None:
        """Return where the content of a file is in the image, as (offset, size), if it is stored there in one run."""
        inode = self._inode(entry.at)
        block_size = self._super.block_size
        if inode.fragment != NONE:
            at, stored = self._fragment(inode.fragment)
            whole = inode.size < block_size and stored & STORED and inode.offset + inode.size <= stored & ~STORED
            return (at + inode.offset, inode.size) if whole else None
        count = -(-inode.size // block_size)
        left = inode.size
        for stored in self._block_sizes(inode.place, count):
            if stored != min(block_size, left) | STORED:
                return None
            left -= min(block_size, left)
        return inode.start, inode.size

    def _block_sizes(self, place: tuple[int, int], count: int) -> Iterator[int]:
        while count:
            number = min(count, _PIECES)
            data, place = self._take_inode(place, 4 * number)
            yield from struct.unpack(f"<{number}I", data)
            count -= number

    def _data(self, at: int, stored: int, wanted: int) -> bytes:
        """Return one data block, filled with zeros up to `wanted` bytes."""
        size = stored & ~STORED
        if stored == 0:
            return bytes(wanted)  # a hole
        data = self._block(at, stored)
        if len(data) > wanted or size > self._super.block_size:
            raise PackedError("a data block is larger than its file")
        return data + bytes(wanted - len(data))

    def _in_fragment(self, inode: _Inode, size: int) -> bytes:
        at, stored = self._fragment(inode.fragment)
        data = self._block(at, stored)[inode.offset : inode.offset + size]
        if len(data) != size:
            raise PackedError("a fragment is shorter than the file that lies in it")
        return data

    def _fragment(self, number: int) -> tuple[int, int]:
        """Return where a fragment block begins, and its size as it is stored."""
        if number >= self._super.fragments:
            raise PackedError("a file lies in a fragment that is not there")
        last = self._last_fragment
        if last[0] == number:
            return last[1], last[2]
        position = number * _FRAGMENT.size
        where = self._read(self._super.fragment_list + position // METADATA * 8, 8)
        row, _ = self.take((int.from_bytes(where, "little"), position % METADATA), _FRAGMENT.size)
        at, stored, _ = _FRAGMENT.unpack(row)
        self._last_fragment = number, at, stored
        return at, stored

    def _block(self, at: int, stored: int) -> bytes:
        """Return a data or fragment block, decompressed; the last few are kept."""
        key = (at, stored)
        data = self._blocks.get(key)
        if data is None:
            size = stored & ~STORED
            if size > self._super.block_size:
                raise PackedError("a block is larger than the image's blocks")
            data = self._read(at, size)
            if not stored & STORED:
                data = self._decompress(data, self._super.block_size)
            self._blocks[key] = data
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        else:
            with suppress(KeyError):  # another thread has just dropped it
                self._blocks.move_to_end(key)
        return data

    # ---- metadata

    def listing_place(self, folder: _Inode) -> tuple[int, int]:
        """Return where the listing of a folder begins."""
        return self._super.directory_table + folder.start, folder.offset

    def take(self, place: tuple[int, int], size: int) -> tuple[bytes, tuple[int, int]]:
        """Return bytes of a table and the place behind them, which may be in a later metadata block."""
        at, offset = place
        data, following = self._metadata_block(at)
        if offset + size <= len(data):
            return data[offset : offset + size], (at, offset + size)
        if offset > len(data):
            raise PackedError("a place in a table lies behind its block")
        parts = [data[offset:]]
        left = size - len(parts[0])
        while left:
            at = following
            data, following = self._metadata_block(at)
            if not data:
                raise PackedError("a metadata block is empty")
            parts.append(data[:left])
            offset = len(parts[-1])
            left -= offset
        return b"".join(parts), (at, offset)

    def _metadata_block(self, at: int) -> tuple[bytes, int]:
        found = self._metadata.get(at)
        if found is not None:
            return found
        head = int.from_bytes(self._read(at, 2), "little")
        size = head & ~STORED_METADATA
        if size > METADATA:
            raise PackedError("a metadata block has more than 8 KiB")
        data = self._read(at + 2, size)
        if not head & STORED_METADATA:
            data = self._decompress(data, METADATA)
        found = self._metadata[at] = (data, at + 2 + size)
        if len(self._metadata) > _KEPT_METADATA:
            self._metadata.popitem(last=False)
        return found

    def _read(self, at: int, size: int) -> bytes:
        if at + size > self._super.used:
            raise PackedError("it names bytes that lie behind its end")
        data = self._read_at(at, size)
        if len(data) != size:
            raise PackedError("the file is cut off")
        return data


def _superblock(data: bytes, size: int) -> _Superblock:
    if len(data) < SUPERBLOCK.size:
        raise PackedError("the file is too short for a SquashFS image")
    (magic, inodes, _, block_size, fragments, compressor, block_log, _, _, major, minor, root, used, _, _, inode_table,
     directory_table, fragment_list, _) = SUPERBLOCK.unpack(data)  # fmt: skip
    if magic != MAGIC:
        raise PackedError("it is not a SquashFS image")
    if (major, minor) != (4, 0):
        raise PackedError(f"it is SquashFS {major}.{minor}; only 4.0 is read")
    if not (12 <= block_log <= 20 and block_size == 1 << block_log):
        raise PackedError("its block size is not one that SquashFS 4.0 has")
    if used > size:
        raise PackedError(f"the file has {size:,} bytes and should have {used:,}: it is cut off")
    if not SUPERBLOCK.size <= inode_table < directory_table <= used:
        raise PackedError("its tables lie outside of it")
    if fragments and not (fragment_list != NO_TABLE and SUPERBLOCK.size <= fragment_list < used):
        raise PackedError("its fragment table lies outside of it")
    return _Superblock(
        inodes, block_size, fragments, compressor, root, used, inode_table, directory_table, fragment_list
    )
