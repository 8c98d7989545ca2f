"""How the engine builds the plan of an import: what differs from the plan of a split."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from planbalance.destination import ImportDestinations
from planbalance.engine.block_stats import UNIT, BlockStats, PlanStats, has_jpegs
from planbalance.engine.build_kind import Document
from planbalance.engine.job import MakeKind
from planbalance.engine.packing import BlockColumns
from planbalance.errors import UsageError
from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Limits
from planbalance.import_files import document_names, documents_of
from planbalance.import_model import ImportHeader, ImportOperation
from planbalance.importing.packer import ImportPacker, SpoolPlacer
from planbalance.importing.placer import ImportPlacer
from planbalance.importing.source_options import image_options_of
from planbalance.model import Folder, PlanHeader, Source
from planbalance.modes import MODE_TABLE, Mode
from planbalance.planfile import files_of, import_facts
from planbalance.planstore import ImportPlan

_NS: Final = 1_000_000_000
_PNG_OVERHEAD: Final = 256  # its header and its end
_ROOT: Final = Source("", (Folder("", "", None),))


class ImportKind:
    """The plan of an import.

    Args:
        plan: as it lies on disk; its ledger is read when it is written.
        header: of the part that is built.
        mode: how pictures are placed that are taken as they are.

    Attributes:
        image_options: how the images of each source are read.

    Raises:
        UsageError: the mode does not go with an import.
        PlanError: the plan does not say how images are read.
    """

    placer = ImportPlacer
    packer = ImportPacker
    renderer = SpoolPlacer

    def __init__(self, plan: ImportPlan, header: ImportHeader, mode: Mode) -> None:
        if not MODE_TABLE[mode].places_files:
            raise UsageError(
                f"--mode {mode} does not go with an import, which renders slices and writes labels",
                kind="mode-not-available",
                hint="--mode symlink links the pictures that are taken as they are",
            )
        self._plan = plan
        self._header = header
        self.image_options = tuple(map(image_options_of, header.sources))  # refused before anything is written
        written = [volume for volume in header.volumes if volume.written]
        self.takes_images = any(volume.window is None for volume in written)
        self.renders = any(volume.window is not None for volume in written)
        self.sources = (_ROOT,) * len(header.inputs)
        self.destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
        self.stats_maker = ImportStatsMaker(header, self.columns if MODE_TABLE[mode].one_file else None)
        self.summed = document_names(header)

    def limits(self) -> Limits:
        """Return limits for slices that are rendered, in processes alone.

        A slice takes milliseconds, so that a process pays for itself at once, and small batches cost nothing. Libraries
        that decode images are not all safe in several threads.
        """
        return autoscaler.LIMITS._replace(
            worth_forking=2, most_processes=128, first_batch=4, smallest_batch=1, worth_reading=1, threads=False
        )

    def is_link(self, operation: ImportOperation, mode: Mode) -> bool:
        """Return whether a slice is a symbolic link: one that is not rendered, in a mode that makes such links."""
        return MODE_TABLE[mode].by_path and not operation.pixels

    def is_rendered(self, operation: ImportOperation) -> bool:
        """Return whether a slice is rendered."""
        return bool(operation.pixels)

    def columns(self, operations: Sequence[ImportOperation]) -> BlockColumns:
        """Return what the layout of one file needs to know of a block; a rendered slice has about its pixels' size."""
        _, names = self.destinations.columns(operations)
        return BlockColumns(
            "/".join(names),
            array("Q", [_about(each) if each.pixels else each.image_size for each in operations]),
            array("q", [each.image_mtime_ns // _NS for each in operations]),
            array("Q", [each.label_size for each in operations]),
        )

    def documents(self, _stats: PlanStats, _output: str | None, _mode: Mode) -> Iterator[Document]:
        """Yield dataset.yaml, the groups, the report and the ledger. Raises PlanError where the ledger is damaged."""
        for path, data in documents_of(self._plan.header, self._plan.ledger()).items():
            yield Document(path, (data,), summed=True)

    def count_documents(self, _stats: PlanStats, _mode: Mode) -> int:
        """Return how many documents there are."""
        return len(self.summed)

    def train_commands(self, _output: str) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
        """Return no command: the dataset is not split yet."""
        return {"yolov5": None, "ultralytics": None}, ()

    def unmounted(self, mode: Mode) -> str:
        """Return what to do with one file before it can be divided."""
        return (
            f"Not split yet, and `planbalance plan` reads folders: {'mount' if mode == 'squashfs' else 'unpack'} this "
            "file first (docs/how-to/one-file says how), then run plan on that folder"
        )


def _about(operation: ImportOperation) -> int:
    """Return about how large a rendered slice is as a PNG file: not more than this, if it is grey."""
    rows = operation.height * (operation.width + 1)
    return rows + rows // 64 + _PNG_OVERHEAD


class ImportStatsMaker:
    """Makes the statistics of an import's blocks; `columns`: for one file, what its layout needs to know of a block."""

    def __init__(
        self, header: ImportHeader, columns: Callable[[Sequence[ImportOperation]], BlockColumns] | None
    ) -> None:
        self._header = header
        self._columns = columns

    def of(self, _index: int, operations: Sequence[ImportOperation]) -> BlockStats:
        """Return the statistics of a block. Of a rendered slice, one byte a pixel is taken as its size."""
        sizes = [each.width * each.height if each.pixels else each.image_size for each in operations]
        units = sum(-(-size // UNIT) - (-each.label_size // UNIT) for size, each in zip(sizes, operations, strict=True))
        as_they_are = {each.input: each for each in reversed(operations) if not each.pixels}
        counts = [len(file) for file in files_of(operations)]
        starts = () if max(counts) == 1 else tuple(accumulate(counts, initial=0))
        first = operations[0]
        source = f"{first.input}:{first.image.rpartition('/')[0]}"
        names = "\n".join([each.image for each in operations if not each.pixels])
        facts, samples = import_facts(operations), tuple(as_they_are.values())
        columns = None if self._columns is None else self._columns(operations)
        rendered = sum(_about(each) for each in operations if each.pixels)
        jpegs = has_jpegs(names)
        return BlockStats(facts, units * UNIT, samples, source, None, starts, columns, jpegs, rendered)


def import_kind(plan: ImportPlan) -> MakeKind:
    """Return what makes the kind of an import's plan for the engine."""

    def make(header: PlanHeader | ImportHeader, _roots: Sequence[str], mode: Mode) -> ImportKind:
        assert isinstance(header, ImportHeader)
        return ImportKind(plan, header, mode)

    return make
