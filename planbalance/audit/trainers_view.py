"""What YOLOv5 and Ultralytics would make of a data set: what they pass over, what they take for a background.

The rules were read in YOLOv5 7.0 and Ultralytics 8.4 (DOMAIN, "What trainers do with a data set"). Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from planbalance.audit.findings import Findings
from planbalance.audit.loading import Taken, load_note
from planbalance.audit.tally import Tally
from planbalance.audit.trainer_rules import TRAINERS
from planbalance.decode import can_probe
from planbalance.grouping import counted
from planbalance.model import TRAINER_SUFFIXES, Check, Load, PlanHeader, Problem, SplitYaml
from planbalance.modes import Mode

TRAINERS_VIEW: Final = "trainers"


def suffix_warnings(found: Findings, tally: Tally) -> None:
    """Note the suffixes that stock trainers skip: their images are silently left out of the training."""
    unread = Counter[str]()
    for suffix, count in tally.suffixes.items():
        if suffix.lower() not in TRAINER_SUFFIXES:
            unread[suffix.lower()] += count
    for suffix, count in sorted(unread.items()):
        found.warning("suffix", f"*.{suffix}", f"{counted(count, 'image')} that stock YOLOv5 and Ultralytics pass over")


def _note_loads(found: Findings, loads: Sequence[Load]) -> None:
    """Say what each trainer would load."""
    for trainer in TRAINERS:
        note = load_note(load for load in loads if load.trainer == trainer.name)
        if note:
            found.notes.append(f"{trainer.name} loads {note}")
    if any(load.labelled or load.backgrounds or load.dropped for load in loads) and not can_probe():
        found.notes.append("pixels NOT CHECKED: Pillow is not installed")


def planned_view(
    header: PlanHeader, tally: Tally, mode: Mode, problems: Iterable[Problem], loads: Sequence[Load]
) -> Check:
    """Return the trainers' view of a data set that this tool built.

    Args:
        header: the plan's.
        tally: of its images.
        mode: how they were placed.
        problems: what trainers do to single images.
        loads: how that adds up; nothing where they were not read.
    """
    found = Findings(TRAINERS_VIEW)
    found.count = sum(tally.totals.values())
    suffix_warnings(found, tally)
    found.extend(problems)
    _note_loads(found, loads)
    if header.names is None:
        found.warning("dataset-yaml", "dataset.yaml", "no class names: trainers ask for them")
    if mode == "list":
        found.notes.append("Ultralytics writes *.cache into the source's label folders")
    return found.check()


def foreign_view(
    tally: Tally,
    problems: Iterable[Problem],
    missing: Iterable[str],
    yaml: SplitYaml | None,
    leftovers: int,
    loads: Sequence[Load],
) -> Check:
    """Return the trainers' view of somebody's data set, as warnings.

    Args:
        tally: of its images.
        problems: what the scan found, label lines apart, and what trainers do to single images.
        missing: images without a label file.
        yaml: what names the splits, None where folders tell them.
        leftovers: caches passed over.
        loads: what the trainers load.
    """
    found = Findings(TRAINERS_VIEW)
    found.count = sum(tally.totals.values())
    for problem in problems:
        found.add(problem)
    for path in missing:
        found.warning("label-missing", path, "no label file: trainers take it for a background")
    suffix_warnings(found, tally)
    _note_loads(found, loads)
    root = None if yaml is None else yaml.written
    if yaml is not None and "val" not in yaml.splits:
        found.warning("dataset-yaml", yaml.path, "it names no val: trainers stop")
    if yaml is not None and not yaml.moved and root is not None and not root.startswith("/"):
        message = (
            f"`path: {root}` is relative: YOLOv5 looks below its own folder, Ultralytics below its data sets' folder"
        )
        found.warning("dataset-yaml", "path:", message)
    if leftovers:
        found.notes.append(f"{leftovers} cache files passed over")
    return found.check()


def taken_problems(path: str, label: str, image: Taken) -> Iterator[Problem]:
    """Yield what trainers do to an image behind the user's back, as warnings; `label` is the path of its label."""
    by_reason: dict[str, list[str]] = {}
    for trainer, fault in zip(TRAINERS, image.faults, strict=True):
        if fault:
            by_reason.setdefault(fault, []).append(trainer.name)
    for reason, names in by_reason.items():
        yield Problem(
            "unreadable", "warning", path, f"{' and '.join(names)} drop{'s' * (len(names) == 1)} it: {reason}"
        )
    if image.duplicates:
        lines = counted(image.duplicates, "line")
        yield Problem("duplicate-label", "warning", label, f"{lines} the same as another: trainers drop them")
    if image.rewritten:
        message = "a JPEG that does not end in FF D9: trainers save it anew in its place, through a link too"
        yield Problem("unreadable", "warning", path, message)
