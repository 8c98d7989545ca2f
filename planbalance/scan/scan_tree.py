"""The files that a scan has found so far, by input and folder."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from planbalance.inputs import FoundInput, common_keys, common_names
from planbalance.labels import KPT_SHAPE, keypoints_of
from planbalance.model import Problem, Severity
from planbalance.scan.content import LabelContent
from planbalance.scan.listing import Visit, below_folder

Place = tuple[int, str]  # index of the input, path of a folder relative to its root


@dataclass(slots=True)
class Images:
    """Image files of one folder, a column each, sorted by name."""

    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # in bytes
    mtimes: list[int] = field(default_factory=list)  # in ns


@dataclass(slots=True)
class Labels:
    """The label files of one folder: lists in the order of names, or, after `index_by_stem`, mappings by stem.

    Where each image has its label, as in most folders, the two lists match, and no stem is looked up.
    """

    listed: list[str] = field(default_factory=list)  # sorted by name, all `<stem>.txt`
    listed_sizes: list[int] = field(default_factory=list)  # in bytes
    listed_contents: dict[int, LabelContent] = field(default_factory=dict)  # by position, of those not empty

    sizes: dict[str, int] = field(default_factory=dict)  # in bytes
    contents: dict[str, LabelContent] = field(default_factory=dict)  # of those not empty
    names: dict[str, str] = field(default_factory=dict)  # where it is not `<stem>.txt`
    unread: set[str] = field(default_factory=set)  # stems of labels that cannot be read
    other_suffixes: dict[str, tuple[int, LabelContent | None]] = field(default_factory=dict)  # by name, such as `a.TXT`

    def match(self, stems: Sequence[str]) -> bool:
        """Return whether these are the stems of all labels, in their order."""
        return (
            not (self.sizes or self.unread)
            and len(self.listed) == len(stems)
            and self.listed == [f"{stem}.txt" for stem in stems]
        )

    def index_by_stem(self) -> None:
        """Put the labels that are only listed into the mappings by stem."""
        stems = [name[:-4] for name in self.listed]
        self.sizes.update(zip(stems, self.listed_sizes, strict=True))
        self.contents.update({stems[index]: content for index, content in self.listed_contents.items()})
        self.listed, self.listed_sizes, self.listed_contents = [], [], {}


class ScanTree:
    """The files that were found so far; only the scan's own thread changes it.

    Attributes:
        inputs: as resolved.
        images: by input, folder and index of the image folder.
        labels: by input and folder.
        others: stems of images that do not belong to the dataset, by input and folder.
        beside: `.txt` files in folders where only images are expected, by input and folder.
        arrays: number of `.npy` files in folders where images are expected, by input and folder.
        visited: the folders that were listed, or will be next.
        leftovers: number of `*.cache` and `*.npy` files.
        problems: with absolute paths, in no order.
        class_count: number of classes, against which labels are checked; None where no input names its classes.
        yaml_keys: the further yaml keys of all inputs.
        keypoints: keypoints that label lines must have; None where no yaml has `kpt_shape`.
    """

    def __init__(self, found: Sequence[FoundInput]) -> None:
        self.inputs = list(found)
        self.images: dict[tuple[int, str, int], Images] = {}
        self.labels: dict[Place, Labels] = {}
        self.others: dict[Place, set[str]] = {}
        self.beside: dict[Place, list[str]] = {}
        self.arrays: dict[Place, int] = {}
        self.visited: set[Place] = set()
        self.leftovers = 0
        self.problems: list[Problem] = [problem for one in found for problem in one.problems]
        self._identities: dict[tuple[int, int], str] = {}  # of image folders
        names = common_names(one.input for one in found)
        self.class_count = None if names is None else len(names)
        self.yaml_keys = common_keys(one.input for one in found)
        self.keypoints = keypoints_of(self.yaml_keys.get(KPT_SHAPE))
        self._listed = [_by_folder(one.listed.items()) for one in found]
        self._texts = [_by_folder((path, 0) for path in one.texts) for one in found]
        self._starts = [one.input.root.rstrip("/") + "/" for one in found]

    def absolute(self, index: int, path: str) -> str:
        """Return the absolute path of a file or folder of an input."""
        return self._starts[index] + path if path else self.inputs[index].input.root

    def named(self, visit: Visit) -> tuple[Mapping[str, int], Collection[str]]:
        """Return the images that text lists name in one folder, and the text lists that lie there."""
        return self._listed[visit.input].get(visit.path, {}), self._texts[visit.input].get(visit.path, {})

    def label_place(self, index: int, folder: int, place: str) -> Place:
        """Return the folder of the labels of the images in `place`: the same path below the label folder."""
        area = self.inputs[index].input.folders[folder]
        below = place[len(area.images) :].lstrip("/")
        return index, below_folder(area.labels, below) if below else area.labels

    def report(self, kind: str, path: str, message: str, severity: Severity = "error") -> None:
        """Add a problem at an absolute path."""
        self.problems.append(Problem(kind, severity, path, message))

    def judge_identity(self, visit: Visit, identity: tuple[int, int]) -> None:
        """Report an image folder that was reached before by another path: its images are there twice."""
        path = self.absolute(visit.input, visit.path)
        first = self._identities.setdefault(identity, path)
        if first != path:
            self.report("folder-twice", path, f"is the same folder as {first}: its images are there twice", "warning")


def _by_folder(paths: Iterable[tuple[str, int]]) -> dict[str, dict[str, int]]:
    folders: dict[str, dict[str, int]] = {}
    for path, number in paths:
        folders.setdefault(path.rpartition("/")[0], {})[path] = number
    return folders
