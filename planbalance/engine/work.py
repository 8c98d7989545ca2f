"""One batch: a plain loop over operations that checks each source file and puts image and label in place.

A file that fails is a `Fault` in the result, not an exception: the rest of the batch goes on. Every system call is
relative to an open folder, and no file is asked for its facts twice.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import stat_result
from typing import NamedTuple, TypeVar

from planbalance import fs
from planbalance.engine import check, words
from planbalance.engine.check import StaleError
from planbalance.engine.folders import Folders, SharedFolders, Targets
from planbalance.engine.job import Job
from planbalance.engine.schedule import Range
from planbalance.engine.switches import Switches
from planbalance.model import Mode, Operation


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
        copied: bytes of content written; where nothing is placed, those that would be.
        seconds: what the worker took; reading the plan is not in it.
        busy: how much of that it was not waiting, in seconds of its processor.
        faults: what was not placed.
    """

    done: list[Range] = field(default_factory=list)
    sums: bytearray = field(default_factory=bytearray)
    count: int = 0
    copied: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    faults: list[Fault] = field(default_factory=list)


Placed = TypeVar("Placed")
# (operation, source folder, source name, target folder, target name) -> the image's sum, where sums are taken
_PlaceImage = Callable[[Operation, int, str, int, str], bytes | None]
# (operation, source folder, source name, target folder, target name)
_PlaceLabel = Callable[[Operation, int, str, int, str], None]
# (operation, source, target, facts of the source) -> the image's sum, where sums are taken
_Fill = Callable[[Operation, int, int, stat_result], bytes | None]


class Placer:
    """Places batches: one worker's, which is one thread of one process.

    Args:
        job: what to build.
        way: how images are placed, after a fallback.
        folders: what the workers of its process have open; without a staging folder it checks only.
        switches: how the run reaches its workers.
        redo: names may stand there already, from a run that was cut off, and are made again.
        copier: copies bytes by the way that other workers of this process have learnt.
    """

    def __init__(
        self, job: Job, way: Mode, folders: SharedFolders, switches: Switches, *, redo: bool, copier: fs.Copier
    ) -> None:
        header = job.plan.header
        self._plan = job.plan
        self._folders = Folders(folders)
        self._places = folders.tree is not None
        self._switches = switches
        self._redo = redo
        self._mapped = job.mapped
        self._copier = copier
        self._prefixes = [source.prefix for source in header.sources]
        self._absent = check.AbsentLabels(header.sources)
        self._roots = [root.rstrip("/") + "/" for root in job.roots]
        self._hashed = way == "copy" and job.options.checksum == "sha256"
        self._shared = job.options.shard is not None  # another process may place the very same names, right now
        self._temporary = fs.temporary_names()
        images: dict[Mode, _PlaceImage] = {
            "copy": self._copy_image,
            "hardlink": self._link_image,
            "symlink": self._symlink_image,
            "reflink": self._clone_image,
            "list": self._symlink_image,  # is only looked at
        }
        same: dict[Mode, _PlaceLabel] = {
            "copy": self._copy_label,
            "hardlink": self._link_label,
            "symlink": self._symlink_label,
            "reflink": self._clone_label,
            "list": self._symlink_label,
        }
        self._place_image = images[way]
        self._copies_images = way == "copy"
        self._links_images = way in ("hardlink", "symlink")
        self._links_labels = self._links_images and job.options.labels == "same"
        self._copies_labels = way == "copy" or (way != "list" and job.options.labels == "copy")
        self._place_label = same[way] if job.options.labels == "same" else self._copy_label

    def place(self, batch: Sequence[Range]) -> Result:
        """Place a batch's images and labels. Raises PlanError where the plan file changed under the run."""
        pieces = [(part, self._plan.read_block(part.block)[part.start : part.stop]) for part in batch]
        result = Result()
        began, busy = time.monotonic(), time.thread_time()
        for part, operations in pieces:
            if not self._places:  # what would be copied is told
                result.copied += sum(map(self._content, operations))
                self._look_at(operations, result)
            elif self._switches.only_check:
                self._look_at(operations, result)
            else:
                self._fill_in(part, operations, result)
        result.seconds = time.monotonic() - began
        result.busy = time.thread_time() - busy
        return result

    def close(self) -> None:
        """Close what is open."""
        self._folders.close()

    def _fill_in(self, part: Range, operations: Sequence[Operation], result: Result) -> None:
        try:
            targets = self._folders.targets(self._plan.header.blocks[part.block].folder)
        except OSError as error:
            result.count += len(operations)
            for operation in operations:
                self._report(result, operation, operation.image, error)
            return
        result.done += self._each(part, operations, targets, result)

    def _each(self, part: Range, operations: Sequence[Operation], targets: Targets, result: Result) -> Iterator[Range]:
        """Place slice after slice; yield the runs that are in place."""
        block, start, stop = part
        good = start
        for position, operation in enumerate(operations, start):
            if self._switches.halt:
                stop = position
                break
            result.count += 1
            at = operation.image
            try:
                summed = self._image(operation, targets.images)
                at = operation.label or at
                self._label(operation, targets.labels)
            except (StaleError, OSError) as error:
                self._report(result, operation, at, error)
                if good < position:
                    yield Range(block, good, position)
                good = position + 1
            else:
                result.copied += self._content(operation)
                if summed is not None:
                    result.sums += summed
        if good < stop:
            yield Range(block, good, stop)

    def _content(self, operation: Operation) -> int:
        """Return the bytes that are copied of a slice."""
        label = operation.label_size if self._copies_labels else 0
        return label + (operation.image_size if self._copies_images else 0)

    def _report(self, result: Result, operation: Operation, path: str, error: Exception) -> None:
        if isinstance(error, OSError):
            reason, number = words.reason(error), error.errno
        else:
            reason, number = str(error), None
        result.faults.append(Fault(number is None, self._roots[operation.input] + path, reason, number))

    # ---- one slice

    def _image(self, operation: Operation, target_fd: int) -> bytes | None:
        path = self._roots[operation.input] + operation.image
        cut = path.rfind("/")
        name = path[cut + 1 :]
        source_fd = self._folders.source(path[:cut])
        target = self._prefixes[operation.input] + name  # the folder is the block's: see destination.Destinations.of

        def place(as_name: str) -> bytes | None:
            return self._place_image(operation, source_fd, name, target_fd, as_name)

        if self._shared:
            return self._beside(place, target, target_fd, at_once=self._links_images)
        try:
            return place(target)
        except FileExistsError:
            if not self._redo:
                raise
        fs.unlink(target, target_fd)
        return place(target)

    def _label(self, operation: Operation, target_fd: int) -> None:
        image = operation.image
        stem = image[image.rfind("/") + 1 :]
        dot = stem.rfind(".")
        target = f"{self._prefixes[operation.input]}{stem[:dot] if dot >= 0 else stem}.txt"  # see destination.label_of

        def make(as_name: str) -> None:
            self._make_label(operation, target_fd, as_name)

        if self._shared:
            at_once = operation.label is None or not operation.label_size or self._links_labels
            self._beside(make, target, target_fd, at_once=at_once)
            return
        try:
            make(target)
        except FileExistsError:
            if not self._redo:
                raise
            fs.unlink(target, target_fd)
            make(target)

    def _beside(self, place: Callable[[str], Placed], target: str, target_fd: int, *, at_once: bool) -> Placed:
        """Place a file so that its name holds the whole of it or nothing, over what a twin of this shard has placed.

        `at_once`: the file system makes it in one call, so the name may be taken directly where it is free.
        """
        if at_once:
            with suppress(FileExistsError):
                return place(target)
        temporary = next(self._temporary)
        try:
            placed = place(temporary)
            fs.rename_within(temporary, target, target_fd)
        except BaseException:
            with suppress(OSError):
                fs.unlink(temporary, target_fd)
            raise
        if at_once:  # rename(2) does nothing between two hard links to one file
            with suppress(FileNotFoundError):
                fs.unlink(temporary, target_fd)
        return placed

    def _make_label(self, operation: Operation, target_fd: int, target: str) -> None:
        if operation.label is None:
            self._check_absent(operation)
            fs.empty_new(target, target_fd)
            return
        path = self._roots[operation.input] + operation.label
        cut = path.rfind("/")
        self._place_label(operation, self._folders.source(path[:cut]), path[cut + 1 :], target_fd, target)

    # ---- images

    def _symlink_image(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._check_image(operation, source_fd, name)
        fs.symlink(self._roots[operation.input] + operation.image, target, target_fd)

    def _link_image(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._check_image(operation, source_fd, name)
        fs.hard_link(name, source_fd, target, target_fd)

    def _check_image(self, operation: Operation, source_fd: int, name: str) -> None:
        if check.needs_content(operation, _facts(name, source_fd), mapped=self._mapped):
            check.image_content(operation, fs.hash_source(name, source_fd))

    def _copy_image(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> bytes | None:
        return self._from_open(operation, (source_fd, name), (target_fd, target), self._copy_open)

    def _clone_image(
        self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str
    ) -> bytes | None:
        return self._from_open(operation, (source_fd, name), (target_fd, target), self._clone_open)

    def _from_open(
        self, operation: Operation, source_at: tuple[int, str], target_at: tuple[int, str], fill: _Fill
    ) -> bytes | None:
        source = _open(source_at[1], source_at[0])
        try:
            now = fs.open_facts(source)
            check.needs_content(operation, now, mapped=self._mapped)
            target = fs.open_new(target_at[1], target_at[0])
            try:
                summed = fill(operation, source, target, now)
                fs.set_mtime(target, now.st_mtime_ns)
            except BaseException:
                fs.close(target)
                raise
            fs.close_written(target)
        finally:
            fs.close(source)
        return summed

    def _copy_open(self, operation: Operation, source: int, target: int, now: stat_result) -> bytes | None:
        summed, holes = None, fs.has_holes(source, now)
        if self._hashed or operation.image_sha256:
            count, summed = fs.copy_hashed(source, target, operation.image_size, holes=holes)
        else:
            count = self._copier.copy(source, target, operation.image_size, holes=holes)
        if count != operation.image_size:
            raise StaleError("changed its size while it was copied")
        if summed is not None and operation.image_sha256:
            check.image_content(operation, summed.hex())
        return summed if self._hashed else None

    def _clone_open(self, operation: Operation, source: int, target: int, now: stat_result) -> None:
        fs.clone(source, target)
        if check.needs_content(operation, now, mapped=self._mapped):
            check.image_content(operation, fs.hash_open(source))

    # ---- labels

    def _copy_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        if not operation.label_size:
            now = _facts(name, source_fd)
            check.label_empty(now)
            fs.empty_new(target, target_fd, now.st_mtime_ns)
            return
        try:
            data, mtime_ns = fs.read_dated(name, source_fd, operation.label_size)
        except (FileNotFoundError, NotADirectoryError):
            raise StaleError("is gone") from None
        check.label_content(operation, data)
        fs.write_new(target, target_fd, data, mtime_ns)

    def _link_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._read_label(operation, source_fd, name)
        fs.hard_link(name, source_fd, target, target_fd)

    def _symlink_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._read_label(operation, source_fd, name)
        fs.symlink(f"{self._roots[operation.input]}{operation.label}", target, target_fd)

    def _clone_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._read_label(operation, source_fd, name)
        source = _open(name, source_fd)
        try:
            with fs.new_file(target, target_fd) as opened:
                fs.clone(source, opened)
        finally:
            fs.close(source)

    def _read_label(self, operation: Operation, source_fd: int, name: str) -> bytes:
        """Return a label's bytes, which are the planned ones. Raises StaleError."""
        try:
            if not operation.label_size:
                check.label_empty(fs.facts(name, source_fd))
                return b""
            data = fs.read_source(name, source_fd, operation.label_size)
        except (FileNotFoundError, NotADirectoryError):
            raise StaleError("is gone") from None
        check.label_content(operation, data)
        return data

    def _check_absent(self, operation: Operation) -> None:
        place = self._absent.of(operation)
        if place is None:
            return
        folder, name = place
        try:
            fs.facts(name, self._folders.source((self._roots[operation.input] + folder).rstrip("/")))
        except (FileNotFoundError, NotADirectoryError, StaleError):
            return  # no folder, no label
        raise StaleError(f"has a label now ({folder}/{name}), none was planned")

    # ---- looking only

    def _look_at(self, operations: Sequence[Operation], result: Result) -> None:
        for operation in operations:
            if self._switches.halt:
                return
            result.count += 1
            at = operation.image
            try:
                folder, _, name = (self._roots[operation.input] + at).rpartition("/")
                self._check_image(operation, self._folders.source(folder), name)
                at = operation.label or at
                if operation.label is None:
                    self._check_absent(operation)
                else:
                    folder, _, name = (self._roots[operation.input] + at).rpartition("/")
                    self._read_label(operation, self._folders.source(folder), name)
            except (StaleError, OSError) as error:
                self._report(result, operation, at, error)


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
