"""Pair images with their labels, report labels without an image, and take class names that lie among labels."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

from planbalance.destination import fold
from planbalance.errors import InputError
from planbalance.inputs import common_names, names_disagree
from planbalance.inputs.exports import read_class_list
from planbalance.model import ImageFile, Overshoot, Problem
from planbalance.scan.content import LabelContent
from planbalance.scan.listing import below_folder
from planbalance.scan.scan_tree import Images, Labels, Place, ScanTree
from planbalance.text import counted, some

_CLASSES: Final = "classes"  # stem of the file with the class names of the labels beside it


_UPLOADED: Final = re.compile("^[0-9a-f]{8}-")  # Label Studio puts it before the name of an uploaded file


new_image: Final[Callable[[Iterable[Any]], ImageFile]] = partial(tuple.__new__, ImageFile)


@dataclass(slots=True)
class Paired:
    """The images, sorted, with their labels.

    Attributes:
        images: of all inputs.
        used: per input, the indices of the image folders that hold an image.
        missing: per input, images without a label.
        empty: per input, labels without a byte or with white space only.
        problems: (path of a label, line) -> what is wrong there; two images may share one label.
        overshoots: path of a label -> its lines that reach a little beyond the image.
        class_lists: per input, paths of files `classes.txt` among labels, relative to its root.
    """

    images: list[ImageFile]
    used: list[list[int]]
    missing: list[int]
    empty: list[int]
    problems: dict[tuple[str, int], Problem] = field(default_factory=dict)
    overshoots: dict[str, Overshoot] = field(default_factory=dict)
    class_lists: dict[int, list[str]] = field(default_factory=dict)


def pair(tree: ScanTree) -> Paired:
    """Find the label of every image, and report labels without an image."""
    used = [
        sorted({key[2] for key, images in tree.images.items() if images.names and key[0] == index})
        for index in range(len(tree.inputs))
    ]
    stems: dict[Place, set[str]] = {}
    lacking: dict[Place, list[str]] = {}  # images without a label
    alike: set[Place] = set()  # where each label has an image
    files: list[list[ImageFile]] = [[] for _ in tree.inputs]
    paired = Paired([], used, [0] * len(tree.inputs), [0] * len(tree.inputs))
    for (index, place, folder), images in tree.images.items():
        label_place = tree.label_place(index, folder, place)
        taken = stems.setdefault(label_place, set())
        taken.update(tree.others.get((index, place), ()))
        if images.names:
            found = [name[: name.rfind(".")] for name in images.names]
            labels = tree.labels.get(label_place) or Labels()
            group = _ImageFolder(index, used[index].index(folder), place, label_place[1])
            if labels.match(found):
                alike.add(label_place)
                columns = _labels_alike(labels)
            else:
                taken.update(found)
                columns = _labels_by_stem(group, labels, found, paired)
                if None in columns.names:
                    pairs = zip(images.names, columns.names, strict=True)
                    lacking.setdefault(label_place, []).extend(name for name, label in pairs if label is None)
            files[index] += _image_files(tree, group, images, columns, paired)
    for several in files:
        several.sort(key=itemgetter(2))  # by path: the order of code points is the order of UTF-8 bytes
    paired.images = list(chain.from_iterable(files))
    unlike = {place: stems.get(place, set()) for place in tree.labels if place not in alike}
    _report_orphans(tree, unlike, lacking)
    for (index, folder_of_labels), taken in unlike.items():
        if _CLASSES in tree.labels[index, folder_of_labels].sizes.keys() - taken:
            paired.class_lists.setdefault(index, []).append(below_folder(folder_of_labels, f"{_CLASSES}.txt"))
    return paired


def name_classes(tree: ScanTree, paired: Paired) -> None:
    """Take the class names of the lists that lie among labels, for an input that nothing else names the classes of.

    labelImg writes a list into each folder that it saves labels in, and adds new classes at its end. Where all lists
    are the beginning of the longest one, that one names the classes of all.

    Raises InputError where lists disagree (an id means one class in one folder and another in the next), or where the
    longest has no name for a class.
    """
    for index, lists in paired.class_lists.items():
        found = tree.inputs[index]
        paths = [tree.absolute(index, path) for path in sorted(lists)]
        told = {path: names for path in paths if found.input.names is None and (names := read_class_list(path))}
        if not told:
            continue
        longest, names = max(told.items(), key=lambda one: len(one[1]))
        for path, others in told.items():
            if others != names[: len(others)]:
                raise names_disagree((longest, names), (path, others))
        highest = max(
            (max(image.classes) for image in paired.images if image.input == index and image.classes), default=0
        )
        if highest >= len(names):
            raise InputError(
                f"{longest} names {counted(len(names), 'class', 'classes')}, but labels hold class {highest}.",
                kind="class-list",
                hint="Write all names into classes.txt in the dataset's folder, one per line, the first for class 0.",
                paths=(longest,),
            )
        tree.inputs[index] = found._replace(input=found.input._replace(names=names))
    common_names(one.input for one in tree.inputs)


class _ImageFolder(NamedTuple):
    """One folder with images, and the folder of their labels."""

    input: int
    folder: int  # index among the image folders that are used
    place: str
    label_folder: str


class _LabelColumns(NamedTuple):
    """The labels of the images of one folder, in the order of the images."""

    names: list[str | None]  # None: there is none
    sizes: list[int]  # in bytes
    invalid: list[bool]
    contents: list[tuple[int, LabelContent]]  # position and content, of labels that are not empty
    empty: int  # labels without a byte


def _labels_alike(labels: Labels) -> _LabelColumns:
    """Return the labels of a folder where every image has one, in the same order."""
    contents, sizes = list(labels.listed_contents.items()), labels.listed_sizes
    return _LabelColumns([*labels.listed], [*sizes], [False] * len(sizes), contents, sizes.count(0))


def _labels_by_stem(group: _ImageFolder, labels: Labels, stems: Sequence[str], paired: Paired) -> _LabelColumns:
    """Return the labels of images, each looked up by its stem; count those that are missing or cannot be read."""
    labels.index_by_stem()
    told = list(map(labels.sizes.get, stems))
    names = [None if size is None else f"{stem}.txt" for size, stem in zip(told, stems, strict=True)]
    if labels.names:
        names = [labels.names.get(stem, name) for stem, name in zip(stems, names, strict=True)]
    invalid = [stem in labels.unread for stem in stems] if labels.unread else [False] * len(stems)
    paired.missing[group.input] += names.count(None)
    empty = told.count(0)
    if labels.unread:
        empty -= sum(size == 0 and bad for size, bad in zip(told, invalid, strict=True))
    contents = [(index, read) for index, read in enumerate(map(labels.contents.get, stems)) if read is not None]
    return _LabelColumns(names, [size or 0 for size in told], invalid, contents, empty)


def _image_files(
    tree: ScanTree, group: _ImageFolder, images: Images, labels: _LabelColumns, paired: Paired
) -> Iterable[ImageFile]:
    """Return the images of one folder, made a column at a time; count empty labels and collect problems."""
    start, label_start = below_folder(group.place, ""), below_folder(group.label_folder, "")
    names = [None if name is None else label_start + name for name in labels.names]
    paired.empty[group.input] += labels.empty
    _, sizes, invalid, contents, _ = labels
    sums, annotations = [""] * len(names), [0] * len(names)
    classes: list[tuple[int, ...]] = [()] * len(names)
    for index, read in contents:
        sizes[index], sums[index], annotations[index], classes[index], *_ = read
        invalid[index] = bool(read.problems or read.fault)
        if invalid[index]:
            _note_label(paired, tree.absolute(group.input, names[index] or ""), read)
        elif not read.annotations:
            paired.empty[group.input] += 1
    paired.overshoots |= {
        tree.absolute(group.input, names[index] or ""): read.overshoot for index, read in contents if read.overshoot
    }
    columns = (
        repeat(group.input),
        repeat(group.folder),
        [start + name for name in images.names],
        images.sizes,
        images.mtimes,
        names,
        sizes,
        sums,
        annotations,
        classes,
        invalid,
        repeat(""),
        repeat(object=False),
    )
    return map(new_image, zip(*columns, strict=False))  # `repeat` has no end


def _note_label(paired: Paired, path: str, read: LabelContent) -> None:
    if read.fault:
        paired.problems[path, 0] = Problem("unreadable", "error", path, read.fault)
    for line, reason in read.problems:
        paired.problems[path, line] = Problem("label-invalid", "error", f"{path}:{line}", reason)


def _report_orphans(tree: ScanTree, stems: Mapping[Place, set[str]], lacking: Mapping[Place, list[str]]) -> None:
    for place, taken in stems.items():
        labels = tree.labels[place]
        labels.index_by_stem()
        orphans = labels.sizes.keys() - taken - {_CLASSES}
        meant = _images_meant(orphans, lacking[place]) if orphans and place in lacking else {}
        for stem in orphans:
            name = labels.names.get(stem) or f"{stem}.txt"
            path = tree.absolute(place[0], below_folder(place[1], name))
            read = labels.contents.get(stem)
            if stem in meant and read is not None and (read.annotations or read.fault):
                images = some(sorted(meant[stem]), 2)
                message = f"no image has this name; it seems meant for {images}, which would become background"
                tree.report("label-misnamed", path, f"{message} without a label")
            else:
                tree.report("orphan-label", path, "no image has this name", "warning")


def _images_meant(orphans: Iterable[str], images: Iterable[str]) -> dict[str, list[str]]:
    """Return the images without a label that a label without an image may belong to, by the label's stem.

    One label may stand for several images of a slice (`case_1.txt` for `case_1_flair.png`). Or a tool has changed one
    of the two names: a suffix, the 8 hexadecimal digits of an upload, another case or Unicode form.
    """
    longer: dict[str, str] = {}  # beginning of a label's name, up to a character that separates words -> the name
    alike: dict[str, str] = {}
    for stem in sorted(orphans):
        longer.update((begin, stem) for begin in _beginnings(stem))
        alike[_folded(stem)] = stem
    meant: dict[str, list[str]] = {}
    known = set(alike.values())
    for image in images:
        stem = image.rpartition(".")[0]
        found = next((begin for begin in _beginnings(stem) if begin in known), None)
        found = found or longer.get(stem) or alike.get(_folded(stem))
        if found is not None:
            meant.setdefault(found, []).append(image)
    return meant


def _beginnings(stem: str) -> Iterator[str]:
    """Yield the beginnings of a name that end before a character other than a letter or digit, the longest first."""
    return (stem[:end] for end in range(len(stem) - 1, 0, -1) if not stem[end].isalnum())


def _folded(stem: str) -> str:
    return fold(_UPLOADED.sub("", stem))
