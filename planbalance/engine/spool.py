"""Rendered images on their way into the one file of a packed dataset.

Where an image goes in that file is known once the sizes of all images are. So a first pass appends the images to spool
files in the staging folder, one for each worker, and a second one copies them to their places. The journal of the first
pass says where each image lies. Behind each image stands its SHA-256, which is compared when the image is read.
"""

import errno
import hashlib
import os
from array import array
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import accumulate
from typing import Any, Final, NamedTuple

from planbalance import fs
from planbalance.dataset_files import OWN_FOLDER
from planbalance.engine.schedule import Range
from planbalance.fs import NOTHING_SHA256

_SUM: Final = len(NOTHING_SHA256) // 2
_DAMAGED: Final = "its rendered picture was damaged in the staging folder, and must be rendered again"
_NO_FILE: Final = 0xFFFF_FFFF
_MOST_OPEN: Final = 16  # spool files of a worker: each run of a build that was interrupted has left some


class Spooled(NamedTuple):
    """The images of a finished batch, end to end in one spool file.

    Attributes:
        name: of the file.
        at: where the first image begins.
        sizes: of the images, in bytes.
    """

    name: str
    at: int
    sizes: "array[int]"

    @property
    def end(self) -> int:
        """Where the last image and its sum end."""
        return self.at + sum(self.sizes) + _SUM * len(self.sizes)


def spooled_value(spooled: Spooled) -> dict[str, Any]:
    """Return it as JSON values, for a journal."""
    return {"name": spooled.name, "at": spooled.at, "sizes": spooled.sizes.tolist()}


def spooled_of(value: object, count: int) -> Spooled | None:
    """Return what `spooled_value` wrote of `count` images; None where it is damaged."""
    match value:
        case {"name": str(name), "at": int(at), "sizes": [*sizes]}:
            right = all(isinstance(size, int) and 0 <= size < 1 << 63 for size in sizes)
            if fs.SPOOL_NAME.match(name) and 0 <= at < 1 << 63 and right and len(sizes) == count:
                return Spooled(name, at, array("Q", sizes))
    return None


class _OwnFolder:
    """The folder of the spool files, `.planbalance` of the staging folder: opened when it is needed first.

    Args:
        tree: the staging folder.
    """

    def __init__(self, tree: fs.Tree) -> None:
        self._tree = tree
        self._fd = -1

    def fd(self) -> int:
        """Return its descriptor. Raises OSError."""
        if self._fd < 0:
            self._fd = self._tree.folder(OWN_FOLDER)
        return self._fd

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            fs.close(self._fd)
            self._fd = -1


class SpoolWriter:
    """Appends images to a spool file of its own, which it makes for the first one; each worker has one.

    Args:
        tree: the staging folder.
    """

    def __init__(self, tree: fs.Tree) -> None:
        self._own = _OwnFolder(tree)
        self._file = -1
        self._name = ""
        self._end = 0

    @cached_property
    def group(self) -> int:
        """The group that files belong to which are made there. Raises OSError."""
        return fs.open_facts(self._own.fd()).st_gid

    def append(self, image: bytes) -> Spooled:
        """Append an image and its sum; return where it lies. Raises OSError; then the next one lies there."""
        if self._file < 0:
            self._name = f"{fs.SPOOL}{os.urandom(8).hex()}"
            self._file = fs.open_packed(self._name, self._own.fd())
        at = self._end
        fs.write_at(self._file, image + hashlib.sha256(image).digest(), at)
        self._end = at + len(image) + _SUM
        return Spooled(self._name, at, array("Q", [len(image)]))

    def close(self) -> None:
        """Close what is open; what a file system could not store by now is found by its sum."""
        if self._file >= 0:
            fs.close(self._file)
            self._file = -1
        self._own.close()


class BlockSpool(NamedTuple):
    """Where the images of one block lie.

    Attributes:
        files: the number of each image's file in `Spool.names`; of an image that is in none, a number that no file has.
        offsets: where each image begins.
        sizes: of each image, in bytes; also of those that are in no spool file.
    """

    files: "array[int]"
    offsets: "array[int]"
    sizes: "array[int]"


class Spool:
    """Where all images lie, filled in as batches finish.

    Args:
        sizes: of the images of each block, as far as they are known from the plan.

    Attributes:
        names: of the spool files.
        blocks: where the images of each block lie.
    """

    def __init__(self, sizes: Iterable["array[int]"]) -> None:
        self.names: list[str] = []
        self.blocks = [_unknown(of_block) for of_block in sizes]
        self._numbers: dict[str, int] = {}

    def add(self, ranges: Iterable[Range], spooled: Spooled) -> None:
        """Add the images of a finished batch."""
        number = self._numbers.setdefault(spooled.name, len(self._numbers))
        if number == len(self.names):
            self.names.append(spooled.name)
        *offsets, _ = accumulate([size + _SUM for size in spooled.sizes], initial=spooled.at)
        done = 0
        for block, start, stop in ranges:
            count = stop - start
            of_block = self.blocks[block]
            of_block.files[start:stop] = array("I", [number]) * count
            of_block.offsets[start:stop] = array("Q", offsets[done : done + count])
            of_block.sizes[start:stop] = spooled.sizes[done : done + count]
            done += count

    def sizes(self, block: int) -> "array[int]":
        """Return the sizes of a block's images."""
        return self.blocks[block].sizes

    def digest(self) -> str:
        """Return a name for these sizes, which decide where everything goes: hexadecimal."""
        found = hashlib.sha256()
        for block in self.blocks:
            found.update(b"%d:" % len(block.sizes))
            found.update(block.sizes.tobytes())
        return found.hexdigest()[:16]


def _unknown(sizes: "array[int]") -> BlockSpool:
    count = len(sizes)
    return BlockSpool(array("I", [_NO_FILE]) * count, array("Q", bytes(8 * count)), array("Q", sizes))


class SpoolReader:
    """Reads images from spool files; each worker has one.

    Args:
        tree: the staging folder.
        spool: where the images lie.
    """

    def __init__(self, tree: fs.Tree, spool: Spool) -> None:
        self._own = _OwnFolder(tree)
        self._names = spool.names
        self._blocks = spool.blocks
        self._files: dict[int, int] = {}  # open, by number; the longest open first

    def read(self, block: int, position: int) -> tuple[bytes, bytes]:
        """Return an image and its SHA-256.

        Raises OSError, also where it was damaged; then its file is removed, so that the next run renders it again.
        """
        files, offsets, sizes = self._blocks[block]
        number, size = files[position], sizes[position]
        data = fs.read_at(self._opened(number), size + _SUM, offsets[position])
        image, sha256 = data[:size], data[size:]
        if hashlib.sha256(image).digest() != sha256:
            with suppress(FileNotFoundError):  # another worker has found it damaged too
                fs.unlink(self._names[number], self._own.fd())
            raise OSError(errno.EBADMSG, _DAMAGED)
        return image, sha256

    def _opened(self, number: int) -> int:
        file = self._files.get(number)
        if file is None:
            if len(self._files) >= _MOST_OPEN:
                fs.close(self._files.pop(next(iter(self._files))))
            file = self._files[number] = fs.open_source(self._names[number], self._own.fd())
        return file

    def close(self) -> None:
        """Close the files."""
        while self._files:
            fs.close(self._files.popitem()[1])
        self._own.close()


def is_there(spooled: Spooled | None, there: Mapping[str, int]) -> bool:
    """Return whether the images of a batch lie in one of the files that are there; it may be gone, or cut off."""
    return spooled is not None and spooled.end <= there.get(spooled.name, -1)
