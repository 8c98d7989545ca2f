"""What YOLOv5 and Ultralytics would make of a data set: what they pass over, what they take for a background.

The rules were read in YOLOv5 7.0 and Ultralytics 8.4 (DOMAIN, "What trainers do with a data set"). Pure.
"""

from collections import Counter
from collections.abc import Iterable

from planbalance.audit.findings import Findings
from planbalance.audit.tally import Tally
from planbalance.grouping import counted
from planbalance.model import TRAINER_SUFFIXES, Check, Mode, PlanHeader, Problem


def suffix_warnings(found: Findings, tally: Tally) -> None:
    """Note the suffixes that stock trainers skip: their images are silently left out of the training."""
    unread = Counter[str]()
    for suffix, count in tally.suffixes.items():
        if suffix.lower() not in TRAINER_SUFFIXES:
            unread[suffix.lower()] += count
    for suffix, count in sorted(unread.items()):
        found.warning("suffix", f"*.{suffix}", f"{counted(count, 'image')} that stock YOLOv5 and Ultralytics pass over")


def planned_view(header: PlanHeader, tally: Tally, mode: Mode) -> Check:
    """Return the trainers' view of a data set that this tool built."""
    found = Findings("trainers")
    found.count = sum(tally.totals.values())
    suffix_warnings(found, tally)
    if header.names is None:
        found.warning("dataset-yaml", "dataset.yaml", "no class names: trainers ask for them")
    if mode == "list":
        found.notes.append("Ultralytics writes *.cache into the source's label folders")
    return found.check()


def foreign_view(
    tally: Tally, problems: Iterable[Problem], missing: Iterable[str], root: str | None, leftovers: int
) -> Check:
    """Return the trainers' view of somebody's data set, as warnings.

    Args:
        tally: of its images.
        problems: what the scan found, label lines apart.
        missing: images without a label file.
        root: the yaml's `path:` as written, None where there is none.
        leftovers: caches passed over.
    """
    found = Findings("trainers")
    found.count = sum(tally.totals.values())
    for problem in problems:
        found.add(problem)
    for path in missing:
        found.warning("label-missing", path, "no label file: trainers take it for a background")
    suffix_warnings(found, tally)
    if root is not None and not root.startswith("/"):
        message = (
            f"`path: {root}` is relative: YOLOv5 looks below its own folder, Ultralytics below its data sets' folder"
        )
        found.warning("dataset-yaml", "path:", message)
    if leftovers:
        found.notes.append(f"{leftovers} cache files passed over")
    return found.check()
