"""Places one batch: a plain loop over operations that checks each source file and puts image and label in place.

A file that fails is a `FileError` in the result, not an exception: the rest of the batch goes on. Every system call is
relative to an open folder. The facts of a source file are read once; those of a large file twice, since it may change
while it is copied.

How a file is placed depends on the mode: see `PLACES_OPEN_FILES` and `PLACES_AFTER_CHECK` at the end of this module.
"""

import hashlib
import mmap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import stat_result
from types import MethodType
from typing import Final, NamedTuple

from planbalance import fs
from planbalance.engine import staleness
from planbalance.engine.errors import FileError, reason
from planbalance.engine.fd_cache import Folders, SharedFolders, Targets
from planbalance.engine.job import Job, takes_sums
from planbalance.engine.schedule import ANY_PERMISSIONS, Range
from planbalance.engine.spool import Spooled
from planbalance.engine.staleness import GONE, GoneError, RefusedError, StaleError
from planbalance.import_model import ImportOperation
from planbalance.model import Operation
from planbalance.modes import MODE_TABLE, Mode


class SharedFlags:
    """Two flags in a page of memory that forked workers share: one process sets them, workers read them before a file.

    Attributes:
        halt: stop before the next file; what is not finished is not recorded.
        only_check: the plan is stale, so nothing will be published: check the rest, place nothing.
    """

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)  # anonymous and shared (mmap(2))

    @property
    def halt(self) -> bool:
        """Whether to stop before the next file."""
        return self._page[0] != 0

    @halt.setter
    def halt(self, on: bool) -> None:
        self._page[0] = on

    @property
    def only_check(self) -> bool:
        """Whether nothing is placed any more."""
        return self._page[1] != 0

    @only_check.setter
    def only_check(self, on: bool) -> None:
        self._page[1] = on


@dataclass(slots=True)
class BatchResult:
    """The result of a batch.

    Attributes:
        done: ranges whose images and labels are in place.
        sums: SHA-256 of their images, end to end; empty where none are taken.
        count: operations looked at.
        copied: bytes of content written; where nothing is placed, those that would be.
        seconds: what the worker took; reading the plan is not in it.
        busy: how much of that it was not waiting, in seconds of its processor.
        errors: what was not placed.
        permissions: bits that each source of a packed dataset has; other modes do not look at them.
        spooled: where the images lie that were rendered and are not in place yet; None where that is not so.
    """

    done: list[Range] = field(default_factory=list)
    sums: bytearray = field(default_factory=bytearray)
    count: int = 0
    copied: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    errors: list[FileError] = field(default_factory=list)
    permissions: int = ANY_PERMISSIONS
    spooled: Spooled | None = None


# Plain tuples and functions, for speed: each slice takes two of them, and a plan may have a million slices.
_Source = tuple[int, str, str]  # open folder, name in it, whole path
_Target = tuple[int, str]  # open folder, name in it
_NO_SOURCE: Final = (-1, "", "")
# Places one file, or only checks its source; returns an image's sum, where sums are taken.
_PlaceFile = Callable[[Operation, _Source, _Target], bytes | None]


class _Actions(NamedTuple):
    """What is done with a slice: with its image, and with its label, which may be empty or absent."""

    image: _PlaceFile
    label: _PlaceFile
    empty: _PlaceFile
    absent: _PlaceFile


class Placer:
    """Places batches; each worker, which is one thread of one process, has its own.

    Args:
        job: what to build.
        mode: how images are placed, after a fallback.
        folders: what the workers of its process have open; without a staging folder it checks only.
        flags: set by the run.
        overwrite: names may exist already, from a run that was interrupted, and are made again.
        copier: copies bytes; it remembers what each file system supports, so the workers of a process share one.
    """

    def __init__(
        self, job: Job, mode: Mode, folders: SharedFolders, flags: SharedFlags, *, overwrite: bool, copier: fs.Copier
    ) -> None:
        sources, traits = job.kind.sources, MODE_TABLE[mode]
        self._plan = job.plan
        self._folders = Folders(folders)
        self._places = folders.tree is not None
        self._flags = flags
        self._overwrite = overwrite
        self._shared = job.options.shard is not None  # another process may place the same files at the same time
        self._mapped = job.mapped
        self._copier = copier
        self._absent = staleness.AbsentLabels(sources)
        self._inputs = [  # where it is, and what is put before its names
            (root.rstrip("/") + "/", source.prefix) for root, source in zip(job.roots, sources, strict=True)
        ]
        self._takes_sums = takes_sums(job, mode)
        self._temporary = fs.temporary_names()
        self._copies_images = traits.copies_images
        self._copies_labels = traits.copies_images or (traits.places_files and job.options.labels == "copy")
        self._check = _Actions(self._check_image, self._check_label, self._check_empty, self._check_absent)
        own_names = traits.places_files and not traits.one_file
        self._place = self._actions_of(mode) if own_names else self._check

    def _actions_of(self, mode: Mode) -> _Actions:
        """Return how images are placed in a mode, and labels with them."""
        linked = bool(MODE_TABLE[mode].link)  # a link is made by one call
        if mode in PLACES_OPEN_FILES:
            image: _PlaceFile = MethodType(PLACES_OPEN_FILES[mode], self)
        else:
            image = PLACES_AFTER_CHECK[mode](self._check_image)
        label: _PlaceFile = self._copy_label
        empty: _PlaceFile = self._copy_empty
        if not self._copies_labels:
            link_after = PLACES_AFTER_CHECK[mode]
            label, empty = link_after(self._check_label), link_after(self._check_empty)
        return _Actions(
            self._replacing(image, atomic=linked),
            self._replacing(label, atomic=linked and not self._copies_labels),
            self._replacing(empty, atomic=linked or self._copies_labels),
            self._replacing(self._make_absent, atomic=True),
        )

    def _replacing(self, place: _PlaceFile, *, atomic: bool) -> _PlaceFile:
        """Return how a file is placed where its name may exist; `atomic`: the file system makes it in one call."""
        if self._shared:
            return partial(self._place_whole, place, atomic)
        return partial(_place_over, place) if self._overwrite else place

    def place(self, batch: Sequence[Range]) -> BatchResult:
        """Place a batch's images and labels. Raises PlanError where the plan file changed during the run."""
        parts = [(part, self._plan.read_part(*part)) for part in batch]
        result = BatchResult()
        began, busy = time.monotonic(), time.thread_time()
        for part, operations in parts:
            if not self._places or self._flags.only_check:
                if not self._places:  # a dry run counts what would be copied
                    result.copied += self._content(operations)
                for _ in self._place_part(part, operations, self._check, Targets(-1, -1), result):
                    pass  # checked, but not in place
                continue
            done = self._place_whole_part(part, operations, result)
            result.copied += sum(self._content(operations[at - part.start : to - part.start]) for _, at, to in done)
            result.done += done
        result.seconds = time.monotonic() - began
        result.busy = time.thread_time() - busy
        return result

    def _place_whole_part(self, part: Range, operations: Sequence[Operation], result: BatchResult) -> list[Range]:
        """Place a part of a block; return the ranges that went well."""
        try:
            targets = self._folders.targets(self._plan.header.blocks[part.block].folder)
        except OSError as error:
            result.count += len(operations)
            for operation in operations:
                self._report(result, operation, operation.image, error)
            return []
        return list(self._place_part(part, operations, self._place, targets, result))

    def close(self) -> None:
        """Close what is open."""
        self._folders.close()

    def _place_part(
        self, part: Range, operations: Sequence[Operation], actions: _Actions, targets: Targets, result: BatchResult
    ) -> Iterator[Range]:
        """Apply the actions to one slice after the other; yield the ranges that went well.

        The names of the targets are those of `destination.Destinations.of`; the folder is the block's.
        """
        block, start, stop = part
        good = start
        inputs, folders, flags = self._inputs, self._folders.sources, self._flags
        place_image, place_label, place_empty, place_absent = actions
        images, labels = targets
        for position, operation in enumerate(operations, start):
            if flags.halt:
                stop = position
                break
            root, prefix = inputs[operation.input]
            at = operation.image
            try:
                path = root + at
                folder, _, name = path.rpartition("/")
                placed = prefix + name
                sha256 = place_image(operation, (folders[folder], name, path), (images, placed))
                target = (labels, placed.rpartition(".")[0] + ".txt")
                label = operation.label
                if label is None:
                    place_absent(operation, _NO_SOURCE, target)
                else:
                    at = label
                    path = root + at
                    folder, _, name = path.rpartition("/")
                    place = place_label if operation.label_size else place_empty
                    place(operation, (folders[folder], name, path), target)
            except (StaleError, OSError) as error:
                self._report(result, operation, at, error)
                if good < position:
                    yield Range(block, good, position)
                good = position + 1
            else:
                if sha256 is not None:
                    result.sums += sha256
        result.count += stop - start
        if good < stop:
            yield Range(block, good, stop)

    def _content(self, operations: Sequence[Operation]) -> int:
        """Return the bytes that are copied of slices."""
        labels = sum([each.label_size for each in operations]) if self._copies_labels else 0
        return labels + (sum([each.image_size for each in operations]) if self._copies_images else 0)

    def _report(self, result: BatchResult, operation: Operation | ImportOperation, path: str, error: Exception) -> None:
        if isinstance(error, OSError):
            why, number = reason(error), error.errno
        else:
            why, number = str(error), None
        refused = isinstance(error, RefusedError)
        stale = number is None and not refused
        result.errors.append(FileError(stale, self._inputs[operation.input][0] + path, why, number, refused=refused))

    def _place_whole(
        self,
        place: _PlaceFile,
        atomic: bool,  # noqa: FBT001 - bound by position
        operation: Operation,
        source: _Source,
        target: _Target,
    ) -> bytes | None:
        """Place a file so that its name holds the whole of it or nothing, also over what another run has placed.

        Several runs of one shard may place the same file at the same moment (docs/reliability.md).

        `atomic`: the file system makes it in one call, so the name is taken directly where it is free.
        """
        if atomic:
            try:  # suppress() would take as long as the call
                return place(operation, source, target)
            except FileExistsError:
                pass
        folder, name = target
        temporary = next(self._temporary)
        try:
            sha256 = place(operation, source, (folder, temporary))
            fs.rename_within(temporary, name, folder)
        except BaseException:
            with suppress(OSError):
                fs.unlink(temporary, folder)
            raise
        if atomic:  # rename(2) does nothing between two hard links to one file
            with suppress(FileNotFoundError):
                fs.unlink(temporary, folder)
        return sha256

    # ---- images

    def _check_image(self, operation: Operation, source: _Source, _target: _Target) -> None:
        folder, name, _ = source
        now = fs.source_facts(name, folder)
        if now is None:
            raise GoneError
        size = operation.image_size
        if now.st_size == size and now.st_mtime_ns == operation.image_mtime_ns and size:
            return
        if staleness.needs_content(operation, now, mapped=self._mapped):
            staleness.image_content(operation, fs.hash_source(name, folder))

    def copy_image(self, operation: Operation, source: _Source, target: _Target) -> bytes | None:
        """Copy an image, its content checked as it is read; return its sum, where sums are taken."""
        size = operation.image_size
        opened = _open(source)
        try:
            now = fs.open_facts(opened)
            if now.st_size != size or now.st_mtime_ns != operation.image_mtime_ns or not size:
                staleness.needs_content(operation, now, mapped=self._mapped)
            if size > fs.SMALL or fs.has_holes(opened, now):
                return self._copy_in_pieces(operation, opened, now, target)
            data = fs.read_open(opened, size)
        finally:
            fs.close(opened)
        sha256 = fs.digest(data) if self._takes_sums or operation.image_sha256 else None
        self._check_copy(operation, len(data), sha256)
        folder, name = target
        fs.write_new(name, folder, data, now.st_mtime_ns)
        return sha256 if self._takes_sums else None

    def _copy_in_pieces(self, operation: Operation, source: int, now: stat_result, target: _Target) -> bytes | None:
        holes = fs.has_holes(source, now)
        digest = hashlib.sha256() if self._takes_sums or operation.image_sha256 else None
        folder, name = target
        with fs.new_file(name, folder) as opened:
            size = operation.image_size
            count = self._copier.copy(source, opened, size, device=now.st_dev, holes=holes, digest=digest)
            sha256 = None if digest is None else digest.digest()
            self._check_copy(operation, count, sha256)
            then = fs.open_facts(source)
            if (then.st_size, then.st_mtime_ns) != (size, now.st_mtime_ns):
                raise StaleError("was modified while it was copied")
            fs.set_mtime(opened, now.st_mtime_ns)
        return sha256 if self._takes_sums else None

    @staticmethod
    def _check_copy(operation: Operation, count: int, sha256: bytes | None) -> None:
        if count != operation.image_size:
            raise StaleError("changed its size while it was copied")
        if sha256 is not None and operation.image_sha256:
            staleness.image_content(operation, sha256.hex())

    def clone_image(self, operation: Operation, source: _Source, target: _Target) -> None:
        """Place an image that shares the source's blocks on the disk."""
        opened = _open(source)
        folder, name = target
        try:
            now = fs.open_facts(opened)
            compare = staleness.needs_content(operation, now, mapped=self._mapped)
            with fs.new_clone(opened, name, folder) as made:
                if compare:
                    staleness.image_content(operation, fs.hash_open(opened))
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
        staleness.label_content(operation, data)

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
        staleness.label_content(operation, data)
        folder, name = target
        fs.write_new(name, folder, data, mtime_ns)

    @staticmethod
    def _copy_empty(_operation: Operation, source: _Source, target: _Target) -> None:
        now = _empty(source)
        folder, name = target
        fs.empty_new(name, folder, now.st_mtime_ns)

    def _make_absent(self, operation: Operation, source: _Source, target: _Target) -> None:
        """Make an empty label for an image that has none."""
        self._check_absent(operation, source, target)
        folder, name = target
        fs.empty_new(name, folder)


def _empty(source: _Source) -> stat_result:
    """Return the facts of a label that is empty, as planned. Raises StaleError where it is not, or is gone."""
    folder, name, _ = source
    now = fs.source_facts(name, folder)
    if now is None:
        raise GoneError
    staleness.label_empty(now)
    return now


def _symlink_after(check: _PlaceFile) -> _PlaceFile:
    """Return how a symbolic link is made to a source that has passed `check`."""

    def place(operation: Operation, source: _Source, target: _Target) -> None:
        check(operation, source, target)
        _, _, path = source
        folder, name = target
        fs.symlink(path, name, folder)

    return place


def _hard_link_after(check: _PlaceFile) -> _PlaceFile:
    """Return how a hard link is made to a source that has passed `check`."""

    def place(operation: Operation, source: _Source, target: _Target) -> None:
        check(operation, source, target)
        source_folder, source_name, _ = source
        folder, name = target
        fs.hard_link(source_name, source_folder, name, folder)

    return place


def _clone_after(check: _PlaceFile) -> _PlaceFile:
    """Return how a source that has passed `check` is cloned."""

    def place(operation: Operation, source: _Source, target: _Target) -> None:
        check(operation, source, target)
        folder, name = target
        opened = _open(source)
        try:
            with fs.new_clone(opened, name, folder) as made:
                fs.set_mtime(made, fs.open_facts(opened).st_mtime_ns)
        finally:
            fs.close(opened)

    return place


# The function that places an image, by mode: images whose open file is checked while it is read or cloned, and files
# that are placed by their name after a check.
PLACES_OPEN_FILES: Final[Mapping[Mode, Callable[[Placer, Operation, _Source, _Target], bytes | None]]] = {
    "copy": Placer.copy_image,
    "reflink": Placer.clone_image,
}
PLACES_AFTER_CHECK: Final[Mapping[Mode, Callable[[_PlaceFile], _PlaceFile]]] = {
    "symlink": _symlink_after,
    "hardlink": _hard_link_after,
    "reflink": _clone_after,
}


def place_unchecked(mode: Mode, operation: Operation, source: tuple[int, str, str], target: tuple[int, str]) -> None:
    """Place one file as a mode does that links, without a check of its source: to try whether it works. Raises OSError.

    Args:
        mode: hard links, symbolic links or clones.
        operation: of the file.
        source: its open folder, its name in it and its whole path.
        target: an open folder and a name in it.
    """
    PLACES_AFTER_CHECK[mode](lambda *_: None)(operation, source, target)


def _place_over(place: _PlaceFile, operation: Operation, source: _Source, target: _Target) -> bytes | None:
    """Place a file, over what an interrupted run has left."""
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
