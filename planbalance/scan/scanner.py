"""Scan inputs: walk their folders, pair images with labels, hash images, and put the snapshot together."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from planbalance.executor import autoscaler
from planbalance.executor.processes import ProcessPool, available_cores
from planbalance.executor.threads import without_collecting
from planbalance.executor.worker_pool import WorkerPool
from planbalance.inputs import FoundInput, empty_split
from planbalance.labels import joined
from planbalance.model import SPLITS, TRAINER_SUFFIXES, ImageFile, Progress, Silent, Snapshot
from planbalance.scan import content
from planbalance.scan.pairing import Paired, name_classes, new_image, pair
from planbalance.scan.scan_tree import ScanTree
from planbalance.scan.walk import walk
from planbalance.scan.walk_checks import check_walk


def scan(
    inputs: Sequence[FoundInput],
    *,
    hash_images: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Return the images and labels of the inputs.

    Labels are checked against the class names of all inputs together. `jobs` is the number of workers; None measures
    how slow the file system is. Kinds of `Snapshot.problems`:

    * errors: `label-invalid` (one for each line), `unreadable`, `dangling`, `name-refused`, `missing` (a list names the
      image), `label-beside` (another label lies beside the image), `label-misnamed` (a label without an image seems
      meant for images without a label), `npy-slices` (there are arrays and no image);
    * warnings: `orphan-label`, `split-overlap` (in two splits of the dataset as it is), `link-loop`, `folder-twice`
      (one folder reached by two paths), `missing` (a split or a line of a text list that was passed over),
      `empty-split`, `layout-difference` and `moved` (see `inputs.FoundInput`), `jpeg-open-ended` (trainers write it
      anew), `labels-beside` (all labels lie where trainers do not look), `label-beside` (not read: `--labels` names
      others).

    Raises:
        InputError: `class-names-disagree` where files `classes.txt` beside labels do.
    """
    cores, most = available_cores(), autoscaler.LIMITS.most_processes
    count = min(cores, jobs or cores, most)
    # processes are forked before the progress bar starts its thread
    with without_collecting(), ProcessPool(count) as processes:
        progress = progress or Silent()
        return _scan(inputs, lambda: WorkerPool(jobs, processes, progress), progress, hash_images=hash_images)


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
    tree = ScanTree(found)
    with _stage(progress, "scan", None, "files"):
        workers = pool()
        walk(tree, workers)
        check_walk(tree, workers)
    paired = pair(tree)
    name_classes(tree, paired)
    _warn_of_empty_splits(tree, paired)
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


def _warn_of_empty_splits(tree: ScanTree, paired: Paired) -> None:
    """Warn of splits that a yaml names, whose folders or lists exist, and that hold no image."""
    for one, used in zip(tree.inputs, paired.used, strict=True):
        if one.yaml is None:
            continue
        folders = [one.input.folders[number] for number in used]
        filled = {split for folder in folders for split in one.splits_of(folder, folder.images)}
        filled.update(split for path, several in one.shared.items() if path in one.listed for split in several)
        for split, places in one.yaml.found.items():
            if split not in filled:
                tree.problems.append(empty_split(one.yaml.path, split, places[0]))


def _hash_images(tree: ScanTree, paired: Paired, pool: WorkerPool) -> None:
    paths = [tree.absolute(image.input, image.path) for image in paired.images]
    told = pool.do(content.read_images, pool.cut(paths), weigh=len)
    for position, (path, found) in enumerate(zip(paths, chain.from_iterable(told), strict=True)):
        if found.fault:
            tree.report("unreadable", path, found.fault)
        if found.open_ended:
            _report_open_ended(tree, path)
        paired.images[position] = new_image((*paired.images[position][:11], found.sha256, found.blank))


def _check_endings(tree: ScanTree, pool: WorkerPool, jpegs: list[ImageFile]) -> None:
    files = [(tree.absolute(image.input, image.path), image.size) for image in jpegs]
    told = pool.do(content.are_open_ended, pool.cut(files), weigh=len)
    for (path, _), is_open in zip(files, chain.from_iterable(told), strict=True):
        if is_open:
            _report_open_ended(tree, path)


def _report_open_ended(tree: ScanTree, path: str) -> None:
    tree.report(
        "jpeg-open-ended",
        path,
        "a JPEG that does not end in FF D9: YOLOv5 and Ultralytics before 8.4.175 write it anew, through a link too",
        "warning",
    )


def _snapshot(tree: ScanTree, paired: Paired) -> Snapshot:
    """Return the snapshot; image folders without an image are left out."""
    inputs = tuple(
        one.input._replace(folders=tuple(one.input.folders[folder] for folder in folders))
        for one, folders in zip(tree.inputs, paired.used, strict=True)
    )
    numbered = [(path, line, problem) for (path, line), problem in paired.problems.items()]
    numbered += [(problem.path, 0, problem) for problem in tree.problems]
    numbered.sort(key=lambda item: (item[0], item[1], item[2].kind, item[2].message))
    named = {folder.split for one in tree.inputs for folder in one.input.folders}
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
        tuple(one.yaml for one in tree.inputs),
        tuple(difference for one in tree.inputs for difference in one.differences),
    )


def _caches_beside(tree: ScanTree) -> int:
    """Return the number of `labels.cache` files beside label folders (of Ultralytics) that the walk has not counted."""
    folders = {
        (index, one.input.folders[number].labels) for index, one in enumerate(tree.inputs) for number in one.walked
    }
    return sum(
        os.path.lexists(f"{tree.absolute(index, path)}.cache")
        for index, path in folders
        if path and (index, path.rpartition("/")[0]) not in tree.visited
    )
