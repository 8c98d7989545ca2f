"""The scan as a story: walk, read labels, hash images, put together."""

import gc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import NamedTuple

from planbalance.inputs import FoundInput, InputSpec, common_names, resolve_inputs
from planbalance.model import TRAINER_SUFFIXES, ImageFile, Problem, Progress, Silent, Snapshot
from planbalance.pool import available_cores, batched, run_blocking
from planbalance.scan.content import (
    IMAGES_A_BATCH,
    LABELS_A_BATCH,
    ImageContent,
    LabelContent,
    read_image_file,
    read_label_file,
)
from planbalance.scan.crew import Crew
from planbalance.scan.walk import ImageRecord, Labels, Place, Tree, below_folder, walk

_image_file = tuple.__new__  # a third of the constructor's time, once for each slice


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
    * warnings: `orphan-label`, `split-overlap` (in two splits of the data set as it is), `link-loop`, `folder-twice`
      (one folder reached by two paths), `missing` (a split or a line of a text list that was passed over).

    Raises:
        InputError: as `inputs.resolve_inputs`.
        UsageError: as `inputs.resolve_inputs`.
    """
    found = resolve_inputs(specs)
    snapshots: list[Snapshot] = []

    async def main() -> None:
        # handed out of the loop by hand: asyncio formats a task's result once, which takes a second for this one
        snapshots.append(await _scan(found, hash_images=hash_images, jobs=jobs, progress=progress or Silent()))

    with _without_collecting():
        run_blocking(main)
    return snapshots[0]


def unread_suffixes(images: Iterable[ImageFile]) -> dict[str, int]:
    """Return the suffixes that stock trainers do not read (lower case, no dot), sorted, with the number of images."""
    counts: dict[str, int] = {}
    for image in images:
        suffix = image.path.rpartition(".")[2].lower()
        counts[suffix] = counts.get(suffix, 0) + 1
    return {suffix: counts[suffix] for suffix in sorted(counts.keys() - TRAINER_SUFFIXES)}


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep the garbage collector from walking the growing snapshot over and over: nothing here makes cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def _scan(found: Sequence[FoundInput], *, hash_images: bool, jobs: int | None, progress: Progress) -> Snapshot:
    crew = Crew(jobs, progress)
    tree = Tree(found)
    with _stage(progress, "scan", None, "files"):
        await walk(tree, crew)
    paired = _pair(tree)
    names = common_names(one.input for one in found)
    with _stage(progress, "read labels", len(paired.to_read), "labels"):
        await _read_labels(paired, crew, None if names is None else len(names))
    if hash_images:
        with _stage(progress, "hash images", len(paired.images), "images"):
            await _hash_images(tree, paired, crew)
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
    """The images, sorted, and the labels that have to be read.

    Attributes:
        images: those whose label holds a byte have its size of the walk until it was read.
        used: per input, the indices of the image folders that hold an image.
        to_read: absolute path of a label -> positions in `images` (two images may share one label).
        problems: (path, line, problem): what reading found.
    """

    images: list[ImageFile]
    used: list[list[int]]
    to_read: dict[str, list[int]] = field(default_factory=dict)
    problems: list[tuple[str, int, Problem]] = field(default_factory=list)


def _pair(tree: Tree) -> _Paired:
    """Give every image its label, and report labels without an image."""
    used = [
        sorted({key[2] for key, records in tree.images.items() if records and key[0] == index})
        for index in range(len(tree.found))
    ]
    stems: dict[Place, set[str]] = {}
    files: list[list[ImageFile]] = [[] for _ in tree.found]
    for (index, place, folder), records in tree.images.items():
        label_place = tree.label_place(index, folder, place)
        taken = stems.setdefault(label_place, set())
        taken.update(tree.others.get((index, place), ()))
        if records:
            labels = tree.labels.get(label_place) or Labels()
            images, found = _image_files(
                _Group(index, used[index].index(folder), place, label_place[1], labels), records
            )
            files[index] += images
            taken.update(found)
    for images in files:
        images.sort(key=itemgetter(2))  # by path: the order of code points is the order of UTF-8 bytes
    paired = _Paired([image for images in files for image in images], used)
    for position, image in enumerate(paired.images):
        if image.label_size and image.label is not None:
            paired.to_read.setdefault(tree.absolute(image.input, image.label), []).append(position)
    _report_orphans(tree, stems)
    return paired


class _Group(NamedTuple):
    """The images of one folder, and where their labels lie."""

    input: int
    folder: int  # index among the image folders that are used
    place: str
    label_folder: str
    labels: Labels


def _image_files(group: _Group, records: Sequence[ImageRecord]) -> tuple[list[ImageFile], list[str]]:
    """Return the images of one folder and their stems. The loop runs once a slice: nothing is looked up twice."""
    index, folder = group.input, group.folder
    start, label_start = below_folder(group.place, ""), below_folder(group.label_folder, "")
    sizes, names, unread = group.labels.sizes, group.labels.names, group.labels.unread
    images: list[ImageFile] = []
    stems: list[str] = []
    for name, size, mtime_ns in records:
        stem = name[: name.rfind(".")]
        stems.append(stem)
        path = start + name
        label: str | None = None
        label_size = sizes.get(stem, 0)
        if label_size or stem in sizes:
            label = label_start + (names.get(stem) or f"{stem}.txt") if names else f"{label_start}{stem}.txt"
        fields = (index, folder, path, size, mtime_ns, label, label_size, "", 0, (), stem in unread, "", False)
        images.append(_image_file(ImageFile, fields))
    return images, stems


def _report_orphans(tree: Tree, stems: Mapping[Place, set[str]]) -> None:
    for place, labels in tree.labels.items():
        for stem in labels.sizes.keys() - stems.get(place, set()) - {"classes"}:
            name = labels.names.get(stem) or f"{stem}.txt"
            path = tree.absolute(place[0], below_folder(place[1], name))
            tree.report("orphan-label", path, "no image has this name", "warning")


# ---- content --------------------------------------------------------------------------------------------------------


async def _read_labels(paired: _Paired, crew: Crew, class_count: int | None) -> None:
    def read(labels: list[tuple[str, int]]) -> list[LabelContent]:
        return [read_label_file(path, size, class_count) for path, size in labels]

    labels = ((path, paired.images[positions[0]].label_size) for path, positions in paired.to_read.items())
    contents = await crew.do(read, batched(labels, LABELS_A_BATCH))
    for (path, positions), content in zip(paired.to_read.items(), contents, strict=True):
        size, sha256, facts, fault = content
        if fault:
            paired.problems.append((path, 0, Problem("unreadable", "error", path, fault)))
        for line, reason in facts.problems:
            paired.problems.append((path, line, Problem("label-invalid", "error", f"{path}:{line}", reason)))
        said = (size, sha256, facts.annotations, facts.classes, bool(facts.problems or fault), "", False)
        for position in positions:
            paired.images[position] = _image_file(ImageFile, (*paired.images[position][:6], *said))


async def _hash_images(tree: Tree, paired: _Paired, crew: Crew) -> None:
    def read(paths: list[str]) -> list[ImageContent]:
        return [read_image_file(path) for path in paths]

    crew.at_least(available_cores())
    paths = [tree.absolute(image.input, image.path) for image in paired.images]
    contents = await crew.do(read, batched(paths, IMAGES_A_BATCH))
    for position, (path, content) in enumerate(zip(paths, contents, strict=True)):
        if content.fault:
            paired.problems.append((path, 0, Problem("unreadable", "error", path, content.fault)))
        paired.images[position] = _image_file(ImageFile, (*paired.images[position][:11], content.sha256, content.blank))


# ---- the result -----------------------------------------------------------------------------------------------------


def _snapshot(tree: Tree, paired: _Paired) -> Snapshot:
    """Put together what was found and read; image folders without an image are left out."""
    missing, empty = [0] * len(tree.found), [0] * len(tree.found)
    for image in paired.images:
        if image.label is None:
            missing[image.input] += 1
        elif not image.annotations and not image.invalid:
            empty[image.input] += 1
    inputs = tuple(
        replace(one.input, folders=tuple(one.input.folders[folder] for folder in folders))
        for one, folders in zip(tree.found, paired.used, strict=True)
    )
    numbered = [*paired.problems, *((problem.path, 0, problem) for problem in tree.problems)]
    numbered.sort(key=lambda item: (item[0], item[1], item[2].kind, item[2].message))
    return Snapshot(
        inputs,
        paired.images,
        tuple(missing),
        tuple(empty),
        tuple(problem for _, _, problem in numbered),
        tree.leftovers + _caches_beside(tree),
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
