"""Places the slices of an import: renders them, or takes pictures as the mode says, and writes the planned labels."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from planbalance import fs
from planbalance.engine import staleness
from planbalance.engine.fd_cache import Targets
from planbalance.engine.placer import BatchResult, Placer
from planbalance.engine.schedule import Range
from planbalance.engine.staleness import GoneError, StaleError
from planbalance.errors import InputError
from planbalance.import_model import Frame, ImportOperation, RawFile, RawVolume
from planbalance.planfile import files_of
from planbalance.raw_images import RenderedSlice, pixel_digest, png_bytes, render

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
            if only_check:
                return len(file)
            for operation, picture in zip(file, self._rendered(file), strict=True):
                if self._flags.halt:
                    break
                result.sums += self._write(operation, picture, targets) or b""
                done += 1
        except (StaleError, OSError) as error:
            self._report(result, first, first.image, error)
        return done

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
        raw = RawVolume(
            name=volume.id,
            kind=volume.kind,
            files=(RawFile(first.image, first.image_size, first.image_mtime_ns),),
            frames=tuple(Frame(0, each.plane, each.number, each.width, each.height) for each in file),
        )
        root = self._roots[first.input]
        try:
            yield from render(root, raw, range(len(file)), volume.window, self._options[volume.source])
        except InputError as error:
            raise StaleError(f"cannot be rendered any more ({error.message})") from None

    def _write(self, operation: ImportOperation, picture: RenderedSlice, targets: Targets) -> bytes | None:
        """Write a rendered slice and its label. Raises StaleError where its pixels are not the planned ones."""
        if pixel_digest(*picture) != operation.pixels:
            raise StaleError(f"renders to other pixels than planned (slice {operation.number})")
        data = png_bytes(picture)
        name = self._destinations.of(operation).name
        self._write_anew(operation, (targets.images, name), data)
        self._write_label(operation, targets, name)
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


def _write_bytes(data: bytes, operation: Any, _source: object, target: tuple[int, str]) -> None:  # noqa: ANN401 - an operation
    """Write bytes under the time of the source file, so that a build is the same at any time."""
    folder, name = target
    fs.write_new(name, folder, data, operation.image_mtime_ns)
