"""Places a batch of a packed dataset: reads the sources of a run of slices, and writes them as one piece each.

Everything that a slice needs is at a place of the one file that the plan alone decides (`packing`), so workers need not
know of each other, and a slice that is written twice is the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from os import stat_result
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.engine import staleness
from planbalance.engine.fd_cache import SharedFolders
from planbalance.engine.job import Job
from planbalance.engine.packing import FORMS, columns_of, files_of
from planbalance.engine.placer import BatchResult, Placer, SharedFlags
from planbalance.engine.schedule import ANY_PERMISSIONS, Range
from planbalance.engine.staleness import GONE, GoneError, RefusedError, StaleError
from planbalance.model import Operation
from planbalance.modes import Mode
from planbalance.packed.entry import Files
from planbalance.packed.squashfs_layout import offsets

_BLOCKS_KEPT: Final = 32  # whose places a process remembers: 64 KiB each, of a tar 1 MiB
_TOGETHER: Final = 1 << 20  # bytes of slices that are written by one call
_JPEG_BEGIN: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_CUT_JPEG: Final = "does not end as a JPEG does (FF D9)"


class BlockPlaces(NamedTuple):
    """Where the images and labels of a block go, and what the format writes before them (None where it writes nothing).

    Attributes:
        image_starts: where the record of each image begins.
        label_starts: where the record of each label begins.
        images: names and times of the images.
        labels: names and times of the labels.
    """

    image_starts: Sequence[int]
    label_starts: Sequence[int]
    images: Files | None
    labels: Files | None


class PackedTarget:
    """The one file of a packed dataset as the workers of a process share it.

    Args:
        job: what to build.
        bases: where each block begins.
        file: the one file, open.

    Attributes:
        file: its descriptor.
        group: the group that it belongs to.
    """

    def __init__(self, job: Job, bases: Sequence[int], file: int) -> None:
        self.file = file
        self.group = fs.open_facts(file).st_gid
        self._plan = job.plan
        self._sources = job.kind.sources
        self._form = FORMS[job.options.mode]
        self._bases = bases
        self._known: dict[int, BlockPlaces] = {}

    def places(self, block: int) -> BlockPlaces:
        """Return where the slices of a block go; workers change between blocks, so those of several are kept."""
        found = self._known.get(block)
        if found is None:
            found = self._known[block] = self._places(block)
            while len(self._known) > _BLOCKS_KEPT:
                self._known.pop(next(iter(self._known)), None)
        return found

    def _places(self, block: int) -> BlockPlaces:
        operations = self._plan.read_block(block)
        if not self._form.heads:
            starts = offsets(self._bases[block], [each.image_size for each in operations])
            end = starts[-1] + operations[-1].image_size
            return BlockPlaces(starts, offsets(end, [each.label_size for each in operations]), None, None)
        header = self._plan.header
        images, labels = files_of(header.blocks[block].folder, columns_of(self._sources, operations))
        image_starts, end = self._form.offsets(self._bases[block], images)
        return BlockPlaces(image_starts, self._form.offsets(end, labels)[0], images, labels)

    def close(self) -> None:
        """Close the file."""
        fs.close(self.file)


class _Run:
    """Slices that follow each other, read and not yet written."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.operations: list[Operation] = []
        self.images: list[bytes] = []
        self.labels: list[bytes] = []
        self.sums = bytearray()
        self.size = 0
        self.permissions = ANY_PERMISSIONS


class Packer(Placer):
    """Places batches into the one file of a packed dataset; each worker has its own.

    Args:
        job: what to build.
        mode: the format.
        folders: what the workers of its process have open; without a staging folder it checks only.
        flags: set by the run.
        target: the one file; None where files are only checked.
    """

    def __init__(
        self, job: Job, mode: Mode, folders: SharedFolders, flags: SharedFlags, target: PackedTarget | None
    ) -> None:
        super().__init__(job, mode, folders, flags, overwrite=False, copier=fs.Copier())
        self._form = FORMS[mode]
        self._target = target
        self._file = -1 if target is None else target.file
        self._group = -1 if target is None else target.group
        self._allow_cut = job.options.allow_cut_jpegs
        self._permissions_of: dict[str, int] = {}

    def _place_whole_part(self, part: Range, operations: Sequence[Operation], result: BatchResult) -> list[Range]:
        """Place a part of a block; return the ranges that went well."""
        assert self._target is not None
        places = self._target.places(part.block)
        done: list[Range] = []
        run = _Run(part.start)
        for position, operation in enumerate(operations, part.start):
            if self._flags.halt:
                break
            result.count += 1
            source = operation.image
            try:
                if operation.image_size > _TOGETHER:
                    self._write(part.block, run, places, result, done)
                    run = _Run(position)  # written: it must not be written again if the next call fails
                    run = self._copy_alone(position, operation, places)
                else:
                    self._add_image(run, operation, places, position)
                source = operation.label or source
                self._add_label(run, operation, places, position)
            except (StaleError, OSError) as error:
                self._report(result, operation, source, error)
                del run.images[len(run.operations) :], run.sums[32 * len(run.operations) * self._takes_sums :]
                self._write(part.block, run, places, result, done)
                run = _Run(position + 1)
                continue
            run.operations.append(operation)
            if run.size >= _TOGETHER:
                self._write(part.block, run, places, result, done)
                run = _Run(position + 1)
        self._write(part.block, run, places, result, done)
        return done

    # ---- writing

    def _write(self, block: int, run: _Run, places: BlockPlaces, result: BatchResult, done: list[Range]) -> None:
        """Write a run of slices: their images as one piece, and their labels as another."""
        count = len(run.operations)
        if not count:
            return
        try:
            fs.write_at(self._file, b"".join(run.images), places.image_starts[run.first])
            fs.write_at(self._file, b"".join(run.labels), places.label_starts[run.first])
        except OSError as error:
            for operation in run.operations:
                self._report(result, operation, operation.image, error)
            return
        result.sums += run.sums
        result.permissions &= run.permissions
        if done and done[-1].stop == run.first:
            done[-1] = done[-1]._replace(stop=run.first + count)
        else:
            done.append(Range(block, run.first, run.first + count))

    def _record(self, files: Files, position: int, data: bytes) -> bytes:
        """Return a file's content with what the format puts around it."""
        size = len(data)
        return b"".join((self._head(files, position, size), data, bytes(self._form.padding(size))))

    def _head(self, files: Files, position: int, size: int) -> bytes:
        return self._form.head(f"{files.folder}/{files.names[position]}", size, files.times[position])

    # ---- images

    def _add_image(self, run: _Run, operation: Operation, places: BlockPlaces, position: int) -> None:
        """Read an image into a run, its content checked."""
        source = self._image_source(operation)
        opened = _open(source)
        try:
            now = fs.open_facts(opened)
            self._refuse_other(operation, now)
            data = fs.read_open(opened, operation.image_size)
        finally:
            fs.close(opened)
        sha256 = fs.digest(data) if self._takes_sums or operation.image_sha256 else None
        self._check_copy(operation, len(data), sha256)
        self._refuse_cut_jpeg(data[:3], data[-2:])
        run.images.append(data if places.images is None else self._record(places.images, position, data))
        if self._takes_sums and sha256 is not None:
            run.sums += sha256
        run.size += len(run.images[-1])
        run.permissions &= self._permissions(now, operation, operation.image)

    def _copy_alone(self, position: int, operation: Operation, places: BlockPlaces) -> _Run:
        """Copy a large image to its place, piece by piece; return a run that begins with it, its label not yet read."""
        opened = _open(self._image_source(operation))
        size = operation.image_size
        head = b"" if places.images is None else self._head(places.images, position, size)
        at = places.image_starts[position] + len(head)
        digest = hashlib.sha256() if self._takes_sums or operation.image_sha256 else None
        try:
            now = fs.open_facts(opened)
            self._refuse_other(operation, now)
            count = fs.copy_at(opened, self._file, at, size, digest)
            self._check_copy(operation, count, None if digest is None else digest.digest())
            then = fs.open_facts(opened)
            if (then.st_size, then.st_mtime_ns) != (size, now.st_mtime_ns):
                raise StaleError("was modified while it was copied")
        finally:
            fs.close(opened)
        self._refuse_cut_jpeg(fs.read_at(self._file, 3, at), fs.read_at(self._file, 2, at + size - 2))
        fs.write_at(self._file, bytes(self._form.padding(size)), at + size)
        run = _Run(position)
        run.images.append(head)  # the content is in its place
        if self._takes_sums and digest is not None:
            run.sums += digest.digest()
        run.size = _TOGETHER  # so that it is written before the next slice, whose image does not follow this head
        run.permissions &= self._permissions(now, operation, operation.image)
        return run

    def _image_source(self, operation: Operation) -> tuple[int, str, str]:
        return self._source(operation, operation.image)

    def _source(self, operation: Operation, at: str) -> tuple[int, str, str]:
        path = self._inputs[operation.input][0] + at
        folder, _, name = path.rpartition("/")
        return self._folders.sources[folder], name, path

    def _refuse_other(self, operation: Operation, now: stat_result) -> None:
        size = operation.image_size
        if now.st_size != size or now.st_mtime_ns != operation.image_mtime_ns or not size:
            staleness.needs_content(operation, now, mapped=self._mapped)

    def _refuse_cut_jpeg(self, begin: bytes, end: bytes) -> None:
        if begin == _JPEG_BEGIN and end != _JPEG_END and not self._allow_cut:
            raise RefusedError(_CUT_JPEG)

    # ---- labels

    def _add_label(self, run: _Run, operation: Operation, places: BlockPlaces, position: int) -> None:
        """Read a label into a run, its content checked."""
        data = b""
        if operation.label is None:
            self._check_absent(operation, (-1, "", ""), (-1, ""))
        else:
            folder, name, _ = self._source(operation, operation.label)
            if operation.label_size:
                try:
                    data, now = fs.read_with_facts(name, folder, operation.label_size)
                except GONE:
                    raise GoneError from None
                staleness.label_content(operation, data)
            else:
                found = fs.source_facts(name, folder)
                if found is None:
                    raise GoneError
                staleness.label_empty(now := found)
            run.permissions &= self._permissions(now, operation, operation.label)
        run.labels.append(data if places.labels is None else self._record(places.labels, position, data))
        run.size += len(run.labels[-1])

    # ---- permissions

    def _permissions(self, now: stat_result, operation: Operation, path: str) -> int:
        """Return who may read a source: the permissions that the one file may have because of it.

        Who may not enter the source's folder, as far as it lies in the input, may not read it. Where the one file
        belongs to another group than the source, its group may read what everybody may.
        """
        allowed = now.st_mode & ANY_PERMISSIONS
        if now.st_gid != self._group:
            allowed &= ~0o070 | (allowed & 0o007) << 3
        folder = path.rpartition("/")[0]
        root = self._inputs[operation.input][0]
        known = self._permissions_of.get(root + folder)
        if known is None:
            known = self._permissions_of[root + folder] = self._of_folders(root, folder)
        return allowed & known

    def _of_folders(self, root: str, folder: str) -> int:
        allowed = ANY_PERMISSIONS
        for path in _with_outer(folder):
            now = fs.look_through(root + path)
            enter = now.st_mode & 0o111 if now is not None else 0
            bits = enter * 7
            if now is not None and now.st_gid != self._group:
                bits &= ~0o070 | (bits & 0o007) << 3
            allowed &= bits | 0o700
        return allowed


def _with_outer(folder: str) -> Iterator[str]:
    """Yield a folder and the folders that hold it, up to the root of the input."""
    yield ""
    parts = folder.split("/") if folder else []
    for depth in range(1, len(parts) + 1):
        yield "/".join(parts[:depth])


def _open(source: tuple[int, str, str]) -> int:
    folder, name, _ = source
    try:
        return fs.open_source(name, folder)
    except GONE:
        raise GoneError from None
