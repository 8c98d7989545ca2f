"""Folders -> `Snapshot`: every image with its label, and everything that is wrong, in one pass.

Each folder is listed once, each file has one `stat` at most, and a label without a byte is never opened. Listing,
`stat` and reading go to worker threads in batches: one worker where a call is answered at once, many where a far file
system makes each one wait.

What is passed over without a word: hidden files and folders (`._x.png`, `.DS_Store`; the trainers' globs pass over them
too) and files of other kinds (`Thumbs.db`, reports). `*.cache` and `*.npy` are counted. Links are the user's and are
followed; a folder inside itself is cut by the device and inode of those above it.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

from planbalance.destination import RESERVED_PARTS, text_fault
from planbalance.inputs import FoundInput, InputSpec, common_names, resolve_inputs
from planbalance.labels import EMPTY, LabelFacts, read_label
from planbalance.model import (
    IMAGE_SUFFIXES,
    SPLITS,
    TRAINER_SUFFIXES,
    ImageFile,
    Problem,
    Progress,
    Severity,
    Silent,
    Snapshot,
)
from planbalance.pool import available_cores, batched, for_each_batch, run_blocking

Item = TypeVar("Item")
Result = TypeVar("Result")

FOLDERS_A_BATCH: Final = 8
STATS_A_BATCH: Final = 2048
LABELS_A_BATCH: Final = 512
IMAGES_A_BATCH: Final = 32
FAR_WORKERS: Final = 16  # waiting workers cost nothing; more of them load the servers of a shared file system
_FAR_SECONDS: Final = 100e-6  # a call; a local one takes 1 to 20 us
_SAMPLE: Final = 32  # calls that are timed before the number of workers is chosen
_CHUNK: Final = 1 << 20

_IMAGE, _LABEL, _LEFTOVER = 1, 2, 3
_KINDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(IMAGE_SUFFIXES, _IMAGE),
    "txt": _LABEL,
    "cache": _LEFTOVER,
    "npy": _LEFTOVER,
}
_REGULAR, _FOLDER, _TYPE = 0o100000, 0o040000, 0o170000  # st_mode (inode(7))
_DANGLING: Final = "is a link to nothing"
_IS_FOLDER: Final = "is a folder"

_Facts = tuple[int, int, str]  # size, mtime in ns, what is wrong ("": a regular file); plain, for it exists per file


def scan(
    specs: Sequence[InputSpec],
    *,
    hash_images: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Return what lies in the inputs.

    Labels are judged against the class names of all inputs together. `jobs` is the number of worker threads; None
    measures how far away the files are. Kinds of `Snapshot.problems`:

    * errors: `label-invalid` (one a line), `unreadable`, `dangling`, `name-refused`, `missing` (a text list names it);
    * warnings: `orphan-label`, `split-overlap` (an image in two splits of the data set as it is), `link-loop`,
      `folder-twice` (one folder reached by two paths), `missing` (a split or line of the yaml that was passed over).

    Raises:
        InputError, UsageError: as `inputs.resolve_inputs`.
    """
    found = resolve_inputs(specs)
    return run_blocking(lambda: _scan(found, hash_images=hash_images, jobs=jobs, progress=progress or Silent()))


def unread_suffixes(images: Iterable[ImageFile]) -> dict[str, int]:
    """Return the suffixes (lower case, no dot) that stock trainers do not read, with the number of images, sorted."""
    counts: dict[str, int] = {}
    for image in images:
        suffix = image.path.rpartition(".")[2]
        counts[suffix] = counts.get(suffix, 0) + 1
    unread: dict[str, int] = {}
    for suffix in sorted(counts):
        if suffix.lower() not in TRAINER_SUFFIXES:
            unread[suffix.lower()] = unread.get(suffix.lower(), 0) + counts[suffix]
    return dict(sorted(unread.items()))


# ---- the story ------------------------------------------------------------------------------------------------------


async def _scan(found: Sequence[FoundInput], *, hash_images: bool, jobs: int | None, progress: Progress) -> Snapshot:
    crew = _Crew(jobs, progress)
    tree = _Tree(found)
    with _stage(progress, "scan", None, "files"):
        await _walk(tree, crew)
    pairs = _pair(tree)
    names = common_names(one.input for one in found)
    wanted = _labels_to_read(tree, pairs)
    with _stage(progress, "read labels", len(wanted), "labels"):
        count = None if names is None else len(names)
        read = await crew.do(lambda batch: [_read_label(path, count) for path in batch], wanted, LABELS_A_BATCH)
    contents = dict(zip(wanted, read, strict=True))
    pixels: list[_Pixels] = []
    if hash_images:
        crew.at_least(available_cores())
        paths = [tree.absolute(pair.image.input, pair.image.path) for pair in pairs]
        with _stage(progress, "hash images", len(paths), "images"):
            pixels = await crew.do(lambda batch: [_read_pixels(path) for path in batch], paths, IMAGES_A_BATCH)
    return _snapshot(tree, pairs, contents, pixels)


@contextmanager
def _stage(progress: Progress, what: str, total: int | None, unit: str) -> Iterator[None]:
    progress.begin(what, total, unit)
    try:
        yield
    finally:
        progress.end()


class _Crew:
    """The workers: as many as asked for, else as many as the distance of the files is worth."""

    def __init__(self, jobs: int | None, progress: Progress) -> None:
        self._progress = progress
        self._fixed = jobs is not None
        self._measured = self._fixed
        self._workers = jobs or 4  # until the first calls were timed

    async def do(
        self, work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], size: int, *, counted: bool = True
    ) -> list[Result]:
        """Return the result of every item, in the order of the items. Progress counts items, unless told not to."""
        batches = list(enumerate(batched(items, size)))
        results: list[list[Result]] = [[]] * len(batches)

        async def finished(numbered: tuple[int, list[Item]], done: list[Result]) -> None:
            results[numbered[0]] = done
            if counted:
                self._progress.advance(len(done))

        await for_each_batch(lambda numbered: work(numbered[1]), batches, jobs=self._workers, finished=finished)
        return [result for batch in results for result in batch]

    async def do_measured(
        self, work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], size: int
    ) -> list[Result]:
        """Do as `do`, and on the first call time a few items alone to choose the number of workers."""
        if self._measured or len(items) < _SAMPLE:
            return await self.do(work, items, size)
        self._measured = True
        self._workers = 1
        start = time.perf_counter()
        first = await self.do(work, items[:_SAMPLE], _SAMPLE)
        if (time.perf_counter() - start) / _SAMPLE > _FAR_SECONDS:
            self._workers = FAR_WORKERS
        return first + await self.do(work, items[_SAMPLE:], size)

    def at_least(self, workers: int) -> None:
        """Raise the number for work that computes outside the interpreter lock, unless it was given."""
        if not self._fixed:
            self._workers = max(workers, self._workers)


# ---- folders --------------------------------------------------------------------------------------------------------


class _Visit(NamedTuple):
    """A folder to list."""

    input: int
    path: str  # relative to the input's root
    folder: int | None  # the image folder it belongs to; None: images count only where a text list names them
    images: bool  # images are wanted
    labels: bool  # labels are wanted
    deep: bool  # sub-folders too
    optional: bool  # it need not be there: a label folder
    above: frozenset[tuple[int, int]]  # device and inode of the folders above


class _Image(NamedTuple):
    """An image found. The order of the fields is the order of the snapshot: input, then path."""

    input: int
    path: str  # relative to the input's root
    folder: int
    stem: str
    size: int
    mtime_ns: int


class _Label(NamedTuple):
    """A label file found."""

    path: str  # relative to the input's root
    size: int
    unread: bool  # it is there, but cannot be read


class _Pair(NamedTuple):
    """An image and its label."""

    image: _Image
    label: _Label | None


@dataclass(slots=True)
class _Listing:
    """What one folder holds: directory entries by what their names say."""

    visit: _Visit
    identity: tuple[int, int] = (0, 0)
    images: "list[os.DirEntry[str]]" = field(default_factory=list)
    labels: "list[os.DirEntry[str]]" = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)  # stems of images that do not belong to the data set
    leftovers: int = 0
    problems: list[Problem] = field(default_factory=list)


class _Tree:
    """What was found so far; changed by the loop's thread only."""

    def __init__(self, found: Sequence[FoundInput]) -> None:
        self.found = found
        self.images: dict[tuple[int, str], list[_Image]] = {}  # by input and folder
        self.labels: dict[tuple[int, str], dict[str, _Label]] = {}  # by input and folder, then stem
        self.others: dict[tuple[int, str], set[str]] = {}  # by input and folder
        self.visited: set[tuple[int, str]] = set()
        self.identities: dict[tuple[int, int], str] = {}  # of image folders
        self.leftovers = 0
        self.problems: list[Problem] = [problem for one in found for problem in one.problems]
        self._starts = [one.input.root.rstrip("/") + "/" for one in found]

    def absolute(self, index: int, path: str) -> str:
        """Return the absolute path of a file or folder of an input."""
        return self._starts[index] + path if path else self.found[index].input.root

    def label_place(self, index: int, folder: int, place: str) -> tuple[int, str]:
        """Return where the labels of the images in `place` lie: the same path below the label folder."""
        area = self.found[index].input.folders[folder]
        below = place[len(area.images) :].lstrip("/")
        return index, f"{area.labels}/{below}" if area.labels and below else area.labels or below

    def report(self, kind: str, path: str, message: str, severity: Severity = "error") -> None:
        """Note something wrong at an absolute path."""
        self.problems.append(Problem(kind, severity, path, message))


async def _walk(tree: _Tree, crew: _Crew) -> None:
    """List the image and label folders level by level, then what text lists name elsewhere."""
    level = _first_visits(tree.found)
    tree.visited.update((visit.input, visit.path) for visit in level)
    while level:
        level = await _visit_level(tree, crew, level)
    await _visit_level(tree, crew, _visits_of_lists(tree))
    for index, one in enumerate(tree.found):
        seen = {image.path for (owner, _), images in tree.images.items() if owner == index for image in images}
        for path in sorted(one.listed.keys() - seen):
            tree.report("missing", _shown(tree.absolute(index, path)), "a text list names it, but it is not there")


def _first_visits(found: Sequence[FoundInput]) -> list[_Visit]:
    """Return the roots of all image and label folders; one visit serves both where labels lie beside the images."""
    visits: dict[tuple[int, str], _Visit] = {}
    for index, one in enumerate(found):
        for number in one.walked:
            path = one.input.folders[number].images
            visits[index, path] = _Visit(index, path, number, True, False, True, False, frozenset())  # noqa: FBT003 - fields
    for index, one in enumerate(found):
        for number in one.walked:
            path = one.input.folders[number].labels
            plain = _Visit(index, path, None, False, False, True, True, frozenset())  # noqa: FBT003 - fields
            visits[index, path] = visits.get((index, path), plain)._replace(labels=True)
    return list(visits.values())


def _visits_of_lists(tree: _Tree) -> list[_Visit]:
    """Return the folders of listed images, and of their labels, that no walk has reached."""
    visits: dict[tuple[int, str], _Visit] = {}
    plain = _Visit(0, "", None, False, False, False, True, frozenset())  # noqa: FBT003 - fields
    for index, one in enumerate(tree.found):
        places = dict.fromkeys((path.rpartition("/")[0], folder) for path, folder in one.listed.items())
        for place, folder in places:
            for images, key in ((True, (index, place)), (False, tree.label_place(index, folder, place))):
                if key not in tree.visited:
                    visit = visits.get(key, plain._replace(input=index, path=key[1]))
                    visits[key] = visit._replace(images=True) if images else visit._replace(labels=True)
    return list(visits.values())


async def _visit_level(tree: _Tree, crew: _Crew, level: list[_Visit]) -> list[_Visit]:
    """List the folders, take one `stat` of every file that counts, and return the folders below."""
    listings = await crew.do(
        lambda visits: [_list_folder(tree, visit) for visit in visits], level, FOLDERS_A_BATCH, counted=False
    )
    entries = [entry for listing in listings for entry in (*listing.images, *listing.labels)]
    facts = iter(await crew.do_measured(_stat_all, entries, STATS_A_BATCH))
    deeper: list[_Visit] = []
    for listing in listings:
        tree.problems += listing.problems
        tree.leftovers += listing.leftovers
        _take_images(tree, listing, facts)
        _take_labels(tree, listing, facts)
        deeper += _below(tree, listing)
    return deeper


def _list_folder(tree: _Tree, visit: _Visit) -> _Listing:
    """List one folder, in a worker thread."""
    listing = _Listing(visit)
    path = tree.absolute(visit.input, visit.path)
    try:
        facts = os.stat(path)
        listing.identity = (facts.st_dev, facts.st_ino)
        if listing.identity in visit.above:
            listing.problems.append(
                Problem("link-loop", "warning", path, "leads back to a folder above it: not followed")
            )
            return listing
        with os.scandir(path) as entries:
            _sort_entries(listing, entries, tree.found[visit.input].listed)
    except OSError as error:
        if not (visit.optional and isinstance(error, FileNotFoundError | NotADirectoryError)):
            listing.problems.append(
                Problem("unreadable", "error", path, f"the folder cannot be read: {error.strerror}")
            )
    return listing


def _sort_entries(listing: _Listing, entries: "Iterable[os.DirEntry[str]]", listed: Mapping[str, int]) -> None:
    """Sort a folder's entries into images, labels, folders and leftovers, by name alone where the name says it."""
    visit = listing.visit
    start = f"{visit.path}/" if visit.path else ""
    wanted = {_IMAGE: listing.images if visit.images else None, _LABEL: listing.labels if visit.labels else None}
    for entry in entries:
        name = entry.name
        stem, _, suffix = name.rpartition(".")
        kind = (_KINDS.get(suffix) or _KINDS.get(suffix.lower(), 0)) if stem else 0
        if name[0] == "." and start + name not in listed:
            continue
        if kind == _LEFTOVER:
            listing.leftovers += 1
            continue
        place = wanted.get(kind)
        if place is None and not (visit.deep and _is_folder(entry)):
            continue
        if not (name.isascii() and name.isprintable()) and (fault := text_fault(name)) is not None:
            listing.problems.append(Problem("name-refused", "error", _shown(entry.path), f"the name {fault}"))
        elif place is None:
            listing.folders.append(name)
        elif kind == _IMAGE and visit.folder is None and start + name not in listed:
            listing.others.add(stem)
        else:
            place.append(entry)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where nobody may look: no folder to read
        return False


def _stat_all(entries: "Sequence[os.DirEntry[str]]") -> list[_Facts]:
    """Take one `stat` of every entry, in a worker thread. Links are followed."""
    facts: list[_Facts] = []
    for entry in entries:
        try:
            stat = entry.stat()
        except OSError as error:
            facts.append((0, 0, _DANGLING if _is_dangling(entry, error) else f"cannot be read: {error.strerror}"))
            continue
        kind = stat.st_mode & _TYPE
        fault = "" if kind == _REGULAR else _IS_FOLDER if kind == _FOLDER else "is not a regular file"
        facts.append((stat.st_size, stat.st_mtime_ns, fault))
    return facts


def _is_dangling(entry: "os.DirEntry[str]", error: OSError) -> bool:
    return isinstance(error, FileNotFoundError | NotADirectoryError) and entry.is_symlink()


def _take_images(tree: _Tree, listing: _Listing, facts: Iterator[_Facts]) -> None:
    visit = listing.visit
    if not visit.images:
        return
    one = tree.found[visit.input]
    start = f"{visit.path}/" if visit.path else ""
    images: list[_Image] = []
    for entry, (size, mtime_ns, fault) in zip(listing.images, facts, strict=False):
        name = entry.name
        stem = name.rpartition(".")[0]
        path = start + name
        if not fault:
            folder = one.listed.get(path, visit.folder) if one.listed else visit.folder
            images.append(_Image(visit.input, path, folder or 0, stem, size, mtime_ns))
            if folder != visit.folder:
                _judge_two_folders(tree, visit, path, folder)
        elif fault == _IS_FOLDER and visit.deep:
            listing.folders.append(name)
        else:
            listing.others.add(stem)
            tree.report("dangling" if fault == _DANGLING else "unreadable", tree.absolute(visit.input, path), fault)
    key = (visit.input, visit.path)
    tree.images[key] = images
    tree.others[key] = listing.others


def _judge_two_folders(tree: _Tree, visit: _Visit, path: str, folder: int | None) -> None:
    """Note an image that a text list names for one split while its folder is named for another."""
    folders = tree.found[visit.input].input.folders
    splits = {folders[number].split for number in (visit.folder, folder) if number is not None}
    if visit.folder is not None and len(splits) > 1:
        named = " and ".join(split for split in SPLITS if split in splits)
        message = f"the data set names it as {named}"
        tree.report("split-overlap", tree.absolute(visit.input, path), message, "warning")


def _take_labels(tree: _Tree, listing: _Listing, facts: Iterator[_Facts]) -> None:
    visit = listing.visit
    if not visit.labels:
        return
    texts = tree.found[visit.input].texts
    start = f"{visit.path}/" if visit.path else ""
    labels = tree.labels.setdefault((visit.input, visit.path), {})
    twins: list[tuple[str, _Label]] = []
    for entry, (size, _, fault) in zip(listing.labels, facts, strict=False):
        name = entry.name
        path = start + name
        stem, _, suffix = name.rpartition(".")
        if fault == _IS_FOLDER:
            listing.folders.append(name)
        elif path not in texts:
            if fault:
                kind = "dangling" if fault == _DANGLING else "unreadable"
                tree.report(kind, tree.absolute(visit.input, path), fault)
            label = _Label(path, size, bool(fault))
            if suffix == "txt":
                labels[stem] = label
            else:
                twins.append((stem, label))
    for stem, label in sorted(twins):  # `a.TXT` is the label of `a.png` only where there is no `a.txt`
        if stem in labels:
            message = "another label has this name, in other letters of the suffix"
            tree.report("orphan-label", tree.absolute(visit.input, label.path), message, "warning")
        else:
            labels[stem] = label


def _below(tree: _Tree, listing: _Listing) -> Iterator[_Visit]:
    """Yield the visits of a folder's sub-folders; areas of their own have a visit already."""
    visit = listing.visit
    if visit.images:
        _judge_identity(tree, listing)
    if not visit.deep:
        return
    start = f"{visit.path}/" if visit.path else ""
    above = visit.above | {listing.identity}
    for name in sorted(listing.folders):
        key = (visit.input, start + name)
        if key in tree.visited:
            continue
        if name not in RESERVED_PARTS:
            tree.visited.add(key)
            yield visit._replace(path=start + name, above=above, optional=False)
        elif visit.images:
            message = "a folder of this name would hide the labels from trainers, who replace the last /images/"
            tree.report("name-refused", tree.absolute(*key), message)


def _judge_identity(tree: _Tree, listing: _Listing) -> None:
    """Note an image folder that was reached before by another path: its slices are there twice."""
    path = tree.absolute(listing.visit.input, listing.visit.path)
    first = tree.identities.setdefault(listing.identity, path)
    if first != path and listing.identity not in listing.visit.above and listing.identity != (0, 0):
        tree.report("folder-twice", path, f"is the same folder as {first}: its images are there twice", "warning")


# ---- labels and images ----------------------------------------------------------------------------------------------


class _Content(NamedTuple):
    """What was read from a label file."""

    size: int
    sha256: str
    facts: LabelFacts
    fault: str  # "" or why it could not be read


class _Pixels(NamedTuple):
    """What was read from an image file."""

    sha256: str
    blank: bool
    fault: str


_NOTHING: Final = _Content(0, "", EMPTY, "")


def _pair(tree: _Tree) -> list[_Pair]:
    """Return every image with its label, sorted, and report labels without an image."""
    pairs: list[_Pair] = []
    used: dict[tuple[int, str], set[str]] = {}
    for (index, place), images in tree.images.items():
        labels: dict[int, Mapping[str, _Label]] = {}
        for folder in {image.folder for image in images}:
            key = tree.label_place(index, folder, place)
            labels[folder] = tree.labels.get(key, {})
            used.setdefault(key, set()).update(tree.others[index, place], (image.stem for image in images))
        pairs += [_Pair(image, labels[image.folder].get(image.stem)) for image in images]
    for key, found in tree.labels.items():
        for stem in found.keys() - used.get(key, set()) - {"classes"}:
            path = tree.absolute(key[0], found[stem].path)
            tree.report("orphan-label", path, "no image has this name", "warning")
    pairs.sort(key=itemgetter(0))
    return pairs


def _labels_to_read(tree: _Tree, pairs: Sequence[_Pair]) -> list[str]:
    """Return the absolute paths of labels that hold a byte, each once (two images may share one)."""
    return list(
        dict.fromkeys(
            tree.absolute(image.input, label.path)
            for image, label in pairs
            if label is not None and label.size and not label.unread
        )
    )


def _read_label(path: str, class_count: int | None) -> _Content:
    """Read one label, in a worker thread. Its size is what was read, so that size, sum and content belong together."""
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            data = b"".join(_chunks(handle))
        finally:
            os.close(handle)
    except OSError as error:
        return _NOTHING._replace(fault=f"cannot be read: {error.strerror}")
    return _Content(len(data), hashlib.sha256(data).hexdigest() if data else "", read_label(data, class_count), "")


def _read_pixels(path: str) -> _Pixels:
    """Read one image, in a worker thread: its sum, and whether it has one byte value only, or none."""
    digest = hashlib.sha256()
    value: bytes | None = None
    blank = True
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            for chunk in _chunks(handle):
                digest.update(chunk)
                value = value or chunk[:1]
                blank = blank and chunk.count(value) == len(chunk)
        finally:
            os.close(handle)
    except OSError as error:
        return _Pixels("", False, f"cannot be read: {error.strerror}")  # noqa: FBT003 - a field
    return _Pixels(digest.hexdigest(), blank, "")


def _chunks(handle: int) -> Iterator[bytes]:
    while chunk := os.read(handle, _CHUNK):
        yield chunk


# ---- the result -----------------------------------------------------------------------------------------------------


def _snapshot(
    tree: _Tree, pairs: Sequence[_Pair], contents: Mapping[str, _Content], pixels: Sequence[_Pixels]
) -> Snapshot:
    """Put together what was found and read; image folders that hold no image are left out."""
    used = [
        sorted({pair.image.folder for pair in pairs if pair.image.input == index}) for index in range(len(tree.found))
    ]
    places = [{folder: place for place, folder in enumerate(folders)} for folders in used]
    images: list[ImageFile] = []
    missing, empty = [0] * len(tree.found), [0] * len(tree.found)
    for number, (image, label) in enumerate(pairs):
        index = image.input
        content = _NOTHING
        if label is None:
            missing[index] += 1
        elif label.size:
            content = contents.get(tree.absolute(index, label.path), _NOTHING)
        if label is not None and not content.facts.annotations and not label.unread and not content.fault:
            empty[index] += 1
        images.append(
            ImageFile(
                index,
                places[index][image.folder],
                image.path,
                image.size,
                image.mtime_ns,
                None if label is None else label.path,
                content.size,
                content.sha256,
                content.facts.annotations,
                content.facts.classes,
                bool(content.facts.problems or content.fault or (label is not None and label.unread)),
                pixels[number].sha256 if pixels else "",
                pixels[number].blank if pixels else False,
            )
        )
    inputs = tuple(
        replace(one.input, folders=tuple(one.input.folders[folder] for folder in folders))
        for one, folders in zip(tree.found, used, strict=True)
    )
    problems = _all_problems(tree, pairs, contents, pixels)
    return Snapshot(inputs, images, tuple(missing), tuple(empty), problems, tree.leftovers + _caches_beside(tree))


def _all_problems(
    tree: _Tree, pairs: Sequence[_Pair], contents: Mapping[str, _Content], pixels: Sequence[_Pixels]
) -> tuple[Problem, ...]:
    """Return all problems sorted by path, then line."""
    numbered = [(problem.path, 0, problem) for problem in tree.problems]
    for path, content in contents.items():
        if content.fault:
            numbered.append((path, 0, Problem("unreadable", "error", path, content.fault)))
        for line, reason in content.facts.problems:
            numbered.append((path, line, Problem("label-invalid", "error", f"{path}:{line}", reason)))
    for pair, read in zip(pairs, pixels, strict=False):
        if read.fault:
            path = tree.absolute(pair.image.input, pair.image.path)
            numbered.append((path, 0, Problem("unreadable", "error", path, read.fault)))
    numbered.sort(key=lambda item: (item[0], item[1], item[2].kind, item[2].message))
    return tuple(problem for _, _, problem in numbered)


def _caches_beside(tree: _Tree) -> int:
    """Return how many `labels.cache` files Ultralytics left beside label folders, where no walk has counted them."""
    roots = {
        (index, one.input.folders[number].labels)
        for index, one in enumerate(tree.found)
        for number in one.walked
        if (index, one.input.folders[number].labels.rpartition("/")[0]) not in tree.visited
    }
    return sum(os.path.lexists(f"{tree.absolute(index, path)}.cache") for index, path in roots if path)


def _shown(path: str) -> str:
    """Return a path for people and for JSON, whatever it holds: control characters and bytes beyond UTF-8 escaped."""
    plain = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in plain)
