"""Folders and files by name, size and time: the walk that lists each folder once.

Passed over without a word: hidden files and folders (`._x.png`, `.DS_Store`; the trainers' globs pass over them too)
and files of other kinds (`Thumbs.db`, reports). `*.cache` and `*.npy` are counted. Links are the user's and are
followed; a folder inside itself is cut by the device and inode of the folders above.
"""

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from planbalance.destination import RESERVED_PARTS
from planbalance.executor.worker_pool import WorkerPool
from planbalance.inputs import FoundInput, common_keys, common_names, label_folder
from planbalance.labels import KPT_SHAPE, keypoints_of
from planbalance.model import Folder, Problem, Severity
from planbalance.scan.content import LabelContent
from planbalance.scan.listing import (
    DANGLING,
    IS_FOLDER,
    Facts,
    Files,
    Listing,
    Visit,
    below_folder,
    list_folder,
    look_at,
    shown,
)
from planbalance.text import counted

Place = tuple[int, str]  # index of the input, path of a folder relative to its root


@dataclass(slots=True)
class Images:
    """Image files of one folder, a column each, sorted by name."""

    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # in bytes
    mtimes: list[int] = field(default_factory=list)  # in ns


@dataclass(slots=True)
class Labels:
    """The label files of one folder: as listed as long as that is enough, by stem once `settle` was called.

    Where each image has its label, as in most folders, the two lists are alike, and no stem is ever looked up.
    """

    listed: list[str] = field(default_factory=list)  # sorted by name, all `<stem>.txt`
    listed_sizes: list[int] = field(default_factory=list)  # in bytes
    listed_contents: dict[int, LabelContent] = field(default_factory=dict)  # by position, of those with a byte

    sizes: dict[str, int] = field(default_factory=dict)  # in bytes
    contents: dict[str, LabelContent] = field(default_factory=dict)  # of those with a byte
    names: dict[str, str] = field(default_factory=dict)  # where it is not `<stem>.txt`
    unread: set[str] = field(default_factory=set)  # stems of labels that are there and cannot be read
    twins: dict[str, tuple[int, LabelContent | None]] = field(default_factory=dict)  # by name, such as `a.TXT`

    def are(self, stems: Sequence[str]) -> bool:
        """Answer whether these are the stems of the labels, all of them and in their order."""
        return (
            not (self.sizes or self.unread)
            and len(self.listed) == len(stems)
            and self.listed == [f"{stem}.txt" for stem in stems]
        )

    def settle(self) -> None:
        """Sort by stem what is only listed so far."""
        stems = [name[:-4] for name in self.listed]
        self.sizes.update(zip(stems, self.listed_sizes, strict=True))
        self.contents.update({stems[index]: content for index, content in self.listed_contents.items()})
        self.listed, self.listed_sizes, self.listed_contents = [], [], {}


class Tree:
    """What was found so far; changed by the loop's thread only.

    Attributes:
        found: the inputs as resolved.
        images: by input, folder and index of the image folder.
        labels: by input and folder.
        others: stems of images that do not belong to the data set, by input and folder.
        beside: `.txt` files in folders where only images are sought, by input and folder.
        arrays: how many `.npy` files lie where images are sought, by input and folder.
        visited: the folders that were listed, or soon will be.
        leftovers: `*.cache` and `*.npy` files passed over.
        problems: with absolute paths, in no order.
        class_count: what labels are judged against; None where no input names its classes.
        yaml_keys: what the yaml files of all inputs say together.
        keypoints: what label lines must have, too; None where no yaml has `kpt_shape`.
    """

    def __init__(self, found: Sequence[FoundInput]) -> None:
        self.found = list(found)
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
        return self._starts[index] + path if path else self.found[index].input.root

    def named(self, visit: Visit) -> tuple[Mapping[str, int], Collection[str]]:
        """Return the images that text lists name in one folder, and the text lists that lie there."""
        return self._listed[visit.input].get(visit.path, {}), self._texts[visit.input].get(visit.path, {})

    def label_place(self, index: int, folder: int, place: str) -> Place:
        """Return where the labels of the images in `place` lie: at the same path below the label folder."""
        area = self.found[index].input.folders[folder]
        below = place[len(area.images) :].lstrip("/")
        return index, below_folder(area.labels, below) if below else area.labels

    def report(self, kind: str, path: str, message: str, severity: Severity = "error") -> None:
        """Note something wrong at an absolute path."""
        self.problems.append(Problem(kind, severity, path, message))

    def judge_identity(self, visit: Visit, identity: tuple[int, int]) -> None:
        """Note an image folder that was reached before by another path: its slices are there twice."""
        path = self.absolute(visit.input, visit.path)
        first = self._identities.setdefault(identity, path)
        if first != path:
            self.report("folder-twice", path, f"is the same folder as {first}: its images are there twice", "warning")


def _by_folder(paths: Iterable[tuple[str, int]]) -> dict[str, dict[str, int]]:
    folders: dict[str, dict[str, int]] = {}
    for path, number in paths:
        folders.setdefault(path.rpartition("/")[0], {})[path] = number
    return folders


def walk(tree: Tree, pool: WorkerPool) -> None:
    """List the image and label folders level by level, then what text lists name elsewhere."""
    level = _first_visits(tree.found)
    tree.visited.update((visit.input, visit.path) for visit in level)
    while level:
        level = _visit_level(tree, pool, level)
    _visit_level(tree, pool, _visits_of_lists(tree))
    if tree.beside:
        _judge_beside(tree, pool)
    _judge_arrays(tree)
    for place, labels in tree.labels.items():
        _settle_twins(tree, place, labels)
    for index, one in enumerate(tree.found):
        if one.listed:
            _judge_listed(tree, index, one.listed)


class _Beside(NamedTuple):
    """Labels that lie beside their images in one folder, while labels are sought in another."""

    place: Place
    folder: int  # index of the image folder
    names: list[str]  # `<stem>.txt`, sorted


def _judge_beside(tree: Tree, pool: WorkerPool) -> None:
    """Take labels that lie only beside their images for the labels; note where there are others at the place sought.

    labelImg saves a label beside its picture. To read such an image without it would turn a finding into background.
    """
    beside = list(_beside_images(tree))
    for index in sorted({one.place[0] for one in beside}):
        own = [one for one in beside if one.place[0] == index]
        if not tree.found[index].apart and not _has_labels(tree, index):
            _take_beside(tree, pool, index, own)
        elif any(other := _other_labels(tree, pool, own)):
            _report_two_places(tree, index, own, other)


def _beside_images(tree: Tree) -> Iterator[_Beside]:
    for (index, place, folder), images in tree.images.items():
        names = tree.beside.get((index, place))
        if names and tree.label_place(index, folder, place) != (index, place):
            stems = {name[: name.rfind(".")] for name in images.names}
            own = sorted(name for name in names if name[:-4] in stems)
            if own:
                yield _Beside((index, place), folder, own)


def _has_labels(tree: Tree, index: int) -> bool:
    """Answer whether an image of an input has a label where labels are sought."""
    for (owner, place, folder), images in tree.images.items():
        if owner == index and (labels := tree.labels.get(tree.label_place(index, folder, place))):
            stems = {name[: name.rfind(".")] for name in images.names}
            if any(name[:-4] in stems for name in (*labels.listed, *labels.twins)) or stems & labels.sizes.keys():
                return True
    return False


def _take_beside(tree: Tree, pool: WorkerPool, index: int, beside: Sequence[_Beside]) -> None:
    """Read labels beside the images, as if they had been sought there; say that trainers would not find them."""
    found = tree.found[index]
    roots = _common_roots(found.input.folders)
    folders = tuple(folder._replace(labels=folder.images) for folder in found.input.folders)
    tree.found[index] = found._replace(input=found.input._replace(folders=folders))
    leftovers = tree.leftovers  # counted when the folders were listed first
    _visit_level(
        tree, pool, [Visit(index, place, labels=True, deep=False) for _, place in {one.place for one in beside}]
    )
    tree.leftovers = leftovers
    images, _ = roots or (beside[0].place[1], "")
    folder = tree.absolute(index, images)
    if label_folder(folder) != folder:
        files = sum(len(one.names) for one in beside)
        message = (
            f"{files:,} labels lie beside their images, and are read there. YOLOv5 and Ultralytics look for them in "
            f"{label_folder(folder)} and would find none; `apply` puts them where trainers look"
        )
        tree.report("labels-beside", folder, message, "warning")


class _Others(NamedTuple):
    """Labels with content beside their images, relative to the input's root, by what lies where labels are sought."""

    missing: list[str]
    empty: list[str]
    different: list[str]


def _other_labels(tree: Tree, pool: WorkerPool, beside: Sequence[_Beside]) -> _Others:
    """Compare the labels beside images with those at the place sought; an empty one beside an image says nothing."""
    files = [Files(tree.absolute(*one.place), one.names, labels=True, class_count=tree.class_count) for one in beside]
    told = chain.from_iterable(pool.do(look_at, ([each] for each in files), weigh=lambda batch: len(batch[0].names)))
    others = _Others([], [], [])
    for one, facts in zip(beside, told, strict=True):
        labels = tree.labels.get(tree.label_place(one.place[0], one.folder, one.place[1])) or Labels()
        labels.settle()
        for position, read in facts.contents:
            name = one.names[position]
            sought = labels.contents.get(name[:-4])
            if sought is not None and sought.annotations:
                kind = others.different if sought.sha256 != read.sha256 else None
            else:
                kind = others.empty if name[:-4] in labels.sizes else others.missing
            if kind is not None and read.annotations:
                kind.append(below_folder(one.place[1], name))
    return others


def _report_two_places(tree: Tree, index: int, beside: Sequence[_Beside], others: _Others) -> None:
    """Note images with a label beside them and none, or another, at the place sought; name the line that decides."""
    found = tree.found[index]
    folders = found.input.folders
    roots = _common_roots(folders)
    folder = folders[beside[0].folder]
    images, labels = (tree.absolute(index, path) for path in roots or (folder.images, folder.labels))
    paths = sorted(path for several in others for path in several)
    counts = ", ".join(f"{len(several):,} {kind}" for kind, several in others._asdict().items() if several)
    what = f"{counted(len(paths), 'image')} with a label beside that is not the one in {labels} ({counts} there)"
    what = f"{what}, such as {paths[0]}"
    if found.apart and _has_labels(tree, index):
        tree.report("label-beside", images, f"{what}; those in {labels} are read, as --labels says", "warning")
    elif roots is None:
        message = f"{what}: findings would become background. Keep one of the two: move the other .txt files away"
        tree.report("label-beside", images, message)
    else:
        choice = f"If the labels beside the images are right, give {_roots(images, images)}"
        choice += "" if found.apart else f"; if the others are, give {_roots(images, labels)}"
        tree.report("label-beside", images, f"{what}: findings would become background. {choice}")


def _common_roots(folders: Sequence[Folder]) -> tuple[str, str] | None:
    """Return the folders that hold all images and all labels by equal paths, or None."""
    images = os.path.commonpath([folder.images for folder in folders])
    labels = os.path.commonpath([folder.labels for folder in folders])
    cut, label_cut = (len(below_folder(root, "")) for root in (images, labels))
    alike = all(folder.images[cut:] == folder.labels[label_cut:] for folder in folders)
    return (images, labels) if alike else None


def _roots(images: str, labels: str) -> str:
    return f"--images {shlex.quote(images)} --labels {shlex.quote(labels)}"


def _judge_arrays(tree: Tree) -> None:
    """Note `.npy` files where an input has no image: trainers take one for the cache of an image beside it only.

    Ultralytics and YOLOv5 read `<stem>.npy` in place of an image whose path they have (`load_image`), nowhere else.
    """
    with_images = {index for (index, _, _), images in tree.images.items() if images.names}
    for (index, path), count in tree.arrays.items():
        if index not in with_images:
            message = (
                f"holds {counted(count, '.npy file')}, and there is no image: YOLOv5 and Ultralytics read a .npy file "
                "only as the cache of an image of the same name beside it"
            )
            tree.report("npy-slices", tree.absolute(index, path), message)


def _settle_twins(tree: Tree, place: Place, labels: Labels) -> None:
    """Take `a.TXT` for the label of `a.png` where there is no `a.txt`: a label overlooked turns a tear into none."""
    if labels.twins:
        labels.settle()
    for name in sorted(labels.twins):
        stem = name.rpartition(".")[0]
        if stem in labels.sizes:
            path = tree.absolute(place[0], below_folder(place[1], name))
            tree.report("orphan-label", path, "another label has this name, in other letters of its suffix", "warning")
        else:
            labels.sizes[stem], content = labels.twins[name]
            labels.names[stem] = name
            if content is not None:
                labels.contents[stem] = content


def _judge_listed(tree: Tree, index: int, listed: Mapping[str, int]) -> None:
    seen = {
        below_folder(place, name)
        for (owner, place, _), images in tree.images.items()
        if owner == index
        for name in images.names
    }
    for path in sorted(listed.keys() - seen):
        tree.report("missing", shown(tree.absolute(index, path)), "a text list names it, but no such image was found")


# ---- which folders --------------------------------------------------------------------------------------------------


def _first_visits(found: Sequence[FoundInput]) -> list[Visit]:
    """Return the roots of all image and label folders; one visit serves both where labels lie beside the images."""
    visits: dict[Place, Visit] = {}
    for index, one in enumerate(found):
        for number in one.walked:
            path = one.input.folders[number].images
            visits[index, path] = Visit(index, path, folder=number, images=True)
        for number in one.walked:
            path = one.input.folders[number].labels
            visit = visits.get((index, path), Visit(index, path, optional=True))
            visits[index, path] = visit._replace(labels=True)
    return list(visits.values())


def _visits_of_lists(tree: Tree) -> list[Visit]:
    """Return the folders of listed images, and of their labels, that no walk has reached."""
    visits: dict[Place, Visit] = {}
    for index, one in enumerate(tree.found):
        places = dict.fromkeys((path.rpartition("/")[0], folder) for path, folder in one.listed.items())
        for place, folder in places:
            for images, key in ((True, (index, place)), (False, tree.label_place(index, folder, place))):
                if key not in tree.visited:
                    visit = visits.get(key, Visit(index, key[1], deep=False, optional=True))
                    visits[key] = visit._replace(images=True) if images else visit._replace(labels=True)
    return list(visits.values())


def _below(tree: Tree, listing: Listing) -> Iterator[Visit]:
    """Yield the visits of a folder's sub-folders; image and label folders of their own have a visit already."""
    visit = listing.visit
    if not visit.deep:
        return
    above = visit.above | {listing.identity}
    for name in sorted(listing.folders):
        key = (visit.input, below_folder(visit.path, name))
        if key in tree.visited:
            continue
        if name not in RESERVED_PARTS:
            tree.visited.add(key)
            yield visit._replace(path=key[1], above=above, optional=False)
        elif visit.images:
            message = "a folder of this name hides the labels from trainers, who replace the last /images/ of a path"
            tree.report("name-refused", tree.absolute(*key), message)


# ---- one level ------------------------------------------------------------------------------------------------------


class _ToList(NamedTuple):
    """A folder to list."""

    visit: Visit
    path: str  # absolute
    listed: Mapping[str, int]  # as `FoundInput` has them, like the texts: those in this folder
    texts: Collection[str]


def _list(folder: _ToList) -> Listing:
    visit, path, listed, texts = folder
    listing = list_folder(visit, path, listed)
    if texts:  # a text list that lies beside labels is none
        listing.labels = [name for name in listing.labels if below_folder(visit.path, name) not in texts]
        listing.beside = [name for name in listing.beside if below_folder(visit.path, name) not in texts]
    return listing


class _Chunk(NamedTuple):
    """Some files of one folder, images or labels."""

    listing: Listing
    images: bool
    names: list[str]


def _visit_level(tree: Tree, pool: WorkerPool, level: list[Visit]) -> list[Visit]:
    """List the folders, look at every file that counts, and return the folders below."""
    listings: list[Listing] = []
    chunks: list[_Chunk] = []

    folders = [_ToList(visit, tree.absolute(visit.input, visit.path), *tree.named(visit)) for visit in level]

    def batches() -> Iterator[list[Files]]:
        for batch in _batches(pool.each(_list, folders), listings, pool):
            chunks.extend(batch)
            yield [_files(tree, chunk) for chunk in batch]

    told = pool.do(look_at, batches(), weigh=lambda batch: sum(len(files.names) for files in batch))
    for listing in listings:
        tree.problems += listing.problems
        tree.leftovers += listing.leftovers
        if listing.visit.images and listing.listed:
            tree.judge_identity(listing.visit, listing.identity)
            place = listing.visit.input, listing.visit.path
            tree.others[place] = listing.others
            if listing.beside:
                tree.beside[place] = listing.beside
            if listing.arrays:
                tree.arrays[place] = listing.arrays
        if listing.visit.labels:
            tree.labels[listing.visit.input, listing.visit.path] = Labels()
    for chunk, facts in zip(chunks, chain.from_iterable(told), strict=True):
        _take(tree, chunk, facts)
    return [visit for listing in listings for visit in _below(tree, listing)]


def _files(tree: Tree, chunk: _Chunk) -> Files:
    visit = chunk.listing.visit
    return Files(
        tree.absolute(visit.input, visit.path), chunk.names, not chunk.images, tree.class_count, tree.keypoints
    )


def _batches(found: Iterable[Listing], listings: list[Listing], pool: WorkerPool) -> Iterator[list[_Chunk]]:
    """Cut what the folders hold into batches, small folders together, and note each folder in `listings`."""
    batch: list[_Chunk] = []
    room = pool.calls_a_batch
    for listing in found:
        listings.append(listing)
        for images, names in ((True, listing.images), (False, listing.labels)):
            start = 0
            while start < len(names):
                part = names[start : start + room]
                batch.append(_Chunk(listing, images, part))
                start += len(part)
                room -= len(part)
                if not room:
                    yield batch
                    batch, room = [], pool.calls_a_batch
    if batch:
        yield batch


def _take(tree: Tree, chunk: _Chunk, facts: Facts) -> None:
    """Add a chunk's outcome to the tree; folders that are named like files wait for the next level."""
    listing = chunk.listing
    visit = listing.visit
    if facts.faults:
        _take_faults(tree, chunk, facts)
    if not chunk.images:
        _take_labels(tree.labels[visit.input, visit.path], chunk.names, facts)
    elif facts.faults or tree.found[visit.input].listed:
        _take_some_images(tree, visit, chunk.names, facts)
    else:
        images = tree.images.setdefault((visit.input, visit.path, visit.folder or 0), Images())
        images.names += chunk.names
        images.sizes += facts.sizes
        images.mtimes += facts.mtimes


def _take_labels(labels: Labels, names: list[str], facts: Facts) -> None:
    start = len(labels.listed)
    if not facts.faults and "\n".join((*names, "")).count(".txt\n") == len(names):
        labels.listed += names
        labels.listed_sizes += facts.sizes
        labels.listed_contents.update([(start + index, content) for index, content in facts.contents])
        return
    contents = {names[index]: content for index, content in facts.contents}
    read = [(name, size) for name, size in zip(names, facts.sizes, strict=True) if size >= 0]
    twins = [(name, size) for name, size in read if not name.endswith(".txt")]
    labels.twins.update([(name, (size, contents.pop(name, None))) for name, size in twins])
    labels.sizes.update([(name[:-4], size) for name, size in read if name.endswith(".txt")])
    labels.contents.update([(name[:-4], content) for name, content in contents.items()])


def _take_faults(tree: Tree, chunk: _Chunk, facts: Facts) -> None:
    listing = chunk.listing
    visit = listing.visit
    unread = []
    for index, fault in facts.faults:
        name = chunk.names[index]
        if fault == IS_FOLDER:
            listing.folders.append(name)
            continue
        unread.append(name)
        path = tree.absolute(visit.input, below_folder(visit.path, name))
        tree.report("dangling" if fault == DANGLING else "unreadable", path, fault)
    if chunk.images:
        listing.others.update(name.rpartition(".")[0] for name in unread)
    else:
        labels = tree.labels[visit.input, visit.path]
        labels.twins.update((name, (0, None)) for name in unread)
        labels.unread.update(name.rpartition(".")[0] for name in unread)


def _take_some_images(tree: Tree, visit: Visit, names: Iterable[str], facts: Facts) -> None:
    """Add the images that could be read and belong to the data set, each to its own image folder."""
    listed = tree.found[visit.input].listed
    for name, size, mtime in zip(names, facts.sizes, facts.mtimes, strict=True):
        folder = listed.get(below_folder(visit.path, name), visit.folder) if listed else visit.folder or 0
        if size >= 0 and folder is not None:
            images = tree.images.setdefault((visit.input, visit.path, folder), Images())
            images.names.append(name)
            images.sizes.append(size)
            images.mtimes.append(mtime)
