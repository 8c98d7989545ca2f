"""One batch: a plain loop over operations that checks each source file and puts image and label in place.

A file that fails is a `Fault` in the result, not an exception: the rest of the batch goes on. Every system call is
relative to an open folder, and no file is asked for its facts twice but a large one: it may change while it is copied.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import stat_result
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.engine import check, words
from planbalance.engine.check import GONE, GoneError, StaleError
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


# Plain tuples, and a function a file: two are made, and called, for each of a million slices.
_Source = tuple[int, str, str]  # open folder, name in it, whole path
_Target = tuple[int, str]  # open folder, name in it
_NOWHERE: Final = (-1, "", "")
# What is done with one file; returns an image's sum, where sums are taken.
_Place = Callable[[Operation, _Source, _Target], bytes | None]


class _Way(NamedTuple):
    """What is done with a slice: with its image, and with its label, which may be empty or absent."""

    image: _Place
    label: _Place
    empty: _Place
    absent: _Place


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
        self._absent = check.AbsentLabels(header.sources)
        self._inputs = [  # where it is, and what is put before its names
            (root.rstrip("/") + "/", source.prefix) for root, source in zip(job.roots, header.sources, strict=True)
        ]
        self._hashed = way == "copy" and job.options.checksum == "sha256"
        self._temporary = fs.temporary_names()
        self._copies_images = way == "copy"
        self._copies_labels = way == "copy" or (way != "list" and job.options.labels == "copy")
        self._look = _Way(self._check_image, self._check_label, self._check_empty, self._check_absent)
        self._put = self._look if way == "list" else self._way_of(way)

    def _way_of(self, way: Mode) -> _Way:
        """Return how images are placed by `way`, and labels with them."""
        linked = way in ("hardlink", "symlink")  # in one call
        if way == "copy":
            image: _Place = self._copy_image
        elif way == "reflink":
            image = self._clone_image
        else:
            image = _THEN[way](self._check_image)
        label: _Place = self._copy_label
        empty: _Place = self._copy_empty
        if not self._copies_labels:
            label, empty = _THEN[way](self._check_label), _THEN[way](self._check_empty)
        return _Way(
            self._putting(image, at_once=linked),
            self._putting(label, at_once=linked and not self._copies_labels),
            self._putting(empty, at_once=linked or self._copies_labels),
            self._putting(self._fill_absent, at_once=True),
        )

    def _putting(self, place: _Place, *, at_once: bool) -> _Place:
        """Return how a file is put where others may stand; `at_once`: the file system makes it in one call."""
        if self._shared:
            return partial(self._beside, place, at_once)
        return partial(_again, place) if self._redo else place

    def place(self, batch: Sequence[Range]) -> Result:
        """Place a batch's images and labels. Raises PlanError where the plan file changed under the run."""
        pieces = [(part, self._plan.read_part(*part)) for part in batch]
        result = Result()
        began, busy = time.monotonic(), time.thread_time()
        for part, operations in pieces:
            if not self._places:  # what would be copied is told
                result.copied += self._content(operations)
                self._look_at(part, operations, result)
            elif self._switches.only_check:
                self._look_at(part, operations, result)
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
        done = list(self._each(part, operations, self._put, targets, result))
        result.copied += sum(self._content(operations[from_ - part.start : to - part.start]) for _, from_, to in done)
        result.done += done

    def _look_at(self, part: Range, operations: Sequence[Operation], result: Result) -> None:
        for _ in self._each(part, operations, self._look, Targets(-1, -1), result):
            pass  # nothing is in place by being looked at

    def _each(
        self, part: Range, operations: Sequence[Operation], way: _Way, targets: Targets, result: Result
    ) -> Iterator[Range]:
        """Do with slice after slice what `way` says; yield the runs that went well.

        What a target is called: see destination.Destinations.of; the folder is the block's.
        """
        block, start, stop = part
        good = start
        inputs, folders, switches = self._inputs, self._folders.sources, self._switches
        put_image, put_label, put_empty, put_absent = way
        images, labels = targets
        for position, operation in enumerate(operations, start):
            if switches.halt:
                stop = position
                break
            root, prefix = inputs[operation.input]
            at = operation.image
            try:
                path = root + at
                folder, _, name = path.rpartition("/")
                placed = prefix + name
                summed = put_image(operation, (folders[folder], name, path), (images, placed))
                target = (labels, placed.rpartition(".")[0] + ".txt")
                label = operation.label
                if label is None:
                    put_absent(operation, _NOWHERE, target)
                else:
                    at = label
                    path = root + at
                    folder, _, name = path.rpartition("/")
                    put = put_label if operation.label_size else put_empty
                    put(operation, (folders[folder], name, path), target)
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

    def _content(self, operations: Sequence[Operation]) -> int:
        """Return the bytes that are copied of slices."""
        labels = sum([each.label_size for each in operations]) if self._copies_labels else 0
        return labels + (sum([each.image_size for each in operations]) if self._copies_images else 0)

    def _report(self, result: Result, operation: Operation, path: str, error: Exception) -> None:
        if isinstance(error, OSError):
            reason, number = words.reason(error), error.errno
        else:
            reason, number = str(error), None
        result.faults.append(Fault(number is None, self._inputs[operation.input][0] + path, reason, number))

    def _beside(
        self,
        place: _Place,
        at_once: bool,  # noqa: FBT001 - bound by position
        operation: Operation,
        source: _Source,
        target: _Target,
    ) -> bytes | None:
        """Place a file so that its name holds the whole of it or nothing, over what a twin of this shard has placed.

        `at_once`: the file system makes it in one call, so the name is taken directly where it is free.
        """
        if at_once:
            try:  # suppress() takes as long as the call
                return place(operation, source, target)
            except FileExistsError:
                pass
        folder, name = target
        temporary = next(self._temporary)
        try:
            placed = place(operation, source, (folder, temporary))
            fs.rename_within(temporary, name, folder)
        except BaseException:
            with suppress(OSError):
                fs.unlink(temporary, folder)
            raise
        if at_once:  # rename(2) does nothing between two hard links to one file
            with suppress(FileNotFoundError):
                fs.unlink(temporary, folder)
        return placed

    # ---- images

    def _check_image(self, operation: Operation, source: _Source, _target: _Target) -> None:
        folder, name, _ = source
        now = fs.source_facts(name, folder)
        if now is None:
            raise GoneError
        size = operation.image_size
        if now.st_size == size and now.st_mtime_ns == operation.image_mtime_ns and size:
            return
        if check.needs_content(operation, now, mapped=self._mapped):
            check.image_content(operation, fs.hash_source(name, folder))

    def _copy_image(self, operation: Operation, source: _Source, target: _Target) -> bytes | None:
        size = operation.image_size
        opened = _open(source)
        try:
            now = fs.open_facts(opened)
            if now.st_size != size or now.st_mtime_ns != operation.image_mtime_ns or not size:
                check.needs_content(operation, now, mapped=self._mapped)
            if size > fs.SMALL or fs.has_holes(opened, now):
                return self._copy_in_pieces(operation, opened, now, target)
            data = fs.read_open(opened, size)
        finally:
            fs.close(opened)
        summed = fs.digest(data) if self._hashed or operation.image_sha256 else None
        self._check_copy(operation, len(data), summed)
        folder, name = target
        fs.write_new(name, folder, data, now.st_mtime_ns)
        return summed if self._hashed else None

    def _copy_in_pieces(self, operation: Operation, source: int, now: stat_result, target: _Target) -> bytes | None:
        holes = fs.has_holes(source, now)
        digest = hashlib.sha256() if self._hashed or operation.image_sha256 else None
        folder, name = target
        with fs.new_file(name, folder) as opened:
            size = operation.image_size
            count = self._copier.copy(source, opened, size, device=now.st_dev, holes=holes, digest=digest)
            summed = None if digest is None else digest.digest()
            self._check_copy(operation, count, summed)
            then = fs.open_facts(source)
            if (then.st_size, then.st_mtime_ns) != (size, now.st_mtime_ns):
                raise StaleError("was modified while it was copied")
            fs.set_mtime(opened, now.st_mtime_ns)
        return summed if self._hashed else None

    @staticmethod
    def _check_copy(operation: Operation, count: int, summed: bytes | None) -> None:
        if count != operation.image_size:
            raise StaleError("changed its size while it was copied")
        if summed is not None and operation.image_sha256:
            check.image_content(operation, summed.hex())

    def _clone_image(self, operation: Operation, source: _Source, target: _Target) -> None:
        opened = _open(source)
        folder, name = target
        try:
            now = fs.open_facts(opened)
            unsure = check.needs_content(operation, now, mapped=self._mapped)
            with fs.new_file(name, folder) as made:
                fs.clone(opened, made)
                if unsure:
                    check.image_content(operation, fs.hash_open(opened))
                fs.set_mtime(made, now.st_mtime_ns)
        finally:
            fs.close(opened)

    # ---- labels

    @staticmethod
    def _check_label(operation: Operation, source: _Source, _target: _Target) -> None:
        """Raise StaleError where a label's bytes are not the planned ones."""
        folder, name, _ = source
        try:
            data = fs.read_source(name, folder, operation.label_size)
        except GONE:
            raise GoneError from None
        check.label_content(operation, data)

    @staticmethod
    def _check_empty(_operation: Operation, source: _Source, _target: _Target) -> None:
        _empty(source)

    def _check_absent(self, operation: Operation, _source: _Source, _target: _Target) -> None:
        place = self._absent.of(operation)
        if place is None:
            return
        folder, name = place
        try:
            opened = self._folders.sources[(self._inputs[operation.input][0] + folder).rstrip("/")]
        except GoneError:
            return  # no folder, no label
        if fs.source_facts(name, opened) is not None:
            raise StaleError(f"has a label now ({folder}/{name}), none was planned")

    @staticmethod
    def _copy_label(operation: Operation, source: _Source, target: _Target) -> None:
        folder, name, _ = source
        try:
            data, mtime_ns = fs.read_dated(name, folder, operation.label_size)
        except GONE:
            raise GoneError from None
        check.label_content(operation, data)
        folder, name = target
        fs.write_new(name, folder, data, mtime_ns)

    @staticmethod
    def _copy_empty(_operation: Operation, source: _Source, target: _Target) -> None:
        now = _empty(source)
        folder, name = target
        fs.empty_new(name, folder, now.st_mtime_ns)

    def _fill_absent(self, operation: Operation, source: _Source, target: _Target) -> None:
        self._check_absent(operation, source, target)
        folder, name = target
        fs.empty_new(name, folder)


def _empty(source: _Source) -> stat_result:
    """Return the facts of a label that is empty, as planned. Raises StaleError where it is not, or is gone."""
    folder, name, _ = source
    now = fs.source_facts(name, folder)
    if now is None:
        raise GoneError
    check.label_empty(now)
    return now


def _then_symlink(check_source: _Place) -> _Place:
    """Return how a symbolic link is made to what has passed a check."""

    def place(operation: Operation, source: _Source, target: _Target) -> None:
        check_source(operation, source, target)
        _, _, path = source
        folder, name = target
        fs.symlink(path, name, folder)

    return place


def _then_hard_link(check_source: _Place) -> _Place:
    """Return how a hard link is made to what has passed a check."""

    def place(operation: Operation, source: _Source, target: _Target) -> None:
        check_source(operation, source, target)
        source_folder, source_name, _ = source
        folder, name = target
        fs.hard_link(source_name, source_folder, name, folder)

    return place


def _then_clone(check_source: _Place) -> _Place:
    """Return how what has passed a check is cloned."""

    def place(operation: Operation, source: _Source, target: _Target) -> None:
        check_source(operation, source, target)
        folder, name = target
        opened = _open(source)
        try:
            with fs.new_file(name, folder) as made:
                fs.clone(opened, made)
                fs.set_mtime(made, fs.open_facts(opened).st_mtime_ns)
        finally:
            fs.close(opened)

    return place


def _again(place: _Place, operation: Operation, source: _Source, target: _Target) -> bytes | None:
    """Place a file, over what a run left that was cut off."""
    try:
        return place(operation, source, target)
    except FileExistsError:
        folder, name = target
        fs.unlink(name, folder)
    return place(operation, source, target)


def _open(source: _Source) -> int:
    folder, name, _ = source
    try:
        return fs.open_source(name, folder)
    except GONE:
        raise GoneError from None


_THEN: Final[Mapping[Mode, Callable[[_Place], _Place]]] = {
    "symlink": _then_symlink,
    "hardlink": _then_hard_link,
    "reflink": _then_clone,
}
