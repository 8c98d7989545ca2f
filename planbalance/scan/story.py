"""The scan as a story: walk, pair images with labels, hash images, put together."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple

from planbalance.errors import InputError
from planbalance.executor import autoscaler
from planbalance.executor.processes import ProcessPool, available_cores
from planbalance.executor.threads import without_collecting
from planbalance.executor.worker_pool import WorkerPool
from planbalance.inputs import FoundInput, common_names, empty_split, names_disagree, resolve_inputs
from planbalance.inputs.exports import read_class_list
from planbalance.labels import joined
from planbalance.model import (
    SPLITS,
    TRAINER_SUFFIXES,
    ImageFile,
    InputSpec,
    Overshoot,
    Problem,
    Progress,
    Silent,
    Snapshot,
)
from planbalance.scan import content
from planbalance.scan.content import LabelContent
from planbalance.scan.listing import below_folder
from planbalance.scan.walk import Images, Labels, Place, Tree, walk
from planbalance.text import counted, some

_CLASSES: Final = "classes"  # stem of the file that names the classes of the labels beside it
_UPLOADED: Final = re.compile("^[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file

_new_image: Final[Callable[[Iterable[Any]], ImageFile]] = partial(tuple.__new__, ImageFile)


def scan(
    specs: Sequence[InputSpec],
    *,
    hash_images: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
    found: Sequence[FoundInput] | None = None,
) -> Snapshot:
    """Return what lies in the inputs.

    Labels are judged against the class names of all inputs together. `jobs` is the number of workers; None measures
    how far away the files are. `found` are the inputs, where the caller has resolved them. Kinds of
    `Snapshot.problems`:

    * errors: `label-invalid` (one a line), `unreadable`, `dangling`, `name-refused`, `missing` (a text list names it),
      `label-beside` (another label lies beside the image), `label-misnamed` (a label without an image seems meant for
      images without a label), `npy-slices` (there are arrays and no image);
    * warnings: `orphan-label`, `split-overlap` (in two splits of the data set as it is), `link-loop`, `folder-twice`
      (one folder reached by two paths), `missing` (a split or a line of a text list that was passed over),
      `empty-split`, `layout-difference` and `moved` (see `inputs.FoundInput`), `jpeg-open-ended` (trainers write it
      anew), `labels-beside` (all labels lie where trainers do not look), `label-beside` (not read: `--labels` names
      others).

    Raises:
        InputError: as `inputs.resolve_inputs`; `class-names-disagree` where files `classes.txt` beside labels do, too.
        UsageError: as `inputs.resolve_inputs`.
    """
    found = resolve_inputs(specs) if found is None else found
    cores, most = available_cores(), autoscaler.LIMITS.most_processes
    count = min(cores, jobs or cores, most)
    with without_collecting(), ProcessPool(count) as processes:  # before a bar draws itself: that takes a thread
        progress = progress or Silent()
        return _scan(found, lambda: WorkerPool(jobs, processes, progress), progress, hash_images=hash_images)


def unread_suffixes(images: Iterable[ImageFile]) -> dict[str, int]:
    """Return the suffixes that stock trainers do not read (lower case, no dot), sorted, with the number of images."""
    counts: dict[str, int] = {}
    for image in images:
        suffix = image.path.rpartition(".")[2].lower()
        counts[suffix] = counts.get(suffix, 0) + 1
    return {suffix: counts[suffix] for suffix in sorted(counts.keys() - TRAINER_SUFFIXES)}


def _scan(
    found: Sequence[FoundInput], pool: Callable[[], WorkerPool], progress: Progress, *, hash_images: bool
) -> Snapshot:
    tree = Tree(found)
    with _stage(progress, "scan", None, "files"):
        walk(tree, pool())
    paired = _pair(tree)
    _name_classes(tree, paired)
    _judge_splits(tree, paired)
    if hash_images:
        with _stage(progress, "hash images", len(paired.images), "images"):
            _hash_images(tree, paired, pool())
    elif any(map(content.may_be_jpeg, {image.path[-5:] for image in paired.images})):
        jpegs = [image for image in paired.images if content.may_be_jpeg(image.path)]
        with _stage(progress, "check JPEGs", len(jpegs), "images"):
            _check_endings(tree, pool(), jpegs)
    return _snapshot(tree, paired)


@contextmanager
def _stage(progress: Progress, what: str, total: int | None, unit: str) -> Iterator[None]:
    progress.begin(what, total, unit)
    try:
        yield
    finally:
        progress.end()


# ---- images and their labels ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Paired:
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


def _pair(tree: Tree) -> _Paired:
    """Give every image its label, and report labels without an image."""
    used = [
        sorted({key[2] for key, images in tree.images.items() if images.names and key[0] == index})
        for index in range(len(tree.found))
    ]
    stems: dict[Place, set[str]] = {}
    lacking: dict[Place, list[str]] = {}  # images without a label
    alike: set[Place] = set()  # where each label has an image
    files: list[list[ImageFile]] = [[] for _ in tree.found]
    paired = _Paired([], used, [0] * len(tree.found), [0] * len(tree.found))
    for (index, place, folder), images in tree.images.items():
        label_place = tree.label_place(index, folder, place)
        taken = stems.setdefault(label_place, set())
        taken.update(tree.others.get((index, place), ()))
        if images.names:
            found = [name[: name.rfind(".")] for name in images.names]
            labels = tree.labels.get(label_place) or Labels()
            group = _Group(index, used[index].index(folder), place, label_place[1])
            if labels.are(found):
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


def _name_classes(tree: Tree, paired: _Paired) -> None:
    """Take the class names of the lists that lie among labels, for an input that nothing else names the classes of.

    labelImg writes a list into each folder that it saves labels in, and adds new classes at its end. Where all lists
    are the beginning of the longest one, that one names the classes of all.

    Raises InputError where lists disagree (an id means one class in one folder and another in the next), or where the
    longest has no name for a class.
    """
    for index, lists in paired.class_lists.items():
        found = tree.found[index]
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
                hint="Write all names into classes.txt in the dataset's folder, one a line, the first for class 0.",
                paths=(longest,),
            )
        tree.found[index] = found._replace(input=found.input._replace(names=names))
    common_names(one.input for one in tree.found)


def _judge_splits(tree: Tree, paired: _Paired) -> None:
    """Note the splits that a yaml names, whose folders or lists are there, and that hold no image."""
    for one, used in zip(tree.found, paired.used, strict=True):
        if one.yaml is None:
            continue
        folders = [one.input.folders[number] for number in used]
        filled = {split for folder in folders for split in one.splits_of(folder, folder.images)}
        filled.update(split for path, several in one.shared.items() if path in one.listed for split in several)
        for split, places in one.yaml.found.items():
            if split not in filled:
                tree.problems.append(empty_split(one.yaml.path, split, places[0]))


class _Group(NamedTuple):
    """Where the images of one folder and their labels lie."""

    input: int
    folder: int  # index among the image folders that are used
    place: str
    label_folder: str


class _LabelColumns(NamedTuple):
    """The labels of the images of one folder, in the order of the images."""

    names: list[str | None]  # None: there is none
    sizes: list[int]  # in bytes
    invalid: list[bool]
    contents: list[tuple[int, LabelContent]]  # position, what it holds: of labels with a byte
    empty: int  # labels without a byte


def _labels_alike(labels: Labels) -> _LabelColumns:
    """Return the labels of images that are their images one by one."""
    contents, sizes = list(labels.listed_contents.items()), labels.listed_sizes
    return _LabelColumns([*labels.listed], [*sizes], [False] * len(sizes), contents, sizes.count(0))


def _labels_by_stem(group: _Group, labels: Labels, stems: Sequence[str], paired: _Paired) -> _LabelColumns:
    """Return the labels of images, each looked up by its stem; count those that are missing or cannot be read."""
    labels.settle()
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
    tree: Tree, group: _Group, images: Images, labels: _LabelColumns, paired: _Paired
) -> Iterable[ImageFile]:
    """Return the images of one folder, made a column at a time; count and note what is to be said of their labels."""
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
    return map(_new_image, zip(*columns, strict=False))  # the columns that repeat are endless


def _note_label(paired: _Paired, path: str, read: LabelContent) -> None:
    if read.fault:
        paired.problems[path, 0] = Problem("unreadable", "error", path, read.fault)
    for line, reason in read.problems:
        paired.problems[path, line] = Problem("label-invalid", "error", f"{path}:{line}", reason)


def _report_orphans(tree: Tree, stems: Mapping[Place, set[str]], lacking: Mapping[Place, list[str]]) -> None:
    for place, taken in stems.items():
        labels = tree.labels[place]
        labels.settle()
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
    """Return the images without a label that a label without an image may be meant for, by the label's stem.

    So one label stands for several pictures of a slice (`case_1.txt` for `case_1_flair.png`), or a tool has added to
    one of the two names: a suffix, the 8 hexadecimal digits of an upload, letters in another case or Unicode form.
    """
    longer: dict[str, str] = {}  # what a label's name begins with, up to a character that parts words
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
    return unicodedata.normalize("NFC", _UPLOADED.sub("", stem)).casefold()


# ---- content --------------------------------------------------------------------------------------------------------


def _hash_images(tree: Tree, paired: _Paired, pool: WorkerPool) -> None:
    paths = [tree.absolute(image.input, image.path) for image in paired.images]
    told = pool.do(content.read_images, pool.cut(paths), weigh=len)
    for position, (path, found) in enumerate(zip(paths, chain.from_iterable(told), strict=True)):
        if found.fault:
            tree.report("unreadable", path, found.fault)
        if found.open_ended:
            _report_open_ended(tree, path)
        paired.images[position] = _new_image((*paired.images[position][:11], found.sha256, found.blank))


def _check_endings(tree: Tree, pool: WorkerPool, jpegs: list[ImageFile]) -> None:
    files = [(tree.absolute(image.input, image.path), image.size) for image in jpegs]
    told = pool.do(content.are_open_ended, pool.cut(files), weigh=len)
    for (path, _), is_open in zip(files, chain.from_iterable(told), strict=True):
        if is_open:
            _report_open_ended(tree, path)


def _report_open_ended(tree: Tree, path: str) -> None:
    tree.report(
        "jpeg-open-ended",
        path,
        "a JPEG that does not end in FF D9: YOLOv5 and Ultralytics before 8.4.175 write it anew, through a link too",
        "warning",
    )


# ---- the result -----------------------------------------------------------------------------------------------------


def _snapshot(tree: Tree, paired: _Paired) -> Snapshot:
    """Put together what was found and read; image folders without an image are left out."""
    inputs = tuple(
        one.input._replace(folders=tuple(one.input.folders[folder] for folder in folders))
        for one, folders in zip(tree.found, paired.used, strict=True)
    )
    numbered = [(path, line, problem) for (path, line), problem in paired.problems.items()]
    numbered += [(problem.path, 0, problem) for problem in tree.problems]
    numbered.sort(key=lambda item: (item[0], item[1], item[2].kind, item[2].message))
    named = {folder.split for one in tree.found for folder in one.input.folders}
    held = {folder.split for one in inputs for folder in one.folders}
    return Snapshot(
        inputs,
        paired.images,
        tuple(paired.missing),
        tuple(paired.empty),
        tuple(problem for _, _, problem in numbered),
        tree.leftovers + _caches_beside(tree),
        joined(paired.overshoots.values()),
        tree.yaml_keys,
        tuple(split for split in SPLITS if split in named - held),
        tuple(one.yaml for one in tree.found),
        tuple(difference for one in tree.found for difference in one.differences),
    )


def _caches_beside(tree: Tree) -> int:
    """Return how many `labels.cache` Ultralytics has left beside label folders, where no walk has counted them."""
    folders = {
        (index, one.input.folders[number].labels) for index, one in enumerate(tree.found) for number in one.walked
    }
    return sum(
        os.path.lexists(f"{tree.absolute(index, path)}.cache")
        for index, path in folders
        if path and (index, path.rpartition("/")[0]) not in tree.visited
    )
