"""Confirms in bulk that slices are as planned: the images of a block, then its labels, then its sources.

It reads one column at a time with as few calls as possible, since datasets have a hundred thousand slices. A slice that
is not exactly as planned is not judged here: it is read and judged by itself (`slice_facts.read_slices`).
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from planbalance import packed_dataset
from planbalance.audit.checks.each_slice import Proof, may_confirm
from planbalance.audit.file_facts import UNFOLLOWED, is_flat
from planbalance.audit.slice_facts import ReadOptions
from planbalance.audit.trainer_loading import NOT_OPENED, OpenedImage, is_loaded, open_image
from planbalance.destination import Destinations
from planbalance.fs import NOTHING_SHA256
from planbalance.model import Operation
from planbalance.packed_dataset import Inside

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ_WHOLE: Final = 1 << 24  # larger images are read piece by piece


class BlockPaths(NamedTuple):
    """Where the slices of a block go: one folder of images and one of labels, and a name in each for every slice."""

    operations: Sequence[Operation]
    images: str
    names: list[str]
    labels: str
    label_names: list[str]


def block_paths(operations: Sequence[Operation], destinations: Destinations) -> BlockPaths:
    """Return where the slices of a block, or of a part of one, go; a block is of one folder."""
    folders, names = destinations.columns(operations)
    label_names = [f"{name[: name.rfind('.')]}.txt" for name in names]
    return BlockPaths(operations, folders[0], names, "labels" + folders[0][len("images") :], label_names)


class BulkPath(Enum):
    """How a block is confirmed in bulk."""

    BY_SIZE = "neither images nor labels are read: kind, size and, of links, the source"
    BY_CONTENT = "images and labels of copies are read: kind, size, sums, the lines of the label, and the source"


# What a path proves of a slice that it confirms, as far as the audit reads it.
# Name a proof here only where code establishes it (`slices.SliceJudge`).
PROVEN: Final = {
    BulkPath.BY_SIZE: frozenset((Proof.IN_PLACE, Proof.SOURCE_UNCHANGED, Proof.SAME_BYTES, Proof.VALID_LABEL)),
    BulkPath.BY_CONTENT: frozenset((Proof.IN_PLACE, Proof.SOURCE_UNCHANGED, Proof.SAME_BYTES, Proof.VALID_LABEL)),
}


def bulk_path(reading: ReadOptions) -> BulkPath | None:
    """Return how blocks can be confirmed in bulk, or None where each slice must be looked at.

    That is so where only one of image and label is read, where linked images are read, where images are decoded, and
    where a check is registered that the path's proofs do not satisfy (`checks/each_slice.py`).
    """
    path = None
    if not reading.images and not reading.labels and reading.traits.places_files:
        path = BulkPath.BY_SIZE
    elif reading.traits.owns_images and reading.images and reading.fingerprinter is None:
        path = BulkPath.BY_CONTENT
    return path if path is not None and may_confirm(PROVEN[path]) else None


# ---- by size alone --------------------------------------------------------------------------------------------------


def are_in_place(places: BlockPaths, reading: ReadOptions) -> list[bool]:
    """Tell for each slice whether it is in its place with the planned sizes, and its source as planned.

    For an audit that reads neither images nor labels.
    """
    labels = _of_size(f"{reading.root}/{places.labels}", places.label_names, [each[8] for each in places.operations])
    at = f"{reading.root}/{places.images}"
    if reading.traits.owns_images:
        images = _of_size(at, places.names, [each[6] for each in places.operations])
    else:
        images = _linked(at, places, reading)
    return [image and label for image, label in zip(images, labels, strict=True)]


def _of_size(folder: str, names: Sequence[str], sizes: Sequence[int]) -> list[bool]:
    """Tell for each name whether it is a regular file of its size."""
    found = [False] * len(names)
    place = packed_dataset.inside(folder)
    if place is not None:
        packed = place.dataset.folder(place.path)
        return found if packed is None else [number >= 0 for number in packed.files_of_size(names, sizes)]
    with _open_folder(folder) as folder_fd:
        for index, (name, size) in enumerate(zip(names, sizes, strict=True)):
            try:
                facts = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
            except OSError:
                continue
            found[index] = facts.st_size == size and stat.S_ISREG(facts.st_mode)
    return found


def _linked(folder: str, places: BlockPaths, reading: ReadOptions) -> list[bool]:
    """Tell for each image whether it is the planned link, and its source is as it was."""
    found = [False] * len(places.names)
    with _open_folder(folder) as folder_fd:
        for index, (name, operation) in enumerate(zip(places.names, places.operations, strict=True)):
            source_at = f"{reading.inputs[operation.input]}/{operation.image}"
            try:
                source = os.stat(source_at)
                if reading.mode == "symlink":
                    linked = os.readlink(name, dir_fd=folder_fd) == source_at
                else:
                    linked = os.path.samestat(os.stat(name, dir_fd=folder_fd, follow_symlinks=False), source)
            except OSError:
                continue
            as_it_was = source.st_size == operation.image_size and source.st_mtime_ns == operation.image_mtime_ns
            found[index] = linked and as_it_was and stat.S_ISREG(source.st_mode)
    return found


# ---- by content -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class BlockContents:
    """What was read of the images or labels of a block, in the order of its slices.

    Attributes:
        digests: SHA-256, hexadecimal; `""` where there is no file of the planned size.
        flat: digests of files that are empty or hold one byte value only.
        data: the content of labels.
        newest: of labels that are not empty, the one that was changed last: its time (ns) and its name.
        opened: images as trainers open them; empty where no trainer loads files of these suffixes.
    """

    digests: list[str] = field(default_factory=list)
    flat: set[str] = field(default_factory=set)
    data: list[bytes] = field(default_factory=list)
    newest: tuple[int, str] | None = None
    opened: list[OpenedImage] = field(default_factory=list)


def read_images(places: BlockPaths, reading: ReadOptions) -> BlockContents:
    """Hash the images of a block.

    Where bytes are planned, the kind of the file is not looked at: a link is not opened, and no pipe or device gives
    exactly the planned bytes with the planned sum.
    """
    found = BlockContents()
    loaded = any(map(is_loaded, {name[name.rfind(".") :] for name in places.names}))
    sizes = [each[6] for each in places.operations]
    with _contents(f"{reading.root}/{places.images}", places.names, sizes) as contents:
        for data in contents:
            digest = "" if data is None else sha256(data).hexdigest()
            found.digests.append(digest)
            if data is not None and (not data or data[0] == data[-1]) and is_flat(data):
                found.flat.add(digest)
            if loaded:
                found.opened.append(open_image(data) if reading.probing and data is not None else NOT_OPENED)
    return found


def read_labels(places: BlockPaths, reading: ReadOptions) -> BlockContents:
    """Read the labels of a block."""
    found, times = BlockContents(), list[tuple[int, str]]()
    sizes = [each[8] for each in places.operations]
    with _contents(f"{reading.root}/{places.labels}", places.label_names, sizes, times) as contents:
        read = list(contents)
    found.data = [data or b"" for data in read]
    found.digests = ["" if data is None else sha256(data).hexdigest() if data else NOTHING_SHA256 for data in read]
    found.newest = max(times, default=None)
    return found


@contextmanager
def _contents(
    folder: str, names: Sequence[str], sizes: Sequence[int], times: list[tuple[int, str]] | None = None
) -> Iterator[Iterable[bytes | None]]:
    """Yield the content of each file of a folder, None where there is no file of its size that can be read.

    `times` takes the time of each file that is not empty and was read, in ns, with its name.
    """
    place = packed_dataset.inside(folder)
    if place is not None:
        yield _packed_contents(place, names, sizes, times)
        return
    with _open_folder(folder) as folder_fd:
        yield (
            _bytes_of(name, size, folder_fd, times) if size else _nothing_at(name, folder_fd)
            for name, size in zip(names, sizes, strict=True)
        )


def _packed_contents(
    place: Inside, names: Sequence[str], sizes: Sequence[int], times: list[tuple[int, str]] | None
) -> Iterable[bytes | None]:
    contents = place.dataset.contents(place.path, names, sizes, _READ_WHOLE)
    folder = place.dataset.folder(place.path)
    if times is None or folder is None:
        return contents
    read = list(contents)
    numbers = [(folder.numbers[name], name) for name, data in zip(names, read, strict=True) if data]
    times += [(folder.times[number] * 1_000_000_000, name) for number, name in numbers]
    return read


def _nothing_at(name: str, folder_fd: int) -> bytes | None:
    """Return no bytes where there is an empty file, else None."""
    try:
        facts = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except OSError:
        return None
    return b"" if not facts.st_size and stat.S_ISREG(facts.st_mode) else None


def _bytes_of(name: str, size: int, folder_fd: int, times: list[tuple[int, str]] | None = None) -> bytes | None:
    """Return a file's bytes where they are `size`, which is not large, else None; `times` takes its mtime in ns."""
    if size > _READ_WHOLE:
        return None
    try:
        descriptor = os.open(name, UNFOLLOWED, dir_fd=folder_fd)
        try:
            data = os.read(descriptor, size + 1)
            while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
                data += more
            if times is not None:
                times.append((os.fstat(descriptor).st_mtime_ns, name))
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return data if len(data) == size else None


def are_sources_unchanged(operations: Sequence[Operation], reading: ReadOptions) -> list[bool]:
    """Tell for each slice whether its image's source has the planned size, and time where times are compared."""
    found = []
    roots, times = reading.inputs, reading.times
    for operation in operations:
        try:
            source = os.stat(f"{roots[operation[3]]}/{operation[4]}")
        except OSError:
            found.append(False)
            continue
        same_time = not times or source.st_mtime_ns == operation[7]
        found.append(same_time and source.st_size == operation[6] and stat.S_ISREG(source.st_mode))
    return found


@contextmanager
def _open_folder(folder: str) -> Iterator[int]:
    """Yield the descriptor of a folder; where it cannot be opened, -1, with which every call fails."""
    try:
        folder_fd = os.open(folder, _FOLDER)
    except OSError:
        yield -1
        return
    try:
        yield folder_fd
    finally:
        os.close(folder_fd)
