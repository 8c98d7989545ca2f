"""What YOLOv5 and Ultralytics load of a dataset: what they skip, and what they load as a background.

The rules were read in YOLOv5 7.0 and Ultralytics 8.4 (docs/explanation/trainers.md). Pure.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from planbalance.audit.check_builder import CheckBuilder
from planbalance.audit.check_table import TRAINERS_VIEW
from planbalance.audit.file_facts import look, read
from planbalance.audit.slice_statistics import SliceStatistics
from planbalance.audit.trainer_loading import load_note
from planbalance.audit.trainer_rules import TRAINERS
from planbalance.model import SPLITS, TRAINER_SUFFIXES, Check, Load, PlanHeader, Problem, Split, SplitYaml
from planbalance.modes import MODE_TABLE, Mode
from planbalance.path_relation import label_for_trainers
from planbalance.text import counted


def suffix_warnings(found: CheckBuilder, statistics: SliceStatistics) -> None:
    """Note the suffixes that stock trainers skip: their images are silently left out of the training."""
    unread = Counter[str]()
    for suffix, count in statistics.suffixes.items():
        if suffix.lower() not in TRAINER_SUFFIXES:
            unread[suffix.lower()] += count
    for suffix, count in sorted(unread.items()):
        found.warning("suffix", f"*.{suffix}", f"{counted(count, 'image')} that stock YOLOv5 and Ultralytics pass over")


def _note_loads(found: CheckBuilder, loads: Sequence[Load]) -> None:
    """Say what each trainer would load."""
    for trainer in TRAINERS:
        note = load_note(load for load in loads if load.trainer == trainer.name)
        if note:
            found.notes.append(f"{trainer.name} loads {note}")


def planned_view(
    header: PlanHeader, statistics: SliceStatistics, mode: Mode, problems: Iterable[Problem], loads: Sequence[Load]
) -> Check:
    """Return the trainers' view of a dataset that this tool built.

    Args:
        header: the plan's.
        statistics: of its images.
        mode: how they were placed.
        problems: what trainers do to single images.
        loads: what each trainer loads of each split; empty where images and labels were not read.
    """
    found = CheckBuilder(TRAINERS_VIEW)
    found.count = sum(statistics.totals.values())
    suffix_warnings(found, statistics)
    found.extend(problems)
    _note_loads(found, loads)
    if header.names is None:
        found.warning("dataset-yaml", "dataset.yaml", "no class names: trainers ask for them")
    if not MODE_TABLE[mode].places_files:
        found.notes.append("Ultralytics writes *.cache into the source's label folders")
    return found.check()


def unplanned_view(
    statistics: SliceStatistics,
    problems: Iterable[Problem],
    missing: Iterable[str],
    yaml: SplitYaml | None,
    leftovers: int,
    loads: Sequence[Load],
) -> Check:
    """Return the trainers' view of a dataset that another tool built, as warnings.

    Args:
        statistics: of its images.
        problems: what the scan found, label lines apart, and what trainers do to single images.
        missing: images without a label file.
        yaml: the file that names the splits; None where folders are the splits.
        leftovers: caches passed over.
        loads: what the trainers load.
    """
    found = CheckBuilder(TRAINERS_VIEW)
    found.count = sum(statistics.totals.values())
    found.extend(problems)
    for path in missing:
        found.warning("label-missing", path, "no label file: trainers take it for a background")
    suffix_warnings(found, statistics)
    _note_loads(found, loads)
    root = None if yaml is None else yaml.written
    if yaml is not None and "val" not in yaml.splits:
        found.warning("dataset-yaml", yaml.path, "it names no val: trainers stop")
    if yaml is not None and not yaml.moved and root is not None and not root.startswith("/"):
        message = (
            f"`path: {root}` is relative: YOLOv5 looks below its own folder, Ultralytics below its datasets' folder"
        )
        found.warning("dataset-yaml", "path:", message)
    if leftovers:
        found.notes.append(f"{leftovers} cache files passed over")
    return found.check()


# ---- caches of labels that trainers keep ----------------------------------------------------------------------------


def stale_caches(
    newest: Mapping[tuple[Split, str], tuple[int, str]], lists: Mapping[str, Split], at: Callable[[str], str]
) -> Iterator[Problem]:
    """Yield a warning for each cache of labels that is older than a label of a split that it may hold.

    Ultralytics 8 and YOLOv5 7 parse the labels of a split once and keep the result in `<label folder>.cache`, beside
    the folder that holds the label of the split's first image; YOLOv5 keeps that of a list in `<list>.cache`. The cache
    is used again while a hash of all paths and of the sum of all sizes is the same, so an edit that keeps the size is
    not noticed. The files are recognised by name and time alone, never opened.

    Args:
        newest: as in `PartialResult`: of labels that hold something, since an empty one can only change its size.
        lists: splits by the path of the text file that lists them.
        at: gives the absolute path.
    """
    latest: dict[Split, tuple[int, str]] = {}
    for (split, _), time in newest.items():
        latest[split] = max(time, latest.get(split, time))
    caches: dict[str, set[Split]] = {}
    for path, split in (*((folder, split) for split, folder in newest), *lists.items()):
        caches.setdefault(f"{os.path.splitext(path)[0]}.cache", set()).add(split)
    for path, splits in sorted(caches.items()):
        facts = look(at(path), follow=True)
        mtime_ns, label = max((latest[split] for split in splits if split in latest), default=(0, ""))
        if facts.kind == "file" and facts.mtime_ns < mtime_ns:
            message = (
                f"a trainer's cache, older than the label {label}: trainers compare only paths and sizes of labels, so "
                "they do not see an edit that keeps the size; delete this file, and they write it again"
            )
            yield Problem("stale-cache", "warning", path, message)


# ---- splits of which trainers find no label, while labels lie elsewhere ---------------------------------------------


_MOST_FILES: Final = 2_000_000  # among which labels are looked for
_MOST_READ: Final = 1_000  # labels that are opened, until one holds something
_LABEL_BYTES: Final = 1 << 26


class Labelled(NamedTuple):
    """An image, and what trainers find of its label."""

    path: str  # absolute
    splits: tuple[Split, ...]
    has_label: bool  # there is a file where they look
    labelled: bool  # and it holds something


def unlabelled_problems(images: Sequence[Labelled], roots: Iterable[str]) -> Iterator[Problem]:
    """Yield an error for each split of which trainers find no label, while labels are in other folders or misnamed.

    Where there is no label of the split anywhere, and no label file where trainers look, it is a warning.

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
    planned_names = {label_for_trainers(image.path) for image in images}
    strays = [
        path
        for path in islice(_files_below(sorted({*roots, *places})), _MOST_FILES)
        if path[-4:].lower() == ".txt" and path not in planned_names
    ]
    yield from filter(None, (_judge(name, members, strays) for name, members in lacking))


def _judge(name: str, images: Sequence[Labelled], strays: Sequence[str]) -> Problem | None:
    """Return what is wrong with a split without a labelled image, None where its images are backgrounds.

    `strays` are text files that are the label of no image.
    """
    wanted = {os.path.dirname(label_for_trainers(image.path)) for image in images}
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
        message = f"{none}: {counted(len(others), 'label')} in this folder have the name of no image, {such}"
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
    """Return whether one of the labels holds more than white space."""
    return any(
        (read(path, follow=True, keep=True, most=_LABEL_BYTES).data or b"").strip() for path in paths[:_MOST_READ]
    )
