"""What differs between the plans that the engine builds: a dataset that is split (here), and one that is imported.

Journal, staging, resume, workers, shards, manifest and publication are the same for both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from planbalance import dataset_files
from planbalance.destination import Destination, Destinations
from planbalance.engine.block_stats import BlockStats, BlockStatsMaker, PlanStats
from planbalance.engine.list_mode import ListMaker
from planbalance.engine.packing import BlockColumns, columns_of
from planbalance.errors import UsageError
from planbalance.executor import autoscaler
from planbalance.executor.autoscaler import Limits
from planbalance.import_model import ImportHeader
from planbalance.model import Operation, PlanHeader, Source, Split
from planbalance.modes import MODE_TABLE, Mode

AnyOperation_contra = TypeVar("AnyOperation_contra", contravariant=True)


class Document(NamedTuple):
    """A file beside images and labels.

    Attributes:
        path: below the output; at most one folder deep.
        chunks: its bytes.
        summed: whether the manifest names it.
    """

    path: str
    chunks: Iterable[bytes]
    summed: bool = False


class _DestinationsOf(Protocol[AnyOperation_contra]):
    def of(self, operation: AnyOperation_contra) -> Destination: ...

    def columns(self, operations: Sequence[AnyOperation_contra]) -> tuple[list[str], list[str]]: ...


class _StatsMaker(Protocol[AnyOperation_contra]):
    def of(self, index: int, operations: Sequence[AnyOperation_contra]) -> BlockStats: ...


class BuildKind(Protocol[AnyOperation_contra]):
    """One kind of plan."""

    @property
    def sources(self) -> Sequence[Source]:
        """Image folders and prefix of each input."""

    @property
    def destinations(self) -> _DestinationsOf[AnyOperation_contra]:
        """Where images go."""

    @property
    def stats_maker(self) -> _StatsMaker[AnyOperation_contra]:
        """Makes the statistics of a block."""

    @property
    def placer(self) -> Any:  # noqa: ANN401 - a subclass of `Placer`, which imports this module
        """The class that places its batches; None: `placer.Placer`."""

    @property
    def packer(self) -> Any:  # noqa: ANN401 - a subclass of `Packer`, which imports this module
        """The class that places its batches into one file; None: `packer.Packer`."""

    @property
    def renderer(self) -> Any:  # noqa: ANN401 - likewise
        """The class that renders images into spool files, before their places in one file are known; None: not needed.

        It is called only where `renders` is true.
        """

    @property
    def summed(self) -> Sequence[str]:
        """Paths of the documents that the manifest names, known without the plan's blocks."""

    @property
    def takes_images(self) -> bool:
        """Whether there are images that are placed as the mode says."""

    @property
    def renders(self) -> bool:
        """Whether there are images that are made, in any mode."""

    def limits(self) -> Limits:
        """Return how many workers there may be, and of which kind."""

    def is_link(self, operation: AnyOperation_contra, mode: Mode) -> bool:
        """Return whether an image is a symbolic link in the output."""

    def is_rendered(self, operation: AnyOperation_contra) -> bool:
        """Return whether an image is made, so that its size is not known before."""

    def columns(self, operations: Sequence[AnyOperation_contra]) -> BlockColumns:
        """Return what the layout of one file needs to know of a block, with an estimate for sizes not yet known."""

    def documents(self, stats: PlanStats, output: str | None, mode: Mode) -> Iterator[Document]:
        """Yield the files beside images and labels: they depend on the plan and the place of the output alone.

        `output`: None where that place is not known.
        """

    def count_documents(self, stats: PlanStats, mode: Mode) -> int:
        """Return how many there are."""

    def train_commands(self, output: str) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
        """Return the commands that train on the output, None where there is none, and warnings."""

    def unmounted(self, mode: Mode) -> str:
        """Return what to do with one file before anything else can be done: it is known nowhere where it is mounted."""


class DatasetKind:
    """The plan of a dataset that is split.

    Args:
        header: the plan's.
        roots: where the inputs are.
        mode: as asked for.

    Raises:
        UsageError: the mode does not go with the plan.
    """

    placer = None
    packer = None
    renderer = None
    takes_images = True
    renders = False

    def __init__(self, header: PlanHeader | ImportHeader, roots: Sequence[str], mode: Mode) -> None:
        assert isinstance(header, PlanHeader)
        traits = MODE_TABLE[mode]
        if not traits.places_files and header.parameters["layout"] == "by-volume":
            raise UsageError(
                "--mode list names the images where they are, so it does not go with --layout by-volume",
                kind="list",
                hint="plan with --layout keep, or apply with --mode symlink",
            )
        self._header = header
        self.sources = header.sources
        self.destinations = Destinations(header.sources, header.parameters["layout"])
        lists = None if traits.places_files else ListMaker(header, roots)
        self.stats_maker = BlockStatsMaker(header, lists, packs=bool(traits.one_file))
        hyp = dataset_files.hyp_yaml(header) is not None
        self.summed = (dataset_files.METADATA, *((dataset_files.HYP,) if hyp else ()))

    def limits(self) -> Limits:
        """Return the limits of all commands."""
        return autoscaler.LIMITS

    def is_link(self, _operation: Operation, mode: Mode) -> bool:
        """Return whether an image is a symbolic link: all are, or none."""
        return MODE_TABLE[mode].by_path

    def is_rendered(self, _operation: Operation) -> bool:
        """Return False: all images are taken as they are."""
        return False

    def columns(self, operations: Sequence[Operation]) -> BlockColumns:
        """Return what the layout of one file needs to know of a block."""
        return columns_of(self.sources, operations)

    def documents(self, stats: PlanStats, output: str | None, mode: Mode) -> Iterator[Document]:
        """Yield metadata, dataset.yaml, the lists of `--mode list` and hyperparameters. Raises PlanError."""
        header = self._header
        yield Document(dataset_files.METADATA, (dataset_files.metadata_of(header, stats.kept()),), summed=True)
        listed = not MODE_TABLE[mode].places_files
        yield Document(dataset_files.DATASET_YAML, (dataset_files.dataset_yaml(header, output, listed=listed),))
        for split, lines in _lists(stats).items():
            yield Document(dataset_files.list_name(split), map(str.encode, lines))
        hyp = dataset_files.hyp_yaml(header)
        if hyp is not None:
            yield Document(dataset_files.HYP, (hyp,), summed=True)

    def count_documents(self, stats: PlanStats, mode: Mode) -> int:
        """Return how many documents there are."""
        lists = 0 if MODE_TABLE[mode].places_files else len({each.split for each in stats.lists()})
        return 2 + lists + (dataset_files.hyp_yaml(self._header) is not None)

    def train_commands(self, output: str) -> tuple[Mapping[str, str | None], tuple[str, ...]]:
        """Return the commands of `dataset_files.train_commands`."""
        return dataset_files.train_commands(self._header, output)

    def unmounted(self, mode: Mode) -> str:
        """Return why there are no commands that train on one file."""
        opened = "mounted" if mode == "squashfs" else "unpacked"
        what = "image" if mode == "squashfs" else "tar"
        return (
            f"No training commands: the {what} must be {opened} first, and where is not known (--mount-at): "
            "docs/how-to/one-file says how"
        )


def _lists(stats: PlanStats) -> dict[Split, list[str]]:
    """Return the lines of the lists of `--mode list`, of splits that hold a slice."""
    lists: dict[Split, list[str]] = {}
    for each in stats.lists():
        lists.setdefault(each.split, []).append(each.lines)
    return lists
