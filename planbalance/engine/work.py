"""One batch: a plain loop over operations that checks each source file and puts image and label in place.

A file that fails is a `Fault` in the result, not an exception: the rest of the batch goes on. Every system call is relative
to an open folder, and no file is asked for its facts twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from os import stat_result
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.destination import Destination, Destinations, label_of
from planbalance.engine import check, words
from planbalance.engine.check import StaleError
from planbalance.engine.job import Job
from planbalance.engine.schedule import Range, joined
from planbalance.model import Mode, Operation

# Open source folders kept at a time by one batch: few, so that many workers stay far below `ulimit -n` (1,024).
_KEPT_OPEN: Final = 8


class Piece(NamedTuple):
    """Operations of one block that a batch places.

    `redo`: their names may stand there already, from a run that was cut off, and are made again.
    """

    where: Range
    folder: str
    operations: list[Operation]
    redo: bool


class Fault(NamedTuple):
    """One file that was not placed. `stale`: because the source is not what was planned."""

    stale: bool
    path: str
    reason: str
    errno: int | None


@dataclass(slots=True)
class Result:
    """What became of a batch.

    Attributes:
        done: ranges whose images and labels are in place.
        sums: SHA-256 of their images, end to end; empty where none are taken.
        count: operations looked at.
        copied: bytes of content written.
        faults: what was not placed.
    """

    done: list[Range] = field(default_factory=list)
    sums: bytearray = field(default_factory=bytearray)
    count: int = 0
    copied: int = 0
    faults: list[Fault] = field(default_factory=list)


class Switches:
    """What the loop's thread tells running workers. Plain attributes: one writer, read between two files.

    Attributes:
        halt: stop at the next file; what is not finished is not claimed.
        only_check: the plan is stale, so nothing will be published: look at the rest, place nothing.
    """

    def __init__(self) -> None:
        self.halt = False
        self.only_check = False


class _Folders:
    """The folders that one batch has open."""

    def __init__(self, tree: fs.Tree | None) -> None:
        self._tree = tree
        self._sources: dict[str, int] = {}
        self._targets: dict[str, int] = {}

    def source(self, path: str) -> int:
        """Return a descriptor of a source folder. Raises StaleError where it is gone."""
        fd = self._sources.get(path)
        if fd is None:
            if len(self._sources) >= _KEPT_OPEN:
                fs.close(self._sources.pop(next(iter(self._sources))))
            try:
                fd = self._sources[path] = fs.open_source_folder(path)
            except (FileNotFoundError, NotADirectoryError):
                raise StaleError("is gone") from None
        return fd

    def target(self, path: str) -> int:
        """Return a descriptor of a folder below the output, made where it is missing."""
        fd = self._targets.get(path)
        if fd is None:
            assert self._tree is not None
            if len(self._targets) >= _KEPT_OPEN:
                fs.close(self._targets.pop(next(iter(self._targets))))
            fd = self._targets[path] = self._tree.folder(path, make=True)
        return fd

    def close(self) -> None:
        for fd in (*self._sources.values(), *self._targets.values()):
            fs.close(fd)


class _Spot(NamedTuple):
    """One source file and the name that it gets."""

    source_fd: int
    source: str
    target_fd: int
    target: str


_Fill = Callable[[Operation, int, int, bool], bytes | None]
_Place = Callable[[Operation, _Spot, Result], bytes | None]


class Placer:
    """Places batches; one for a run, called from many threads.

    Args:
        job: what to build.
        way: how images are placed, after a fallback.
        tree: the staging folder; None checks only.
        switches: how the loop's thread reaches running workers.
    """

    def __init__(self, job: Job, way: Mode, tree: fs.Tree | None, switches: Switches) -> None:
        header = job.plan.header
        self._job = job
        self._tree = tree
        self._switches = switches
        self._copier = fs.Copier()
        self._destinations = Destinations(header.sources, header.parameters["layout"])
        self._absent = check.AbsentLabels(header.sources)
        self._roots = [root.rstrip("/") + "/" for root in job.roots]
        self._hashed = way == "copy" and job.options.checksum == "sha256"
        self._dated = way == "copy"  # in link modes a label is made, not copied: its time would cost two calls of six
        places: dict[Mode, _Place] = {
            "copy": self._copy_image,
            "hardlink": self._link_image,
            "symlink": self._symlink_image,
            "reflink": self._clone_image,
        }
        self._place_image = places[way]
        same = job.options.labels == "same" and way != "copy"
        same_labels: dict[Mode, Callable[[Operation, _Spot], None]] = {
            "hardlink": self._link_label,
            "symlink": self._symlink_label,
            "reflink": self._clone_label,
        }
        self._place_label = same_labels[way] if same else None

    def place(self, batch: list[Piece]) -> Result:
        """Place a batch's images and labels."""
        result = Result()
        folders = _Folders(self._tree)
        try:
            for piece in batch:
                self._piece(piece, folders, result)
        finally:
            folders.close()
        return result

    def _piece(self, piece: Piece, folders: _Folders, result: Result) -> None:
        done: list[Range] = []
        for position, operation in enumerate(piece.operations, piece.where.start):
            if self._switches.halt:
                break
            result.count += 1
            if self._tree is None or self._switches.only_check:
                self._check(operation, folders, result)
                continue
            summed = self._slice(operation, piece, folders, result)
            if summed is not None:
                result.sums += summed
                done.append(Range(piece.where.block, position, position + 1))
        result.done += joined(done)

    # ---- one slice

    def _slice(self, operation: Operation, piece: Piece, folders: _Folders, result: Result) -> bytes | None:
        """Place image and label; return the image's sum (b"" where none is taken), or None after a fault."""
        path = operation.image
        try:
            destination = self._destinations.of(operation)
            summed = self._image(operation, destination, piece, folders, result)
            path = operation.label or path
            self._label(operation, label_of(destination), piece, folders, result)
        except StaleError as stale:
            self._report(result, operation, path, str(stale), None)
        except OSError as error:
            self._report(result, operation, path, words.reason(error), error.errno)
        else:
            return summed or b""
        return None

    def _report(self, result: Result, operation: Operation, path: str, reason: str, number: int | None) -> None:
        result.faults.append(Fault(number is None, self._roots[operation.input] + path, reason, number))

    def _image(
        self, operation: Operation, destination: Destination, piece: Piece, folders: _Folders, result: Result
    ) -> bytes | None:
        folder, _, name = operation.image.rpartition("/")
        spot = _Spot(
            folders.source(self._roots[operation.input] + folder),
            name,
            folders.target(destination.folder),
            destination.name,
        )
        try:
            return self._place_image(operation, spot, result)
        except FileExistsError:
            if not piece.redo:
                raise
        fs.unlink(spot.target, spot.target_fd)
        return self._place_image(operation, spot, result)

    def _label(
        self, operation: Operation, destination: Destination, piece: Piece, folders: _Folders, result: Result
    ) -> None:
        target_fd = folders.target(destination.folder)
        try:
            self._make_label(operation, target_fd, destination.name, folders, result)
        except FileExistsError:
            if not piece.redo:
                raise
            fs.unlink(destination.name, target_fd)
            self._make_label(operation, target_fd, destination.name, folders, result)

    # ---- images

    def _symlink_image(self, operation: Operation, spot: _Spot, _result: Result) -> None:
        self._check_image(operation, spot.source, spot.source_fd)
        fs.symlink(self._roots[operation.input] + operation.image, spot.target, spot.target_fd)

    def _link_image(self, operation: Operation, spot: _Spot, _result: Result) -> None:
        self._check_image(operation, spot.source, spot.source_fd)
        fs.hard_link(spot.source, spot.source_fd, spot.target, spot.target_fd)

    def _check_image(self, operation: Operation, name: str, dir_fd: int) -> None:
        if check.needs_content(operation, _facts(name, dir_fd), mapped=self._job.mapped):
            check.image_content(operation, fs.hash_source(name, dir_fd))

    def _copy_image(self, operation: Operation, spot: _Spot, result: Result) -> bytes | None:
        return self._from_open(operation, spot, result, self._copy_open)

    def _clone_image(self, operation: Operation, spot: _Spot, result: Result) -> bytes | None:
        return self._from_open(operation, spot, result, self._clone_open)

    def _from_open(self, operation: Operation, spot: _Spot, result: Result, fill: _Fill) -> bytes | None:
        source = _open(spot.source, spot.source_fd)
        try:
            now = fs.open_facts(source)
            must_match = check.needs_content(operation, now, mapped=self._job.mapped)
            with fs.new_file(spot.target, spot.target_fd) as target:
                summed: bytes | None = fill(operation, source, target, must_match)
                fs.set_mtime(target, now.st_mtime_ns)
        finally:
            fs.close(source)
        result.copied += now.st_size
        return summed

    def _copy_open(self, operation: Operation, source: int, target: int, _must_match: bool) -> bytes | None:
        summed = None
        if self._hashed or operation.image_sha256:
            count, summed = fs.copy_hashed(source, target, operation.image_size)
        else:
            count = self._copier.copy(source, target, operation.image_size)
        if count != operation.image_size:
            raise StaleError("changed its size while it was copied")
        if summed is not None and operation.image_sha256:
            check.image_content(operation, summed.hex())
        return summed if self._hashed else None

    def _clone_open(self, operation: Operation, source: int, target: int, must_match: bool) -> None:
        fs.clone(source, target)
        if must_match:
            check.image_content(operation, fs.hash_open(source))

    # ---- labels

    def _make_label(self, operation: Operation, target_fd: int, target: str, folders: _Folders, result: Result) -> None:
        if operation.label is None:
            self._check_absent(operation, folders)
            fs.empty_new(target, target_fd)
            return
        folder, _, name = operation.label.rpartition("/")
        source_fd = folders.source(self._roots[operation.input] + folder)
        if self._place_label is not None:
            self._read_label(operation, name, source_fd)
            self._place_label(operation, _Spot(source_fd, name, target_fd, target))
        elif self._dated:
            self._write_dated(operation, _Spot(source_fd, name, target_fd, target))
        elif operation.label_size:
            fs.write_new(target, target_fd, self._read_label(operation, name, source_fd))
        else:
            check.label_empty(_facts(name, source_fd))
            fs.empty_new(target, target_fd)
        result.copied += operation.label_size

    def _read_label(self, operation: Operation, name: str, dir_fd: int) -> bytes:
        """Return a label's bytes, which are the planned ones. Raises StaleError."""
        if not operation.label_size:
            check.label_empty(_facts(name, dir_fd))
            return b""
        try:
            data = fs.read_source(name, dir_fd, operation.label_size)
        except (FileNotFoundError, NotADirectoryError):
            raise StaleError("is gone") from None
        check.label_content(operation, data)
        return data

    def _write_dated(self, operation: Operation, spot: _Spot) -> None:
        if operation.label_size:
            try:
                data, mtime_ns = fs.read_dated(spot.source, spot.source_fd, operation.label_size)
            except (FileNotFoundError, NotADirectoryError):
                raise StaleError("is gone") from None
            check.label_content(operation, data)
        else:
            now = _facts(spot.source, spot.source_fd)
            check.label_empty(now)
            data, mtime_ns = b"", now.st_mtime_ns
        fs.write_new(spot.target, spot.target_fd, data, mtime_ns)

    def _link_label(self, _operation: Operation, spot: _Spot) -> None:
        fs.hard_link(spot.source, spot.source_fd, spot.target, spot.target_fd)

    def _symlink_label(self, operation: Operation, spot: _Spot) -> None:
        fs.symlink(f"{self._roots[operation.input]}{operation.label}", spot.target, spot.target_fd)

    def _clone_label(self, _operation: Operation, spot: _Spot) -> None:
        source = _open(spot.source, spot.source_fd)
        try:
            with fs.new_file(spot.target, spot.target_fd) as target:
                fs.clone(source, target)
        finally:
            fs.close(source)

    def _check_absent(self, operation: Operation, folders: _Folders) -> None:
        place = self._absent.of(operation)
        if place is None:
            return
        folder, name = place
        try:
            fs.facts(name, folders.source(self._roots[operation.input] + folder))
        except (FileNotFoundError, NotADirectoryError, StaleError):
            return  # no folder, no label
        raise StaleError(f"has a label now ({folder}/{name}), none was planned")

    # ---- looking only

    def _check(self, operation: Operation, folders: _Folders, result: Result) -> None:
        path = operation.image
        try:
            folder, _, name = path.rpartition("/")
            self._check_image(operation, name, folders.source(self._roots[operation.input] + folder))
            if operation.label is None:
                self._check_absent(operation, folders)
                return
            path = operation.label
            folder, _, name = path.rpartition("/")
            self._read_label(operation, name, folders.source(self._roots[operation.input] + folder))
        except StaleError as stale:
            self._report(result, operation, path, str(stale), None)
        except OSError as error:
            self._report(result, operation, path, words.reason(error), error.errno)


def _facts(name: str, dir_fd: int) -> stat_result:
    try:
        return fs.facts(name, dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        raise StaleError("is gone") from None


def _open(name: str, dir_fd: int) -> int:
    try:
        return fs.open_source(name, dir_fd)
    except (FileNotFoundError, NotADirectoryError):
        raise StaleError("is gone") from None
