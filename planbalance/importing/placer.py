"""Places the slices of an import: renders them, or takes pictures as the mode says, and writes the planned labels."""

import errno
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import stat_result
from typing import Any, Final

from planbalance import fs
from planbalance.engine import staleness
from planbalance.engine.fd_cache import Targets
from planbalance.engine.placer import BatchResult, Placer
from planbalance.engine.schedule import Range
from planbalance.engine.staleness import GoneError, StaleError
from planbalance.errors import InputError
from planbalance.import_model import ImportOperation
from planbalance.importing.pictures import read_png, render_file
from planbalance.planfile import files_of
from planbalance.raw_images import RenderedSlice, pixel_digest, png_bytes

# What a file system says that makes no hard link here: another one, not permitted, no more links, not supported.
_NO_LINK: Final = frozenset((errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP))
# A PNG file of an older import is not larger than its pixels and a little more: colours, and what packing may add.
_LARGEST_SHARE: Final = 4
_MARGIN: Final = 1 << 16
_PlacePicture = Callable[[Any, tuple[int, str, str], tuple[int, str]], bytes | None]


class ImportPlacer(Placer):
    """Places batches of an import; the slices of one source file are rendered together."""

    def __init__(self, job: Any, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - as of `Placer`
        super().__init__(job, *arguments, **settings)
        header = job.plan.header
        self._roots = job.roots
        self._volumes = header.volumes
        self._options = job.kind.image_options
        self._destinations = job.kind.destinations
        self._reuse = None if header.reuse is None else job.roots[header.reuse].rstrip("/")
        self._check_picture: _PlacePicture = self._check.image
        self._place_picture: _PlacePicture = self._place.image

    def _place_part(
        self, part: Range, operations: Sequence[Any], actions: object, targets: Targets, result: BatchResult
    ) -> Iterator[Range]:
        """Place one source file after the other; yield the ranges that went well."""
        at = part.start
        only_check = actions is self._check
        for file in files_of(operations):
            if self._flags.halt:
                break
            done = self._place_file(file, targets, result, only_check=only_check)
            if done:
                yield Range(part.block, at, at + done)
            at += len(file)
        result.count += at - part.start

    def _place_file(
        self, file: list[ImportOperation], targets: Targets, result: BatchResult, *, only_check: bool
    ) -> int:
        """Place the slices of one source file; return how many of them are in place."""
        first = file[0]
        path = f"{self._roots[first.input].rstrip('/')}/{first.image}"
        folder, _, name = path.rpartition("/")
        done = 0
        try:
            source = (self._folders.sources[folder], name, path)
            if not first.pixels:
                for operation in file:
                    sha256 = self._take(operation, source, targets, only_check=only_check)
                    result.sums += sha256 or b""
                    done += 1
                return done
            now = fs.source_facts(name, source[0])
            if now is None:
                raise GoneError
            staleness.image_size(first, now)
            self._saw_source(first, now, folder, result)
            if only_check:
                return len(file)
            left: list[ImportOperation] = []
            for operation in file:
                sha256 = self._reused(operation, targets, result) if self._reuse is not None and not left else None
                if sha256 is None:
                    left.append(operation)
                    continue
                result.sums += sha256
                done += 1
            for operation, picture in zip(left, self._rendered(left) if left else (), strict=True):
                if self._flags.halt:
                    break
                result.sums += self._write_rendered(operation, picture, targets, result) or b""
                done += 1
        except (StaleError, OSError) as error:
            self._report(result, first, first.image, error)
        return done

    def _saw_source(self, first: ImportOperation, now: stat_result, folder: str, result: BatchResult) -> None:
        """Note the facts of a source file that is rendered; here, none is needed."""

    def _take(
        self, operation: ImportOperation, source: tuple[int, str, str], targets: Targets, *, only_check: bool
    ) -> bytes | None:
        """Place a picture as it is, and its label."""
        destination = self._destinations.of(operation)
        if only_check:
            return self._check_picture(operation, source, (-1, ""))
        sha256 = self._place_picture(operation, source, (targets.images, destination.name))
        self._write_label(operation, targets, destination.name)
        return sha256

    def _rendered(self, file: list[ImportOperation]) -> Iterator[RenderedSlice]:
        """Yield the slices of a file as pictures. Raises StaleError where they cannot be rendered any more."""
        first = file[0]
        volume = self._volumes[first.volume]
        try:
            yield from render_file(self._roots[first.input], volume, file, self._options[volume.source])
        except InputError as error:
            raise StaleError(f"cannot be rendered any more ({error.message})") from None

    def _reused(self, operation: ImportOperation, targets: Targets, result: BatchResult) -> bytes | None:  # noqa: ARG002 - for a subclass
        """Link the picture of an older import that has the planned pixels, and write the label.

        Return its sum (nothing where no sums are taken); None where there is no such picture.
        """
        found = self._older_picture(operation)
        if found is None:
            return None
        source, data = found
        name = self._destinations.of(operation).name
        link: _PlacePicture = self._replacing(_link, atomic=True)
        try:
            link(operation, source, (targets.images, name))
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self._write_anew(operation, (targets.images, name), data)
        self._write_label(operation, targets, name)
        return fs.digest(data) if self._takes_sums else b""

    def _older_picture(self, operation: ImportOperation) -> tuple[tuple[int, str, str], bytes] | None:
        """Return the picture of an older import that has the planned pixels; None where there is no such picture."""
        folder, name = self._destinations.of(operation)
        try:
            source = self._folders.sources[f"{self._reuse}/{folder}"]
            now = fs.source_facts(name, source)
            if now is None or now.st_size > _LARGEST_SHARE * (operation.width * operation.height + _MARGIN):
                return None
            data = fs.read_whole(name, source)
        except (OSError, StaleError):
            return None
        picture = read_png(data, operation.width, operation.height)
        if picture is None or pixel_digest(*picture) != operation.pixels:
            return None
        return (source, name, ""), data

    def _write_rendered(
        self, operation: ImportOperation, picture: RenderedSlice, targets: Targets, result: BatchResult
    ) -> bytes | None:
        """Write a rendered slice and its label. Raises StaleError where its pixels are not the planned ones."""
        data = planned_png(operation, picture)
        name = self._destinations.of(operation).name
        self._write_anew(operation, (targets.images, name), data)
        self._write_label(operation, targets, name)
        result.copied += len(data)
        return fs.digest(data) if self._takes_sums else None

    def _write_label(self, operation: ImportOperation, targets: Targets, image: str) -> None:
        target = (targets.labels, image.rpartition(".")[0] + ".txt")
        self._write_anew(operation, target, operation.label.encode())

    def _write_anew(self, operation: ImportOperation, target: tuple[int, str], data: bytes) -> None:
        place: _PlacePicture = self._replacing(partial(_write_bytes, data), atomic=not data)
        place(operation, (-1, "", ""), target)

    def _content(self, operations: Sequence[Any]) -> int:
        """Return the bytes that are written of slices, where that is known ahead: of labels, and of copied pictures."""
        copied: int = sum(each.image_size for each in operations if not each.pixels) if self._copies_images else 0
        labels: int = sum(each.label_size for each in operations)
        return copied + labels


def planned_png(operation: ImportOperation, picture: RenderedSlice) -> bytes:
    """Return a rendered slice as a PNG file. Raises StaleError where its pixels are not the planned ones."""
    if pixel_digest(*picture) != operation.pixels:
        raise StaleError(f"renders to other pixels than planned (slice {operation.number})")
    return png_bytes(picture)


def _link(_operation: object, source: tuple[int, str, str], target: tuple[int, str]) -> None:
    source_folder, source_name, _ = source
    folder, name = target
    fs.hard_link(source_name, source_folder, name, folder)


def _write_bytes(data: bytes, operation: Any, _source: object, target: tuple[int, str]) -> None:  # noqa: ANN401 - an operation
    """Write bytes under the time of the source file, so that a build is the same at any time."""
    folder, name = target
    fs.write_new(name, folder, data, operation.image_mtime_ns)
