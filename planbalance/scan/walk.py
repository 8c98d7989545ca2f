"""Walk the image and label folders of the inputs; each folder is listed once.

These are passed over: hidden files and folders (`._x.png`, `.DS_Store`; the trainers' globs pass over them too) and
files of other kinds (`Thumbs.db`, reports). `*.cache` and `*.npy` files are counted. Links are followed; a folder
inside itself is recognised by the device and inode of the folders above.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from planbalance.destination import RESERVED_PARTS
from planbalance.executor.worker_pool import WorkerPool
from planbalance.inputs import FoundInput
from planbalance.scan.listing import (
    DANGLING,
    IS_FOLDER,
    FileColumns,
    FilesToRead,
    Listing,
    Visit,
    below_folder,
    list_folder,
    stat_and_read,
)
from planbalance.scan.scan_tree import Images, Labels, Place, ScanTree


def walk(tree: ScanTree, pool: WorkerPool) -> None:
    """List the image and label folders level by level, then the folders that only text lists name."""
    level = _first_visits(tree.inputs)
    tree.visited.update((visit.input, visit.path) for visit in level)
    while level:
        level = visit_level(tree, pool, level)
    visit_level(tree, pool, _visits_of_lists(tree))


def _first_visits(found: Sequence[FoundInput]) -> list[Visit]:
    """Return one visit for each image and label folder of the inputs; one where labels lie beside the images."""
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


def _visits_of_lists(tree: ScanTree) -> list[Visit]:
    """Return visits of the folders of listed images and their labels that were not visited yet."""
    visits: dict[Place, Visit] = {}
    for index, one in enumerate(tree.inputs):
        places = dict.fromkeys((path.rpartition("/")[0], folder) for path, folder in one.listed.items())
        for place, folder in places:
            for images, key in ((True, (index, place)), (False, tree.label_place(index, folder, place))):
                if key not in tree.visited:
                    visit = visits.get(key, Visit(index, key[1], deep=False, optional=True))
                    visits[key] = visit._replace(images=True) if images else visit._replace(labels=True)
    return list(visits.values())


def _below(tree: ScanTree, listing: Listing) -> Iterator[Visit]:
    """Yield visits of a folder's sub-folders; those that are image or label folders of the input have one already."""
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


class _FolderToList(NamedTuple):
    """A folder to list."""

    visit: Visit
    path: str  # absolute
    listed: Mapping[str, int]  # `FoundInput.listed` and `texts`, as far as they lie in this folder
    texts: Collection[str]


def _list(folder: _FolderToList) -> Listing:
    visit, path, listed, texts = folder
    listing = list_folder(visit, path, listed)
    if texts:  # a text list beside labels is no label
        listing.labels = [name for name in listing.labels if below_folder(visit.path, name) not in texts]
        listing.beside = [name for name in listing.beside if below_folder(visit.path, name) not in texts]
    return listing


class _Chunk(NamedTuple):
    """Some files of one folder, images or labels."""

    listing: Listing
    images: bool
    names: list[str]


def visit_level(tree: ScanTree, pool: WorkerPool, level: list[Visit]) -> list[Visit]:
    """List the folders, read the facts of their images and labels, and return visits of their sub-folders."""
    listings: list[Listing] = []
    chunks: list[_Chunk] = []

    folders = [_FolderToList(visit, tree.absolute(visit.input, visit.path), *tree.named(visit)) for visit in level]

    def batches() -> Iterator[list[FilesToRead]]:
        for batch in _batches(pool.each(_list, folders), listings, pool):
            chunks.extend(batch)
            yield [_files(tree, chunk) for chunk in batch]

    told = pool.do(stat_and_read, batches(), weigh=lambda batch: sum(len(files.names) for files in batch))
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
        _add(tree, chunk, facts)
    return [visit for listing in listings for visit in _below(tree, listing)]


def _files(tree: ScanTree, chunk: _Chunk) -> FilesToRead:
    visit = chunk.listing.visit
    return FilesToRead(
        tree.absolute(visit.input, visit.path),
        chunk.names,
        not chunk.images,
        tree.class_count,
        tree.keypoints,
    )


def _batches(found: Iterable[Listing], listings: list[Listing], pool: WorkerPool) -> Iterator[list[_Chunk]]:
    """Divide the files of folders into batches, small folders together, and add each folder to `listings`."""
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


def _add(tree: ScanTree, chunk: _Chunk, facts: FileColumns) -> None:
    """Add the facts of a chunk to the tree; folders with the names of images or labels are listed at the next level."""
    listing = chunk.listing
    visit = listing.visit
    if facts.faults:
        _add_faults(tree, chunk, facts)
    if not chunk.images:
        _add_labels(tree.labels[visit.input, visit.path], chunk.names, facts)
    elif facts.faults or tree.inputs[visit.input].listed:
        _add_some_images(tree, visit, chunk.names, facts)
    else:
        images = tree.images.setdefault((visit.input, visit.path, visit.folder or 0), Images())
        images.names += chunk.names
        images.sizes += facts.sizes
        images.mtimes += facts.mtimes


def _add_labels(labels: Labels, names: list[str], facts: FileColumns) -> None:
    start = len(labels.listed)
    if not facts.faults and "\n".join((*names, "")).count(".txt\n") == len(names):
        labels.listed += names
        labels.listed_sizes += facts.sizes
        labels.listed_contents.update([(start + index, content) for index, content in facts.contents])
        return
    contents = {names[index]: content for index, content in facts.contents}
    read = [(name, size) for name, size in zip(names, facts.sizes, strict=True) if size >= 0]
    other_suffixes = [(name, size) for name, size in read if not name.endswith(".txt")]
    labels.other_suffixes.update([(name, (size, contents.pop(name, None))) for name, size in other_suffixes])
    labels.sizes.update([(name[:-4], size) for name, size in read if name.endswith(".txt")])
    labels.contents.update([(name[:-4], content) for name, content in contents.items()])


def _add_faults(tree: ScanTree, chunk: _Chunk, facts: FileColumns) -> None:
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
        labels.other_suffixes.update((name, (0, None)) for name in unread)
        labels.unread.update(name.rpartition(".")[0] for name in unread)


def _add_some_images(tree: ScanTree, visit: Visit, names: Iterable[str], facts: FileColumns) -> None:
    """Add the images that could be read and belong to the dataset, each to its own image folder."""
    listed = tree.inputs[visit.input].listed
    for name, size, mtime in zip(names, facts.sizes, facts.mtimes, strict=True):
        folder = listed.get(below_folder(visit.path, name), visit.folder) if listed else visit.folder or 0
        if size >= 0 and folder is not None:
            images = tree.images.setdefault((visit.input, visit.path, folder), Images())
            images.names.append(name)
            images.sizes.append(size)
            images.mtimes.append(mtime)
