"""Check what a walk has found: labels beside images, arrays without images, labels `a.TXT`, images of lists."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from planbalance.executor.worker_pool import WorkerPool
from planbalance.inputs import label_folder
from planbalance.model import Folder
from planbalance.scan.listing import FilesToRead, Visit, below_folder, shown, stat_and_read
from planbalance.scan.scan_tree import Labels, Place, ScanTree
from planbalance.scan.walk import visit_level
from planbalance.text import counted


def check_walk(tree: ScanTree, pool: WorkerPool) -> None:
    """Check what a walk has found, and read labels that lie only beside their images."""
    if tree.beside:
        _check_labels_beside(tree, pool)
    _check_arrays(tree)
    for place, labels in tree.labels.items():
        _use_other_suffixes(tree, place, labels)
    for index, one in enumerate(tree.inputs):
        if one.listed:
            _check_listed(tree, index, one.listed)


class _Beside(NamedTuple):
    """Labels that lie beside their images in one folder, while labels are expected in another."""

    place: Place
    folder: int  # index of the image folder
    names: list[str]  # `<stem>.txt`, sorted


def _check_labels_beside(tree: ScanTree, pool: WorkerPool) -> None:
    """Use labels that lie only beside their images; report where the label folder holds others.

    labelImg saves a label beside its image. An image read without it would turn a finding into background.
    """
    beside = list(_beside_images(tree))
    for index in sorted({one.place[0] for one in beside}):
        own = [one for one in beside if one.place[0] == index]
        if not tree.inputs[index].apart and not _has_labels(tree, index):
            _use_labels_beside(tree, pool, index, own)
        elif any(other := _other_labels(tree, pool, own)):
            _report_two_places(tree, index, own, other)


def _beside_images(tree: ScanTree) -> Iterator[_Beside]:
    for (index, place, folder), images in tree.images.items():
        names = tree.beside.get((index, place))
        if names and tree.label_place(index, folder, place) != (index, place):
            stems = {name[: name.rfind(".")] for name in images.names}
            own = sorted(name for name in names if name[:-4] in stems)
            if own:
                yield _Beside((index, place), folder, own)


def _has_labels(tree: ScanTree, index: int) -> bool:
    """Return whether an image of an input has a label in its label folder."""
    for (owner, place, folder), images in tree.images.items():
        if owner == index and (labels := tree.labels.get(tree.label_place(index, folder, place))):
            stems = {name[: name.rfind(".")] for name in images.names}
            if (
                any(name[:-4] in stems for name in (*labels.listed, *labels.other_suffixes))
                or stems & labels.sizes.keys()
            ):
                return True
    return False


def _use_labels_beside(tree: ScanTree, pool: WorkerPool, index: int, beside: Sequence[_Beside]) -> None:
    """Read the labels beside the images, and warn that trainers would not find them."""
    found = tree.inputs[index]
    roots = _common_roots(found.input.folders)
    folders = tuple(folder._replace(labels=folder.images) for folder in found.input.folders)
    tree.inputs[index] = found._replace(input=found.input._replace(folders=folders))
    leftovers = tree.leftovers  # counted when the folders were listed first
    visit_level(
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
    """Labels with content beside their images, relative to the input's root, by the state of the label folder."""

    missing: list[str]
    empty: list[str]
    different: list[str]


def _other_labels(tree: ScanTree, pool: WorkerPool, beside: Sequence[_Beside]) -> _Others:
    """Compare the labels beside images with those in the label folder; an empty one beside an image does not count."""
    files = [
        FilesToRead(tree.absolute(*one.place), one.names, labels=True, class_count=tree.class_count) for one in beside
    ]
    told = chain.from_iterable(
        pool.do(stat_and_read, ([each] for each in files), weigh=lambda batch: len(batch[0].names))
    )
    others = _Others([], [], [])
    for one, facts in zip(beside, told, strict=True):
        labels = tree.labels.get(tree.label_place(one.place[0], one.folder, one.place[1])) or Labels()
        labels.index_by_stem()
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


def _report_two_places(tree: ScanTree, index: int, beside: Sequence[_Beside], others: _Others) -> None:
    """Report images whose label beside them is absent or different in the label folder; name the deciding options."""
    found = tree.inputs[index]
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


def _check_arrays(tree: ScanTree) -> None:
    """Report `.npy` files where an input has no image: trainers use one only as the cache of an image beside it.

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


def _use_other_suffixes(tree: ScanTree, place: Place, labels: Labels) -> None:
    """Use `a.TXT` as the label of `a.png` where there is no `a.txt`: without it a finding would become background."""
    if labels.other_suffixes:
        labels.index_by_stem()
    for name in sorted(labels.other_suffixes):
        stem = name.rpartition(".")[0]
        if stem in labels.sizes:
            path = tree.absolute(place[0], below_folder(place[1], name))
            tree.report("orphan-label", path, "another label has this name, in other letters of its suffix", "warning")
        else:
            labels.sizes[stem], content = labels.other_suffixes[name]
            labels.names[stem] = name
            if content is not None:
                labels.contents[stem] = content


def _check_listed(tree: ScanTree, index: int, listed: Mapping[str, int]) -> None:
    seen = {
        below_folder(place, name)
        for (owner, place, _), images in tree.images.items()
        if owner == index
        for name in images.names
    }
    for path in sorted(listed.keys() - seen):
        tree.report("missing", shown(tree.absolute(index, path)), "a text list names it, but no such image was found")
