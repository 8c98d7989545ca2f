"""Splits of which trainers find no label at all, while labels of their images lie somewhere else.

Trainers take such images for backgrounds and say nothing. Looked for only where a split has no labelled image.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from planbalance.audit.trainer_rules import label_of
from planbalance.audit.tree import read
from planbalance.grouping import counted
from planbalance.model import SPLITS, Problem, Split

_MOST_FILES: Final = 2_000_000  # that are looked through for labels
_MOST_READ: Final = 1_000  # labels that are opened, until one holds something
_LABEL_BYTES: Final = 1 << 26


class Labelled(NamedTuple):
    """An image, and what trainers find of its label."""

    path: str  # absolute
    splits: tuple[Split, ...]
    has_label: bool  # there is a file where they look
    labelled: bool  # and it holds something


def unlabelled_problems(images: Sequence[Labelled], roots: Iterable[str]) -> Iterator[Problem]:
    """Yield an error for each split of which trainers find no label while its labels lie elsewhere, or are called so.

    Where no label of the split is to be found anywhere, and not one label file is where trainers look, it is a warning.

    Args:
        images: of the whole dataset.
        roots: folders, absolute, in which labels are looked for, beside the images' own folders.
    """
    groups: list[tuple[str, list[Labelled]]] = [
        (split, [image for image in images if split in image.splits]) for split in SPLITS
    ]
    if not any(members for _, members in groups):
        groups = [("the dataset", list(images))]
    lacking = [(name, members) for name, members in groups if members and not any(one.labelled for one in members)]
    if not lacking:
        return
    places = {os.path.dirname(image.path) for _, members in lacking for image in members}
    claimed = {label_of(image.path) for image in images}
    strays = [
        path
        for path in islice(_files_below(sorted({*roots, *places})), _MOST_FILES)
        if path[-4:].lower() == ".txt" and path not in claimed
    ]
    yield from filter(None, (_judge(name, members, strays) for name, members in lacking))


def _judge(name: str, images: Sequence[Labelled], strays: Sequence[str]) -> Problem | None:
    """Return what is wrong with a split without a labelled image, None where its images are backgrounds.

    `strays` are texts that are the label of no image.
    """
    wanted = {os.path.dirname(label_of(image.path)) for image in images}
    at = os.path.commonpath(wanted)
    of_them = f"of its {counted(len(images), 'image')}"
    none = f"trainers would find 0 labelled images in {name}"
    stems = {_stem(image.path) for image in images}
    elsewhere = [path for path in strays if _stem(path) in stems]
    if _hold_something(elsewhere):
        folders = Counter(map(os.path.dirname, elsewhere))
        folder, count = max(folders.items(), key=lambda item: (item[1], item[0]))
        beside = " beside the images" if folder in {os.path.dirname(image.path) for image in images} else ""
        absent = "" if os.path.isdir(at) else ", which is not there"
        message = f"{none}: {counted(count, 'label')} {of_them} lie here{beside}, and trainers look in {at}{absent}"
        return Problem("labels-elsewhere", "error", folder, message)
    if any(image.has_label for image in images):
        return None
    others = [path for path in strays if os.path.dirname(path) in wanted]
    if _hold_something(others):
        such = f"such as {os.path.basename(others[0])}"
        message = f"{none}: {counted(len(others), 'label')} in this folder are called as no image is, {such}"
        return Problem("labels-elsewhere", "error", at, message)
    return Problem("no-labelled-image", "warning", at, f"{none}: not one {of_them} has a label file here")


def _files_below(roots: Iterable[str]) -> Iterator[str]:
    """Yield every file below the roots once; hidden folders are passed over, links to folders not followed."""
    known: set[str] = set()
    for root in roots:
        if root in known:
            continue
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(
                name for name in folders if not name.startswith(".") and f"{folder}/{name}" not in known
            )
            known.add(folder)
            yield from (f"{folder}/{name}" for name in sorted(names))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _hold_something(paths: Sequence[str]) -> bool:
    """Answer whether one of the labels holds more than white space."""
    return any(
        (read(path, follow=True, keep=True, most=_LABEL_BYTES).data or b"").strip() for path in paths[:_MOST_READ]
    )
