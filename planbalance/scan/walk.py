"""Folders and files by name, size and time: the walk that lists each folder once.

Passed over without a word: hidden files and folders (`._x.png`, `.DS_Store`; the trainers' globs pass over them too)
and files of other kinds (`Thumbs.db`, reports). `*.cache` and `*.npy` are counted. Links are the user's and are
followed; a folder inside itself is cut by the device and inode of the folders above.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance.destination import RESERVED_PARTS, text_fault
from planbalance.inputs import FoundInput
from planbalance.model import IMAGE_SUFFIXES, Problem, Severity
from planbalance.pool import batched
from planbalance.scan.crew import Crew

FOLDERS_A_BATCH: Final = 8
STATS_A_BATCH: Final = 2048
_SAMPLE: Final = 32  # calls that are timed before the number of workers is chosen

_IMAGE, _LABEL, _LEFTOVER = 1, 2, 3
_KINDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(IMAGE_SUFFIXES, _IMAGE),
    "txt": _LABEL,
    "cache": _LEFTOVER,
    "npy": _LEFTOVER,
}
_REGULAR, _FOLDER, _TYPE = 0o100000, 0o040000, 0o170000  # st_mode (inode(7))
_IS_FOLDER: Final = "is a folder"
_DANGLING: Final = "is a link to nothing"

ImageRecord = tuple[str, int, int]  # name, size in bytes, mtime in ns; plain tuples, for there is one for each file
Place = tuple[int, str]  # index of the input, path of a folder relative to its root


class Visit(NamedTuple):
    """A folder to list."""

    input: int
    path: str  # relative to the input's root
    folder: int | None = None  # the image folder it belongs to; None: only what text lists name counts
    images: bool = False  # images are wanted
    labels: bool = False  # labels are wanted
    deep: bool = True  # sub-folders too
    optional: bool = False  # it need not be there: a label folder
    above: frozenset[tuple[int, int]] = frozenset()  # device and inode of the folders above


@dataclass(slots=True)
class Labels:
    """The label files of one folder, by stem."""

    sizes: dict[str, int] = field(default_factory=dict)  # in bytes
    names: dict[str, str] = field(default_factory=dict)  # where it is not `<stem>.txt`
    unread: set[str] = field(default_factory=set)  # stems of labels that are there and cannot be read
    twins: dict[str, int] = field(default_factory=dict)  # sizes by name, such as `a.TXT`, until all are known


class Tree:
    """What was found so far; changed by the loop's thread only.

    Attributes:
        found: the inputs as resolved.
        images: by input, folder and index of the image folder.
        labels: by input and folder.
        others: stems of images that do not belong to the data set, by input and folder.
        visited: the folders that were listed, or soon will be.
        leftovers: `*.cache` and `*.npy` files passed over.
        problems: with absolute paths, in no order.
    """

    def __init__(self, found: Sequence[FoundInput]) -> None:
        self.found = found
        self.images: dict[tuple[int, str, int], list[ImageRecord]] = {}
        self.labels: dict[Place, Labels] = {}
        self.others: dict[Place, set[str]] = {}
        self.visited: set[Place] = set()
        self.leftovers = 0
        self.problems: list[Problem] = [problem for one in found for problem in one.problems]
        self._identities: dict[tuple[int, int], str] = {}  # of image folders
        self._starts = [one.input.root.rstrip("/") + "/" for one in found]

    def absolute(self, index: int, path: str) -> str:
        """Return the absolute path of a file or folder of an input."""
        return self._starts[index] + path if path else self.found[index].input.root

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


def below_folder(folder: str, name: str) -> str:
    """Return the path of a name in a folder; both are relative, the folder may be `""`."""
    return f"{folder}/{name}" if folder else name


async def walk(tree: Tree, crew: Crew) -> None:
    """List the image and label folders level by level, then what text lists name elsewhere."""
    level = _first_visits(tree.found)
    tree.visited.update((visit.input, visit.path) for visit in level)
    while level:
        level = await _visit_level(tree, crew, level)
    await _visit_level(tree, crew, _visits_of_lists(tree))
    for index, one in enumerate(tree.found):
        for text in one.texts:
            _forget_text(tree, index, text)
    for place, labels in tree.labels.items():
        _settle_twins(tree, place, labels)
    for index, one in enumerate(tree.found):
        if one.listed:
            _judge_listed(tree, index, one.listed)


def _forget_text(tree: Tree, index: int, text: str) -> None:
    """Take a text list that lies beside labels out of them."""
    place, _, name = text.rpartition("/")
    labels = tree.labels.get((index, place))
    if labels is not None:
        labels.twins.pop(name, None)
        if name.endswith(".txt"):
            labels.sizes.pop(name[:-4], None)


def _settle_twins(tree: Tree, place: Place, labels: Labels) -> None:
    """Take `a.TXT` for the label of `a.png` where there is no `a.txt`: a label overlooked turns a tear into none."""
    for name in sorted(labels.twins):
        stem = name.rpartition(".")[0]
        if stem in labels.sizes:
            path = tree.absolute(place[0], below_folder(place[1], name))
            tree.report("orphan-label", path, "another label has this name, in other letters of its suffix", "warning")
        else:
            labels.sizes[stem] = labels.twins[name]
            labels.names[stem] = name


def _judge_listed(tree: Tree, index: int, listed: Mapping[str, int]) -> None:
    seen = {
        below_folder(place, name)
        for (owner, place, _), images in tree.images.items()
        if owner == index
        for name, _, _ in images
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


def _below(tree: Tree, listing: "_Listing") -> Iterator[Visit]:
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


@dataclass(slots=True)
class _Listing:
    """What one folder holds: directory entries, by what their names say."""

    visit: Visit
    identity: tuple[int, int] = (0, 0)
    images: "list[os.DirEntry[str]]" = field(default_factory=list)
    labels: "list[os.DirEntry[str]]" = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    leftovers: int = 0
    listed: bool = False  # false: not there, unreadable, or a loop
    problems: list[Problem] = field(default_factory=list)


class _Chunk(NamedTuple):
    """Entries of one folder that wait for their `stat`."""

    listing: _Listing
    images: bool  # else labels
    entries: "list[os.DirEntry[str]]"


@dataclass(slots=True)
class _Stats:
    """The outcome of a chunk."""

    chunk: _Chunk
    images: list[ImageRecord] = field(default_factory=list)
    labels: list[tuple[str, int]] = field(default_factory=list)  # stem, size of `<stem>.txt`
    twins: list[tuple[str, int]] = field(default_factory=list)  # name, size of `<stem>.TXT`
    faults: list[tuple[str, str]] = field(default_factory=list)  # name, what is wrong


async def _visit_level(tree: Tree, crew: Crew, level: list[Visit]) -> list[Visit]:
    """List the folders, take one `stat` of every file that counts, and return the folders below."""
    listings = await crew.do(
        lambda visits: [_list_folder(tree, visit) for visit in visits],
        batched(level, FOLDERS_A_BATCH),
        weigh=lambda _: 0,
    )
    chunks = [chunk for listing in listings for chunk in _chunks(listing)]
    stats: list[_Stats] = []
    if chunks and not crew.measured and len(chunks[0].entries) > _SAMPLE:
        sample, rest = chunks[0].entries[:_SAMPLE], chunks[0].entries[_SAMPLE:]
        stats += await crew.measure(_stat_all, [chunks[0]._replace(entries=sample)], _SAMPLE)
        chunks[0] = chunks[0]._replace(entries=rest)
    stats += await crew.do(_stat_all, _grouped(chunks), weigh=_entries)
    for listing in listings:
        tree.problems += listing.problems
        tree.leftovers += listing.leftovers
        if listing.visit.images and listing.listed:
            tree.judge_identity(listing.visit, listing.identity)
            tree.others[listing.visit.input, listing.visit.path] = listing.others
        if listing.visit.labels:
            tree.labels[listing.visit.input, listing.visit.path] = Labels()
    for found in stats:
        _take(tree, found)
    return [visit for listing in listings for visit in _below(tree, listing)]


def _list_folder(tree: Tree, visit: Visit) -> _Listing:
    """List one folder, in a worker thread."""
    listing = _Listing(visit)
    path = tree.absolute(visit.input, visit.path)
    try:
        facts = os.stat(path)
        listing.identity = (facts.st_dev, facts.st_ino)
        if listing.identity in visit.above:
            listing.problems.append(Problem("link-loop", "warning", path, "leads back to a folder above: not followed"))
            return listing
        with os.scandir(path) as entries:
            _sort_entries(listing, entries, tree.found[visit.input].listed)
        listing.listed = True
    except OSError as error:
        if not (visit.optional and isinstance(error, FileNotFoundError | NotADirectoryError)):
            listing.problems.append(
                Problem("unreadable", "error", path, f"the folder cannot be read: {error.strerror}")
            )
    return listing


def _sort_entries(listing: _Listing, entries: "Iterable[os.DirEntry[str]]", listed: Mapping[str, int]) -> None:
    """Sort a folder's entries into images, labels, folders and leftovers, by the name where the name says it."""
    visit = listing.visit
    wanted = {_IMAGE: listing.images if visit.images else None, _LABEL: listing.labels if visit.labels else None}
    last, kind, place = "", 0, wanted.get(0)
    for entry in entries:
        name = entry.name
        stem, _, suffix = name.rpartition(".")
        if not stem:
            suffix = ""  # a name without a dot, or hidden
        if suffix != last:  # a folder's files mostly have one suffix
            last, kind = suffix, _KINDS.get(suffix.lower(), 0)
            place = wanted.get(kind)
        if name[0] == "." and below_folder(visit.path, name) not in listed:
            continue
        if kind == _LEFTOVER:
            listing.leftovers += 1
        elif place is None and not (visit.deep and _is_folder(entry)):
            continue
        elif not (name.isascii() and name.isprintable()) and (fault := text_fault(name)) is not None:
            listing.problems.append(Problem("name-refused", "error", shown(entry.path), f"the name {fault}"))
        elif place is None:
            listing.folders.append(name)
        elif kind == _IMAGE and visit.folder is None and below_folder(visit.path, name) not in listed:
            listing.others.add(stem)
        else:
            place.append(entry)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where nobody may look: no folder to read
        return False


# ---- stat -----------------------------------------------------------------------------------------------------------


def _chunks(listing: _Listing) -> Iterator[_Chunk]:
    for images, entries in ((True, listing.images), (False, listing.labels)):
        for part in batched(entries, STATS_A_BATCH):
            yield _Chunk(listing, images, part)


def _grouped(chunks: Iterable[_Chunk]) -> Iterator[list[_Chunk]]:
    """Put chunks of small folders together, so that a hop to a thread is worth it."""
    batch: list[_Chunk] = []
    for chunk in chunks:
        if batch and _entries(batch) + len(chunk.entries) > STATS_A_BATCH:
            yield batch
            batch = []
        batch.append(chunk)
    if batch:
        yield batch


def _entries(batch: Sequence[_Chunk]) -> int:
    return sum(len(chunk.entries) for chunk in batch)


def _stat_all(chunks: Sequence[_Chunk]) -> list[_Stats]:
    """Take one `stat` of every entry, in a worker thread. Links are followed."""
    return [_stat_images(chunk) if chunk.images else _stat_labels(chunk) for chunk in chunks]


def _stat_images(chunk: _Chunk) -> _Stats:
    done = _Stats(chunk)
    for entry in chunk.entries:
        try:
            facts = entry.stat()
        except OSError as error:
            done.faults.append((entry.name, _fault(entry, error)))
            continue
        if facts.st_mode & _TYPE == _REGULAR:
            done.images.append((entry.name, facts.st_size, facts.st_mtime_ns))
        else:
            done.faults.append((entry.name, _no_file(facts.st_mode)))
    return done


def _stat_labels(chunk: _Chunk) -> _Stats:
    done = _Stats(chunk)
    for entry in chunk.entries:
        name = entry.name
        try:
            facts = entry.stat()
        except OSError as error:
            done.faults.append((name, _fault(entry, error)))
            continue
        if facts.st_mode & _TYPE != _REGULAR:
            done.faults.append((name, _no_file(facts.st_mode)))
        elif name.endswith(".txt"):
            done.labels.append((name[:-4], facts.st_size))
        else:
            done.twins.append((name, facts.st_size))
    return done


def _fault(entry: "os.DirEntry[str]", error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and entry.is_symlink():
        return _DANGLING
    return f"cannot be read: {error.strerror}"


def _no_file(mode: int) -> str:
    return _IS_FOLDER if mode & _TYPE == _FOLDER else "is not a regular file"


def _take(tree: Tree, stats: _Stats) -> None:
    """Add a chunk's outcome to the tree; folders that are named like files wait for the next level."""
    listing = stats.chunk.listing
    visit = listing.visit
    for name, fault in stats.faults:
        if fault == _IS_FOLDER:
            listing.folders.append(name)
            continue
        path = tree.absolute(visit.input, below_folder(visit.path, name))
        tree.report("dangling" if fault == _DANGLING else "unreadable", path, fault)
    unread = [name for name, fault in stats.faults if fault != _IS_FOLDER]
    if stats.chunk.images:
        listing.others.update(name.rpartition(".")[0] for name in unread)
        _take_images(tree, visit, stats.images)
    else:
        labels = tree.labels[visit.input, visit.path]
        labels.sizes.update(stats.labels)
        labels.twins.update(stats.twins)
        labels.twins.update((name, 0) for name in unread)
        labels.unread.update(name.rpartition(".")[0] for name in unread)


def _take_images(tree: Tree, visit: Visit, images: list[ImageRecord]) -> None:
    listed = tree.found[visit.input].listed
    if not listed:
        tree.images.setdefault((visit.input, visit.path, visit.folder or 0), []).extend(images)
        return
    for image in images:
        folder = listed.get(below_folder(visit.path, image[0]), visit.folder)
        if folder is not None:
            tree.images.setdefault((visit.input, visit.path, folder), []).append(image)


def shown(path: str) -> str:
    """Return a path for people and for JSON, whatever it holds: control characters and bytes beyond UTF-8 escaped."""
    plain = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in plain)
