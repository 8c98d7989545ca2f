"""A dataset in one file, an image or a tar, read where it lies: nothing is mounted or unpacked.

A path that leads into an open one, such as `/data/balanced.sqfs/labels/train/x.txt`, names a file in it. So code that
reads datasets by path reads both kinds: it asks `inside` first.
"""

import os
import stat
import weakref
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple

from planbalance.executor.threads import without_collecting
from planbalance.packed.entry import Entry, PackedError
from planbalance.packed.folder import PackedFolder
from planbalance.packed.reader import PackedReader, open_packed, read_file

_MAGIC_AT: Final = 257  # of a tar: `ustar` (POSIX 1003.1, pax)
_MOST_EXPANDED: Final = 1_100  # deflate makes of a byte at most 1,032 (RFC 1951)
_FREE: Final = 1 << 30
_MOST_OPEN: Final = 64
_TOGETHER: Final = 1 << 18  # bytes of files that are read by one call
_NEAR: Final = 2_048  # bytes between two files that are read with them, such as the header of a tar
_SUFFIXES: Final = (".sqfs", ".squashfs", ".sfs", ".sif", ".tar")


class PackedDataset:
    """An open image or tar. Its entries are read once; every method raises PackedError or OSError.

    Attributes:
        path: absolute.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        weakref.finalize(self, os.close, fd)
        self._fd = fd
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise PackedError("it is not a regular file")
        self._size = facts.st_size
        self._reader: PackedReader = open_packed(self.read_at, facts.st_size)
        with without_collecting():
            self._folders = self._reader.folders()
        content = sum(sum(folder.sizes) for folder in self._folders.values())
        if content > _MOST_EXPANDED * facts.st_size + _FREE:
            raise PackedError(f"it says that it holds {content:,} bytes, which so small a file cannot")

    def read_at(self, at: int, size: int) -> bytes:
        """Return bytes of the file at an offset, fewer where it ends before."""
        if at > self._size:
            return b""  # an image may name a place that no system takes
        data = os.pread(self._fd, size, at)
        while 0 < len(data) < size and (more := os.pread(self._fd, size - len(data), at + len(data))):
            data += more
        return data

    def entry(self, path: str) -> Entry | None:
        """Return what is at a path, None where there is nothing."""
        parent, _, name = path.rpartition("/")
        folder = self._folders.get(parent)
        number = None if folder is None else folder.numbers.get(name)
        return None if folder is None or number is None else folder.entry(path, number)

    def everything(self) -> Iterator[Entry]:
        """Yield all entries, folders before what they hold."""
        for path, folder in self._folders.items():
            lead = f"{path}/" if path else ""
            for number, name in enumerate(folder.names):
                yield folder.entry(lead + name, number)

    def files(self) -> Iterator[Entry]:
        """Yield everything that is no folder."""
        return (entry for entry in self.everything() if entry.kind != "folder")

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in a folder, none where it is not there."""
        found = self._folders.get(folder)
        return () if found is None else found.names

    def folder(self, path: str) -> PackedFolder | None:
        """Return a folder, None where it is not there."""
        return self._folders.get(path)

    def run(self, entry: Entry) -> tuple[int, int] | None:
        """Return where the content of a file is, as (offset, size), if it is stored in one run; else None."""
        return self._reader.runs(entry) if entry.run < 0 else (entry.run, entry.size)

    def read(self, entry: Entry, limit: int) -> bytes:
        """Return a file's content. Raises PackedError where it has more than `limit` bytes."""
        if entry.size > limit:
            return read_file(self._reader, entry, limit)  # says so
        run = self.run(entry) if entry.size else (0, 0)
        if run is None:
            return read_file(self._reader, entry, limit)
        data = self.read_at(*run)
        if len(data) != entry.size:
            raise PackedError("the file is cut off")
        return data

    def contents(self, folder: str, names: Sequence[str], sizes: Sequence[int], limit: int) -> Iterator[bytes | None]:
        """Yield the content of each file of a folder; None where there is no file of its size that can be read.

        Small files that lie side by side are read by one call. A file of more than `limit` bytes is not read.
        """
        held = self._folders.get(folder)
        if held is None:
            yield from repeat(None, len(names))
            return
        numbers, runs, most = held.files_of_size(names, sizes), held.runs, min(limit, _TOGETHER)
        following = [runs[number] for number in numbers[1:]] + [-1]
        begin, ahead = 0, b""
        for number, size, after in zip(numbers, sizes, following, strict=True):
            if number < 0:
                yield None
                continue
            start = runs[number]
            if not size or size > most or start < 0:
                yield self._content(f"{folder}/{held.names[number]}", held, number, limit) if size else b""
                continue
            at = start - begin
            if not 0 <= at <= len(ahead) - size:
                begin, at = start, 0
                ahead = self._tried(start, _TOGETHER if 0 <= after - start - size < _NEAR else size)
            data = ahead[at : at + size]
            yield data if len(data) == size else None

    def _content(self, path: str, folder: PackedFolder, number: int, limit: int) -> bytes | None:
        try:
            return self.read(folder.entry(path, number), limit)
        except (PackedError, OSError):
            return None

    def _tried(self, at: int, size: int) -> bytes:
        try:
            return self.read_at(at, size)
        except OSError:
            return b""

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield a file's content piece by piece."""
        return self._reader.chunks(entry)


_open: dict[str, PackedDataset] = {}


def open_dataset(path: str) -> PackedDataset | None:
    """Open the file at an absolute path as a packed dataset, anew where it was open; None where it is none.

    Raises:
        PackedError: it is one, and cannot be read.
    """
    _open.pop(path, None)
    if not _looks_packed(path):
        return None
    try:
        dataset = _open[path] = PackedDataset(path)
    except OSError as error:
        raise PackedError(f"it cannot be read ({error.strerror})") from None
    while len(_open) > _MOST_OPEN:
        _open.pop(next(iter(_open)))
    return dataset


def _looks_packed(path: str) -> bool:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            head = file.read(512)
    except (OSError, ValueError):
        return False
    known = head[:4] in {b"hsqs", b"sqsh"} or head[_MAGIC_AT : _MAGIC_AT + 5] == b"ustar"
    return known or path.endswith(_SUFFIXES)


def lead(folder: str, dataset: PackedDataset | None) -> None:
    """Let paths below a folder lead into an open dataset, or no longer (None)."""
    _open.pop(folder, None)
    if dataset is not None:
        _open[folder] = dataset


class Inside(NamedTuple):
    """A place in a packed dataset: `path` is relative to its root, which is `""`."""

    dataset: PackedDataset
    path: str


def inside(path: str) -> Inside | None:
    """Return the place in an open packed dataset that a path leads to; None where it leads into none."""
    for root, dataset in _open.items():
        if path.startswith(root) and (len(path) == len(root) or path[len(root)] == "/"):
            return Inside(dataset, path[len(root) + 1 :])
    return None


def file_at(path: str, limit: int) -> bytes | None:
    """Return a file of an open packed dataset by its path; None where there is none.

    Raises:
        PackedError: it cannot be read, or has more than `limit` bytes.
    """
    place = inside(path)
    entry = None if place is None else place.dataset.entry(place.path)
    if place is None or entry is None or entry.kind != "file":
        return None
    return place.dataset.read(entry, limit)


def document(root: str, path: str, limit: int) -> bytes | None:
    """Return a file of the dataset at `root`, a packed one; None where it is not there, or root is none of these.

    Raises:
        PackedError: the dataset cannot be read, or the file has more than `limit` bytes.
    """
    dataset = open_dataset(root)
    entry = None if dataset is None else dataset.entry(path)
    if dataset is None or entry is None or entry.kind != "file":
        return None
    return dataset.read(entry, limit)
