"""One batch: a plain loop over operations that checks each source file and puts image and label in place.

A file that fails is a `Fault` in the result, not an exception: the rest of the batch goes on. Every system call is
relative to an open folder, and no file is asked for its facts twice.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import stat_result
from typing import NamedTuple

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


# (operation, source folder, source name, target folder, target name) -> the image's sum, where sums are taken
_Place = Callable[[Operation, int, str, int, str], bytes | None]


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
        self._shared = job.options.shard is not None  # another process may place the very same names, right now
        self._mapped = job.mapped
        self._copier = copier
        self._prefixes = [source.prefix for source in header.sources]
        self._absent = check.AbsentLabels(header.sources)
        self._roots = [root.rstrip("/") + "/" for root in job.roots]
        self._hashed = way == "copy" and job.options.checksum == "sha256"
        self._temporary = fs.temporary_names()
        images: dict[Mode, _Place] = {
            "copy": self._copy_image,
            "hardlink": self._link_image,
            "symlink": self._symlink_image,
            "reflink": self._clone_image,
            "list": self._symlink_image,  # is only looked at
        }
        same: dict[Mode, _Place] = {
            "copy": self._copy_label,
            "hardlink": self._link_label,
            "symlink": self._symlink_label,
            "reflink": self._clone_label,
            "list": self._symlink_label,
        }
        self._copies_images = way == "copy"
        self._copies_labels = way == "copy" or (way != "list" and job.options.labels == "copy")
        linked = way in ("hardlink", "symlink")  # in one call
        self._put_image = self._putting(images[way], at_once=linked)
        self._put_absent = self._putting(self._absent_label, at_once=True)
        if self._copies_labels:
            self._put_label = self._putting(self._copy_label, at_once=False)
            self._put_empty = self._putting(self._empty_label, at_once=True)
        else:
            self._put_label = self._put_empty = self._putting(same[way], at_once=linked)

    def _putting(self, place: _Place, *, at_once: bool) -> _Place:
        """Return how a file is put where others may stand; `at_once`: the file system makes it in one call."""
        if self._shared:
            return partial(self._beside, place, at_once)
        return partial(_again, place) if self._redo else place

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
        done = list(self._each(part, operations, targets, result))
        for _, start, stop in done:
            result.copied += sum(map(self._content, operations[start - part.start : stop - part.start]))
        result.done += done

    def _each(self, part: Range, operations: Sequence[Operation], targets: Targets, result: Result) -> Iterator[Range]:
        """Place slice after slice; yield the runs that are in place."""
        block, start, stop = part
        good = start
        for position, operation in enumerate(operations, start):
            if self._switches.halt:
                stop = position
                break
            at = operation.image
            try:
                summed = self._place_image(operation, targets.images)
                at = operation.label or at
                self._place_label(operation, targets.labels)
            except (StaleError, OSError) as error:
                self._report(result, operation, at, error)
                if good < position:
                    yield Range(block, good, position)
                good = position + 1
            else:
                if summed is not None:
                    result.sums += summed
        result.count += stop - start
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

    # ---- one slice: what the target is called (see destination.Destinations.of; the folder is the block's)

    def _place_image(self, operation: Operation, target_fd: int) -> bytes | None:
        source_fd, name = self._source(operation, operation.image)
        target = self._prefixes[operation.input] + name
        return self._put_image(operation, source_fd, name, target_fd, target)

    def _place_label(self, operation: Operation, target_fd: int) -> None:
        image = operation.image
        stem = image[image.rfind("/") + 1 : image.rfind(".")]
        target = f"{self._prefixes[operation.input]}{stem}.txt"
        if operation.label is None:
            self._put_absent(operation, -1, "", target_fd, target)
            return
        source_fd, name = self._source(operation, operation.label)
        put = self._put_label if operation.label_size else self._put_empty
        put(operation, source_fd, name, target_fd, target)

    def _source(self, operation: Operation, path: str) -> tuple[int, str]:
        """Return a descriptor of the folder and the name of a source path. Raises StaleError where it is gone."""
        whole = self._roots[operation.input] + path
        cut = whole.rfind("/")
        return self._folders.source(whole[:cut]), whole[cut + 1 :]

    def _beside(
        self,
        place: _Place,
        at_once: bool,  # noqa: FBT001 - bound by position
        operation: Operation,
        source_fd: int,
        name: str,
        target_fd: int,
        target: str,
    ) -> bytes | None:
        """Place a file so that its name holds the whole of it or nothing, over what a twin of this shard has placed.

        `at_once`: the file system makes it in one call, so the name is taken directly where it is free.
        """
        if at_once:
            with suppress(FileExistsError):
                return place(operation, source_fd, name, target_fd, target)
        temporary = next(self._temporary)
        try:
            placed = place(operation, source_fd, name, target_fd, temporary)
            fs.rename_within(temporary, target, target_fd)
        except BaseException:
            with suppress(OSError):
                fs.unlink(temporary, target_fd)
            raise
        if at_once:  # rename(2) does nothing between two hard links to one file
            with suppress(FileNotFoundError):
                fs.unlink(temporary, target_fd)
        return placed

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
        source = _open(name, source_fd)
        try:
            now = fs.open_facts(source)
            check.needs_content(operation, now, mapped=self._mapped)
            if operation.image_size > fs.SMALL or fs.has_holes(source, now):
                return self._copy_in_pieces(operation, source, now, target_fd, target)
            data = fs.read_open(source, operation.image_size)
        finally:
            fs.close(source)
        summed = fs.digest(data) if self._hashed or operation.image_sha256 else None
        self._check_copy(operation, len(data), summed)
        fs.write_new(target, target_fd, data, now.st_mtime_ns)
        return summed if self._hashed else None

    def _copy_in_pieces(
        self, operation: Operation, source: int, now: stat_result, target_fd: int, target: str
    ) -> bytes | None:
        summed, holes = None, fs.has_holes(source, now)
        with fs.new_file(target, target_fd) as opened:
            if self._hashed or operation.image_sha256:
                count, summed = fs.copy_hashed(source, opened, operation.image_size, holes=holes)
            else:
                count = self._copier.copy(source, opened, operation.image_size, device=now.st_dev, holes=holes)
            self._check_copy(operation, count, summed)
            fs.set_mtime(opened, now.st_mtime_ns)
        return summed if self._hashed else None

    @staticmethod
    def _check_copy(operation: Operation, count: int, summed: bytes | None) -> None:
        if count != operation.image_size:
            raise StaleError("changed its size while it was copied")
        if summed is not None and operation.image_sha256:
            check.image_content(operation, summed.hex())

    def _clone_image(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        source = _open(name, source_fd)
        try:
            now = fs.open_facts(source)
            unsure = check.needs_content(operation, now, mapped=self._mapped)
            with fs.new_file(target, target_fd) as opened:
                fs.clone(source, opened)
                if unsure:
                    check.image_content(operation, fs.hash_open(source))
                fs.set_mtime(opened, now.st_mtime_ns)
        finally:
            fs.close(source)

    # ---- labels

    @staticmethod
    def _copy_label(operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        try:
            data, mtime_ns = fs.read_dated(name, source_fd, operation.label_size)
        except (FileNotFoundError, NotADirectoryError):
            raise StaleError("is gone") from None
        check.label_content(operation, data)
        fs.write_new(target, target_fd, data, mtime_ns)

    @staticmethod
    def _empty_label(_operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        now = _facts(name, source_fd)
        check.label_empty(now)
        fs.empty_new(target, target_fd, now.st_mtime_ns)

    def _absent_label(self, operation: Operation, _source_fd: int, _name: str, target_fd: int, target: str) -> None:
        self._check_absent(operation)
        fs.empty_new(target, target_fd)

    def _link_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._check_label(operation, source_fd, name)
        fs.hard_link(name, source_fd, target, target_fd)

    def _symlink_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._check_label(operation, source_fd, name)
        fs.symlink(f"{self._roots[operation.input]}{operation.label}", target, target_fd)

    def _clone_label(self, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> None:
        self._check_label(operation, source_fd, name)
        source = _open(name, source_fd)
        try:
            with fs.new_file(target, target_fd) as opened:
                fs.clone(source, opened)
                fs.set_mtime(opened, fs.open_facts(source).st_mtime_ns)
        finally:
            fs.close(source)

    @staticmethod
    def _check_label(operation: Operation, source_fd: int, name: str) -> None:
        """Raise StaleError where a label's bytes are not the planned ones."""
        try:
            if not operation.label_size:
                check.label_empty(fs.facts(name, source_fd))
                return
            data = fs.read_source(name, source_fd, operation.label_size)
        except (FileNotFoundError, NotADirectoryError):
            raise StaleError("is gone") from None
        check.label_content(operation, data)

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
                self._check_image(operation, *self._source(operation, at))
                if operation.label is None:
                    self._check_absent(operation)
                else:
                    at = operation.label
                    self._check_label(operation, *self._source(operation, at))
            except (StaleError, OSError) as error:
                self._report(result, operation, at, error)


def _again(place: _Place, operation: Operation, source_fd: int, name: str, target_fd: int, target: str) -> bytes | None:
    """Place a file, over what a run left that was cut off."""
    try:
        return place(operation, source_fd, name, target_fd, target)
    except FileExistsError:
        fs.unlink(target, target_fd)
    return place(operation, source_fd, name, target_fd, target)


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
