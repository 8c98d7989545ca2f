"""Caches of labels that trainers keep, and whether one is older than a label that it holds.

Ultralytics 8 and YOLOv5 7 parse the labels of a split once and keep the result in `<label folder>.cache`, beside the
folder that holds the label of the split's first image; YOLOv5 keeps that of a list in `<list>.cache`. The cache is used
again while a hash of all paths and of the sum of all sizes is the same, so an edit that keeps the size goes unseen. The
files are told by name and time alone, never opened.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from planbalance.audit.file_facts import look
from planbalance.model import Problem, Split

# By split and label folder: when the label that was changed last was changed (ns), and its path.
Newest = dict[tuple[Split, str], tuple[int, str]]


def note_newest(newest: Newest, split: Split, folder: str, time: tuple[int, str]) -> None:
    """Keep the time of a label, with its path, if it is the latest of its split in its folder."""
    key = split, folder
    known = newest.get(key)
    if known is None or time > known:
        newest[key] = time


def stale_caches(newest: Newest, lists: Mapping[str, Split], at: Callable[[str], str]) -> Iterator[Problem]:
    """Yield a warning for each cache that is older than a label of a split that it may hold.

    Args:
        newest: of labels that hold something, since an empty one can only change its size.
        lists: splits by the path of the text file that lists them.
        at: gives the absolute path.
    """
    latest: dict[Split, tuple[int, str]] = {}
    for (split, _), time in newest.items():
        latest[split] = max(time, latest.get(split, time))
    caches: dict[str, set[Split]] = {}
    for path, split in (*((folder, split) for split, folder in newest), *lists.items()):
        caches.setdefault(str(PurePosixPath(path).with_suffix(".cache")), set()).add(split)
    for path, splits in sorted(caches.items()):
        facts = look(at(path), follow=True)
        mtime_ns, label = max((latest[split] for split in splits if split in latest), default=(0, ""))
        if facts.kind == "file" and facts.mtime_ns < mtime_ns:
            message = (
                f"a trainer's cache, older than the label {label}: trainers go by the paths and sizes of labels, so an "
                "edit that keeps the size is not trained on; delete this file, they make it anew"
            )
            yield Problem("stale-cache", "warning", path, message)
