"""The result of a batch of slices: problems, counts, planned names. Results are merged, and sent between processes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from planbalance.audit.check_table import TRAINERS_VIEW, FoundProblem
from planbalance.audit.slice_statistics import SliceStatistics
from planbalance.audit.trainer_loading import Loads, TrainerOutcome, add_loads, outcome_problems
from planbalance.labels import joined
from planbalance.model import Overshoot, Split
from planbalance.planfile import KeptSlices

_BETWEEN = "/"  # between packed names, of which none holds it
# By split and label folder: when the label that was changed last was changed (ns), and its path.
Newest = dict[tuple[Split, str], tuple[int, str]]


def note_newest(newest: Newest, split: Split, folder: str, time: tuple[int, str]) -> None:
    """Keep the time of a label, with its path, if it is the latest of its split in its folder."""
    key = split, folder
    known = newest.get(key)
    if known is None or time > known:
        newest[key] = time


@dataclass(slots=True)
class PartialResult:
    """The result of some slices.

    Attributes:
        found: problems with the checks that they belong to.
        statistics: counts.
        names: of planned images and labels by folder, packed.
        folders: paths at which a file is planned and a folder was found.
        in_manifest: bytes of the manifest that were found to be the lines of these files, and nothing else.
        size: bytes of images that were read.
        loads: what trainers would do with the images, where these and their labels were read.
        newest: when labels that hold something were changed last, where they were read.
        overshoot: valid label lines that reach a little beyond the image.
    """

    found: list[FoundProblem] = field(default_factory=list)
    statistics: SliceStatistics = field(default_factory=SliceStatistics)
    names: dict[str, list[str]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    in_manifest: int = 0
    size: int = 0
    loads: Loads = field(default_factory=Counter)
    newest: Newest = field(default_factory=dict)
    overshoot: Overshoot | None = None

    def load(self, split: Split, images: Sequence[tuple[str, str, TrainerOutcome]]) -> None:
        """Note what trainers do with images of one split: the image, its label, what is done with it."""
        add_loads(self.loads, split, [each for _, _, each in images])
        for image, label, each in images:
            if each.rewritten or each.duplicates or any(each.faults):
                self.found += ((TRAINERS_VIEW, problem) for problem in outcome_problems(image, label, each))

    def add_planned(self, folder: str, names: Iterable[str]) -> None:
        """Note the names of planned files of one folder."""
        if text := packed(names):
            self.names.setdefault(folder, []).append(text)

    def add_planned_paths(self, paths: Iterable[str]) -> None:
        """Note planned files of any folders."""
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, []).append(name)
        for folder, names in by_folder.items():
            self.add_planned(folder, names)

    def planned_names(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the names of planned files, a folder at a time."""
        for folder, texts in self.names.items():
            yield folder, packed(texts).split(_BETWEEN)

    def are_all_of(self, folder: str, names: str) -> bool:
        """Return whether all names of a folder, sorted and packed, are planned; False where that is not certain."""
        return packed(sorted(self.names.get(folder, ()))) == names

    def merge(self, other: "PartialResult") -> None:
        """Add the result of other slices."""
        self.found += other.found
        self.statistics.merge(other.statistics)
        for folder, texts in other.names.items():
            self.names.setdefault(folder, []).extend(texts)
        self.folders += other.folders
        self.in_manifest += other.in_manifest
        self.size += other.size
        self.loads.update(other.loads)
        for (split, folder), time in other.newest.items():
            note_newest(self.newest, split, folder, time)
        self.overshoot = joined((self.overshoot, other.overshoot))


@dataclass(slots=True)
class PassResult:
    """What a pass found.

    Attributes:
        result: of all slices.
        listed: names in the folders of the plan, packed; empty where these were not listed.
        kept: the slices of every block, in the plan's order; None where they were not collected.
    """

    result: PartialResult
    listed: dict[str, str] = field(default_factory=dict)
    kept: list[KeptSlices] | None = None


def packed(names: Iterable[str]) -> str:
    """Return names as one text."""
    return _BETWEEN.join(names)
