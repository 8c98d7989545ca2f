"""How the engine builds the plan of an import: what differs from the plan of a split."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from planbalance.destination import ImportDestinations
from planbalance.engine.block_stats import UNIT, BlockStats, PlanStats, has_jpegs
from planbalance.engine.build_kind import Document
from planbalance.engine.job import MakeKind
from planbalance.errors import UsageError
from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Limits
from planbalance.import_files import documents_of, has_groups
from planbalance.import_model import ImportHeader, ImportOperation
from planbalance.importing.placer import ImportPlacer
from planbalance.importing.source_options import image_options_of
from planbalance.model import Folder, PlanHeader, Source
from planbalance.modes import MODE_TABLE, Mode
from planbalance.planfile import files_of, import_facts
from planbalance.planstore import ImportPlan

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

    def __init__(self, plan: ImportPlan, header: ImportHeader, mode: Mode) -> None:
        if not MODE_TABLE[mode].places_files:
            raise UsageError(
                f"--mode {mode} does not go with an import, which renders slices and writes labels",
                kind="mode-not-available",
                hint="--mode symlink links the pictures that are taken as they are",
            )
        if MODE_TABLE[mode].one_file:
            raise UsageError(
                f"--mode {mode} does not go with an import: sizes of rendered slices are known only afterwards",
                kind="mode-not-available",
                hint=f"import into a folder, then `planbalance plan` it and apply that plan with --mode {mode}",
            )
        self._plan = plan
        self._header = header
        self.image_options = tuple(map(image_options_of, header.sources))  # refused before anything is written
        written = [volume for volume in header.volumes if volume.written]
        self.takes_images = any(volume.window is None for volume in written)
        self.renders = any(volume.window is not None for volume in written)
        self.sources = (_ROOT,) * len(header.inputs)
        self.destinations = ImportDestinations(header.volumes, by_volume=header.layout == "by-volume")
        self.stats_maker = ImportStatsMaker(header)

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

    def documents(self, _stats: PlanStats, _output: str | None, _mode: Mode) -> Iterator[Document]:
        """Yield dataset.yaml, the groups, the report and the ledger. Raises PlanError where the ledger is damaged."""
        for path, data in documents_of(self._plan.header, self._plan.ledger()).items():
            yield Document(path, (data,), summed=True)

    def count_documents(self, _stats: PlanStats, _mode: Mode) -> int:
        """Return how many documents there are."""
        return 3 + has_groups(self._header)

    def train_commands(self, _output: str) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
        """Return no command: the dataset is not split yet."""
        return {"yolov5": None, "ultralytics": None}, ()


class ImportStatsMaker:
    """Makes the statistics of an import's blocks."""

    def __init__(self, header: ImportHeader) -> None:
        self._header = header

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
        return BlockStats(facts, units * UNIT, samples, source, None, starts, jpegs=has_jpegs(names))


def import_kind(plan: ImportPlan) -> MakeKind:
    """Return what makes the kind of an import's plan for the engine."""

    def make(header: PlanHeader | ImportHeader, _roots: Sequence[str], mode: Mode) -> ImportKind:
        assert isinstance(header, ImportHeader)
        return ImportKind(plan, header, mode)

    return make
