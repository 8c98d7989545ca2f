"""Places a batch of a packed dataset: reads the sources of a run of slices, and writes them as one piece each.

Everything that a slice needs is at a place of the one file that the plan alone decides (`packing`), so workers need not
know of each other, and a slice that is written twice is the same.
"""

import hashlib
import mmap
from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.engine import staleness
from planbalance.engine.fd_cache import SharedFolders
from planbalance.engine.job import Job
from planbalance.engine.packing import FORMS, Begin, SlicePlaces, files_of, places_of
from planbalance.engine.permissions import Enterable, SourcePermissions
from planbalance.engine.placer import BatchResult, Placer, SharedFlags
from planbalance.engine.schedule import ANY_PERMISSIONS, Range, append_range
from planbalance.engine.spool import Spool
from planbalance.engine.staleness import GONE, GoneError, RefusedError, StaleError
from planbalance.model import Operation
from planbalance.modes import Mode
from planbalance.packed.entry import Files

_BLOCKS_KEPT: Final = 32  # whose places a process remembers: 64 KiB each, of a tar 1 MiB
# Bytes of slices that are written by one call: they stay in the processor's cache between reading and writing.
_TOGETHER: Final = 1 << 18
_ALONE: Final = 1 << 20  # an image of more bytes is copied piece by piece
_BUFFER: Final = _TOGETHER + _ALONE + (1 << 16)  # and a header
_JPEG_BEGIN: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_CUT_JPEG: Final = "does not end as a JPEG does (FF D9)"


class BlockPlaces(NamedTuple):
    """Where the images and labels of a block go, and what the format writes before them (None where it writes nothing).

    Attributes:
        slices: where the record of each image and label begins, and where segments end.
        images: names and times of the images.
        labels: names and times of the labels.
    """

    slices: SlicePlaces
    images: Files | None
    labels: Files | None


class PackedTarget:
    """The one file of a packed dataset as the workers of a process share it.

    Args:
        job: what to build.
        begins: where each block begins.
        file: the one file, open.
        spool: where rendered images lie; None where there are none.

    Attributes:
        file: its descriptor.
        enterable: who may enter the folders of the inputs.
    """

    def __init__(self, job: Job, begins: Sequence[Begin], file: int, spool: Spool | None = None) -> None:
        self.file = file
        self.spool = spool
        self.enterable = Enterable(fs.open_facts(file).st_gid)
        self._plan = job.plan
        self._kind = job.kind
        self._form = FORMS[job.options.mode]
        self._begins = begins
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
        operations, heads = self._plan.read_block(block), self._form.heads
        known = None if self.spool is None else self.spool.sizes(block)
        if heads:
            folder, columns = self._plan.header.blocks[block].folder, self._kind.columns(operations)
            images, labels = files_of(folder, columns if known is None else columns._replace(sizes=known))
        else:  # no names are needed
            sizes = known if known is not None else [each.image_size for each in operations]
            images = Files("", (), sizes, ())
            labels = Files("", (), [each.label_size for each in operations], ())
        slices = places_of(self._form, self._begins[block], images, labels)
        return BlockPlaces(slices, images if heads else None, labels if heads else None)

    def close(self) -> None:
        """Close the file."""
        fs.close(self.file)


class _Part(NamedTuple):
    """A part of a block that is being placed.

    Attributes:
        range: which slices.
        operations: these slices.
        places: where the slices of its block go.
        result: of the batch.
        done: what is in place.
    """

    range: Range
    operations: Sequence[Operation]
    places: BlockPlaces
    result: BatchResult
    done: list[Range]


class Run:
    """Slices that follow each other, read and not yet written; their images are in the packer's buffer.

    Attributes:
        first: position of the first one in its block.
        count: how many they are.
        images: bytes of their images in the buffer.
        labels: their labels.
        label_bytes: the bytes of these.
        sums: of the images, end to end.
        permissions: bits that each source has.
    """

    __slots__ = ("count", "first", "images", "label_bytes", "labels", "permissions", "sums")

    def __init__(self, first: int) -> None:
        self.first = first
        self.count = 0
        self.images = 0
        self.labels: list[bytes] = []
        self.label_bytes = 0
        self.sums = bytearray()
        self.permissions = ANY_PERMISSIONS


class Packer(Placer):
    """Places batches into the one file of a packed dataset; each worker has its own.

    Args:
        job: what to build.
        mode: the format.
        folders: what the workers of its process have open.
        flags: set by the run.
        target: the one file; None where files are only checked.
    """

    def __init__(
        self, job: Job, mode: Mode, folders: SharedFolders, flags: SharedFlags, target: PackedTarget | None
    ) -> None:
        super().__init__(job, mode, folders, flags, overwrite=True, copier=fs.Copier())
        self._form = FORMS[mode]
        self._target = target
        self._file = -1 if target is None else target.file
        self._allow_cut = job.options.allow_cut_jpegs
        enterable = Enterable(-1) if target is None else target.enterable
        self._permissions = SourcePermissions([root for root, _ in self._inputs], enterable).of
        # Memory of the kernel's, which takes room only as far as it is used: there may be many workers.
        self._buffer = memoryview(mmap.mmap(-1, _BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def _place_whole_part(self, part: Range, operations: Sequence[Operation], result: BatchResult) -> list[Range]:
        """Place a part of a block; return the ranges that went well."""
        assert self._target is not None
        placing = _Part(part, operations, self._target.places(part.block), result, [])
        places, flags = placing.places, self._flags
        run = Run(part.start)
        for position, operation in enumerate(operations, part.start):
            if flags.halt:
                break
            result.count += 1
            source, images = operation.image, run.images
            try:
                if operation.image_size > _ALONE:
                    self._write(placing, run)
                    run, images = Run(position), 0  # written: it must not be written again if the next call fails
                    self._copy_alone(run, operation, places, position)
                else:
                    self._add_image(run, operation, places, position)
                source = operation.label or source
                self._add_label(run, operation, places, position)
            except (StaleError, OSError) as error:
                self._report(result, operation, source, error)
                run.images = images
                del run.sums[32 * run.count * self._takes_sums :]
                self._write(placing, run)
                run = Run(position + 1)
                continue
            run.count += 1
            if (
                run.images + run.label_bytes >= _TOGETHER
                or operation.image_size > _ALONE
                or position + 1 in places.slices.gaps
            ):
                self._write(placing, run)
                run = Run(position + 1)
        self._write(placing, run)
        return placing.done

    # ---- writing

    def _write(self, part: _Part, run: Run) -> None:
        """Write a run of slices: their images as one piece, and their labels as another."""
        if not run.count:
            return
        block, start, _ = part.range
        end = run.first + run.count
        places = part.places.slices
        if end in places.gaps:
            run.labels.append(self._form.filler(places.gaps[end]))
        try:
            fs.write_at(self._file, self._buffer[: run.images], places.images[run.first])
            fs.write_at(self._file, b"".join(run.labels), places.labels[run.first])
        except OSError as error:
            for operation in part.operations[run.first - start : end - start]:
                self._report(part.result, operation, operation.image, error)
            return
        part.result.sums += run.sums
        part.result.permissions &= run.permissions
        append_range(part.done, Range(block, run.first, end))

    def _head(self, files: Files, position: int, size: int) -> bytes:
        return self._form.head(f"{files.folder}/{files.names[position]}", size, files.times[position])

    def _add_bytes(self, run: Run, data: bytes) -> None:
        """Put into the buffer what the format has before and behind an image."""
        self._buffer[run.images : run.images + len(data)] = data
        run.images += len(data)

    # ---- images

    def _add_image(self, run: Run, operation: Operation, places: BlockPlaces, position: int) -> None:
        """Read an image into the buffer, its content checked."""
        path = self._inputs[operation.input][0] + operation.image
        folder, _, name = path.rpartition("/")
        size, buffer = operation.image_size, self._buffer
        if places.images is not None:
            self._add_bytes(run, self._head(places.images, position, size))
        begin = run.images
        end = begin + size
        try:
            count, now = fs.read_into(name, self._folders.sources[folder], buffer[begin : end + 1])
        except GONE:
            raise GoneError from None
        if now.st_size != size or now.st_mtime_ns != operation.image_mtime_ns or not size:
            staleness.needs_content(operation, now, mapped=self._mapped)
        takes_sums = self._takes_sums
        sha256 = fs.digest(buffer[begin:end]) if takes_sums or operation.image_sha256 else None
        if count != size or operation.image_sha256:
            self._check_copy(operation, count, sha256)
        if size and buffer[begin] == _JPEG_BEGIN[0]:
            image = buffer[begin:end]
            self._refuse_cut_jpeg(bytes(image[:3]), bytes(image[-2:]))
        if takes_sums and sha256 is not None:
            run.sums += sha256
        run.images = end
        if places.images is not None:
            self._add_bytes(run, bytes(self._form.padding(size)))
        run.permissions &= self._permissions(now, operation.input, folder)

    def _copy_alone(self, run: Run, operation: Operation, places: BlockPlaces, position: int) -> None:
        """Copy a large image to its place, piece by piece; what the format has before it goes into the buffer."""
        path = self._inputs[operation.input][0] + operation.image
        folder, _, name = path.rpartition("/")
        try:
            opened = fs.open_source(name, self._folders.sources[folder])
        except GONE:
            raise GoneError from None
        size = operation.image_size
        head = b"" if places.images is None else self._head(places.images, position, size)
        at = places.slices.images[position] + len(head)
        digest = hashlib.sha256() if self._takes_sums or operation.image_sha256 else None
        try:
            now = fs.open_facts(opened)
            staleness.needs_content(operation, now, mapped=self._mapped)
            count = fs.copy_at(opened, self._file, at, size, digest)
            self._check_copy(operation, count, None if digest is None else digest.digest())
            then = fs.open_facts(opened)
            if (then.st_size, then.st_mtime_ns) != (size, now.st_mtime_ns):
                raise StaleError("was modified while it was copied")
        finally:
            fs.close(opened)
        self._refuse_cut_jpeg(fs.read_at(self._file, 3, at), fs.read_at(self._file, 2, at + size - 2))
        fs.write_at(self._file, bytes(self._form.padding(size)), at + size)
        self._add_bytes(run, head)
        if self._takes_sums and digest is not None:
            run.sums += digest.digest()
        run.permissions &= self._permissions(now, operation.input, folder)

    def _refuse_cut_jpeg(self, begin: bytes, end: bytes) -> None:
        if begin == _JPEG_BEGIN and end != _JPEG_END and not self._allow_cut:
            raise RefusedError(_CUT_JPEG)

    # ---- labels

    def _add_label(self, run: Run, operation: Operation, places: BlockPlaces, position: int) -> None:
        """Read a label into a run, its content checked."""
        data, label, size = b"", operation.label, operation.label_size
        if label is None:
            self._check_absent(operation, (-1, "", ""), (-1, ""))
        else:
            path = self._inputs[operation.input][0] + label
            folder, _, name = path.rpartition("/")
            opened = self._folders.sources[folder]
            if size:
                try:
                    data, now = fs.read_with_facts(name, opened, size)
                except GONE:
                    raise GoneError from None
                staleness.label_content(operation, data)
            else:
                found = fs.source_facts(name, opened)
                if found is None:
                    raise GoneError
                staleness.label_empty(now := found)
            run.permissions &= self._permissions(now, operation.input, folder)
        self._keep_label(run, data, places, position)

    def _keep_label(self, run: Run, data: bytes, places: BlockPlaces, position: int) -> None:
        """Keep a label's bytes in a run, with what the format has before and behind them."""
        if places.labels is not None:
            size = len(data)
            data = b"".join((self._head(places.labels, position, size), data, bytes(self._form.padding(size))))
        if data:
            run.labels.append(data)
            run.label_bytes += len(data)
