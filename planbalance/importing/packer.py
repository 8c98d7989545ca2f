"""Puts the slices of an import into one file: the first pass renders them, the second one gives each its place."""

from collections.abc import Sequence
from functools import cached_property
from os import stat_result
from typing import Any, Final

from planbalance import fs
from planbalance.engine.fd_cache import SharedFolders, Targets
from planbalance.engine.packer import BlockPlaces, PackedTarget, Packer, Run
from planbalance.engine.permissions import Enterable, SourcePermissions
from planbalance.engine.placer import BatchResult, SharedFlags
from planbalance.engine.schedule import Range, append_range
from planbalance.engine.spool import SpoolReader, SpoolWriter
from planbalance.import_model import ImportOperation
from planbalance.importing.placer import ImportPlacer, planned_png
from planbalance.modes import Mode
from planbalance.raw_images import RenderedSlice

_NO_TARGETS: Final = Targets(-1, -1)
_RENDER: Final = object()  # what is done with a part, in place of a check


class SpoolPlacer(ImportPlacer):
    """Renders batches of an import into a spool file of its own; it gets no picture that is taken as it is."""

    def __init__(self, job: Any, mode: Mode, folders: SharedFolders, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - as of `Placer`
        super().__init__(job, mode, folders, *arguments, **settings)
        assert folders.tree is not None
        self._writer = SpoolWriter(folders.tree)

    def close(self) -> None:
        """Close what is open."""
        super().close()
        self._writer.close()

    def _place_whole_part(self, part: Range, operations: Sequence[Any], result: BatchResult) -> list[Range]:
        """Render a part of a block; return the ranges that went well."""
        done: list[Range] = []
        for each in self._place_part(part, operations, _RENDER, _NO_TARGETS, result):
            append_range(done, each)  # one line of the journal for many source files
        return done

    @cached_property
    def _permissions(self) -> SourcePermissions:
        return SourcePermissions([root for root, _ in self._inputs], Enterable(self._writer.group))

    def _saw_source(self, first: ImportOperation, now: stat_result, folder: str, result: BatchResult) -> None:
        result.permissions &= self._permissions.of(now, first.input, folder)

    def _reused(self, operation: ImportOperation, _targets: Targets, result: BatchResult) -> bytes | None:
        found = self._older_picture(operation)
        if found is None:
            return None
        self._keep(found[1], result)
        return b""

    def _write_rendered(
        self, operation: ImportOperation, picture: RenderedSlice, _targets: Targets, result: BatchResult
    ) -> None:
        self._keep(planned_png(operation, picture), result)

    def _keep(self, image: bytes, result: BatchResult) -> None:
        """Append an image to the spool file, behind those of the same batch."""
        spooled = self._writer.append(image)
        if result.spooled is None:
            result.spooled = spooled
        else:
            result.spooled.sizes.extend(spooled.sizes)
        result.copied += len(image)

    def _content(self, _operations: Sequence[Any]) -> int:
        """Return 0: each image is counted when it is rendered, and labels when they have their places."""
        return 0


class ImportPacker(Packer, ImportPlacer):
    """Puts batches of an import into one file: rendered images from the spool files, others from where they lie.

    Where nothing is placed any more, since the plan is stale, it checks as `ImportPlacer` does.
    """

    def __init__(
        self,
        job: Any,  # noqa: ANN401 - as of `Placer`
        mode: Mode,
        folders: SharedFolders,
        flags: SharedFlags,
        target: PackedTarget,
    ) -> None:
        super().__init__(job, mode, folders, flags, target)
        assert folders.tree is not None
        self._spool = target.spool
        self._reader = None if target.spool is None else SpoolReader(folders.tree, target.spool)
        self._block = 0

    def close(self) -> None:
        """Close what is open."""
        super().close()
        if self._reader is not None:
            self._reader.close()

    def _place_whole_part(self, part: Range, operations: Sequence[Any], result: BatchResult) -> list[Range]:
        """Place a part of a block; return the ranges that went well."""
        self._block = part.block
        if self._spool is not None:
            sizes = self._spool.sizes(part.block)[part.start : part.stop]
            pairs = zip(operations, sizes, strict=True)
            operations = [each._replace(image_size=size) if each.pixels else each for each, size in pairs]
        return super()._place_whole_part(part, operations, result)

    def _add_image(self, run: Run, operation: Any, places: BlockPlaces, position: int) -> None:  # noqa: ANN401 - of an import
        """Read an image into the buffer."""
        if not operation.pixels:
            super()._add_image(run, operation, places, position)
            return
        image, sha256 = self._rendered_image(position)
        if places.images is not None:
            self._add_bytes(run, self._head(places.images, position, len(image)))
        self._add_bytes(run, image)
        if places.images is not None:
            self._add_bytes(run, bytes(self._form.padding(len(image))))
        if self._takes_sums:
            run.sums += sha256

    def _copy_alone(self, run: Run, operation: Any, places: BlockPlaces, position: int) -> None:  # noqa: ANN401 - of an import
        """Copy a large image to its place; what the format has before it goes into the buffer."""
        if not operation.pixels:
            super()._copy_alone(run, operation, places, position)
            return
        image, sha256 = self._rendered_image(position)
        head = b"" if places.images is None else self._head(places.images, position, len(image))
        padded = image + bytes(self._form.padding(len(image)))
        fs.write_at(self._file, padded, places.slices.images[position] + len(head))
        self._add_bytes(run, head)
        if self._takes_sums:
            run.sums += sha256

    def _rendered_image(self, position: int) -> tuple[bytes, bytes]:
        assert self._reader is not None
        return self._reader.read(self._block, position)

    def _add_label(self, run: Run, operation: Any, places: BlockPlaces, position: int) -> None:  # noqa: ANN401 - of an import
        """Add a label, whose text the plan has."""
        self._keep_label(run, operation.label.encode(), places, position)
