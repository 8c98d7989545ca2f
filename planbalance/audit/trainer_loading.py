"""What each trainer would load of a dataset, image by image: labelled, background, dropped, or not read at all."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from planbalance.audit.file_facts import FileFacts, read
from planbalance.audit.trainer_rules import TRAINERS, Trainer, image_fault, label_verdict, loads
from planbalance.decode import NoPictureError, probe
from planbalance.model import SPLITS, Keypoints, Load, Problem, Split
from planbalance.path_relation import label_for_trainers
from planbalance.text import counted

_LABEL_BYTES: Final = 1 << 26
_JPEG: Final = frozenset(("JPEG", "MPO"))


class TrainerOutcome(NamedTuple):
    """What the trainers do with one image.

    Attributes:
        faults: for each trainer why it drops the image, "" where it does not, None where it does not read it.
        labelled: the label holds a line.
        duplicates: lines that are dropped since they are the same as another.
        rewritten: it is a JPEG that does not end as one: trainers write it again in its place.
    """

    faults: tuple[str | None, ...]
    labelled: bool
    duplicates: int
    rewritten: bool


PASSED_OVER: Final = TrainerOutcome((None,) * len(TRAINERS), labelled=False, duplicates=0, rewritten=False)


class OpenedImage(NamedTuple):
    """Format and size in pixels of an opened image, or what is wrong with it; empty where it was not opened."""

    format: str = ""
    width: int = 0
    height: int = 0
    fault: str = ""
    rewritten: bool = False


NOT_OPENED: Final = OpenedImage()


def open_image(data: bytes) -> OpenedImage:
    """Open an image; `data` is its content."""
    try:
        found = probe(data)
    except NoPictureError as error:
        return OpenedImage(fault=str(error))
    return OpenedImage(*found, rewritten=found.format in _JPEG and not data.endswith(b"\xff\xd9"))


def read_label_of(image: str) -> FileFacts:
    """Return the file where trainers look for an image's label, with its content where it can be read."""
    return read(label_for_trainers(image), follow=True, keep=True, most=_LABEL_BYTES)


def trainer_outcome(
    path: str, image: OpenedImage, label: bytes | None, class_count: int | None, keypoints: Keypoints | None = None
) -> TrainerOutcome:
    """Return what the trainers do with an image; `label` is its label's content, None where there is none."""
    faults = _by_image(path[path.rfind(".") + 1 :].lower(), image)
    duplicates = 0
    if label:
        status = [label_verdict(trainer, label, class_count, keypoints) for trainer in TRAINERS]
        pairs = list(zip(faults, status, strict=True))
        faults = tuple(None if fault is None else fault or verdict.fault for fault, verdict in pairs)
        duplicates = max((verdict.duplicates for fault, verdict in pairs if fault is not None), default=0)
    return TrainerOutcome(faults, bool(label and label.strip()), duplicates, image.rewritten)


@lru_cache(4096)
def _by_image(suffix: str, image: OpenedImage) -> tuple[str | None, ...]:
    """Return for each trainer why it drops an image, whatever its label."""
    return tuple(_image_fault(trainer, image) if loads(trainer, suffix) else None for trainer in TRAINERS)


def _image_fault(trainer: Trainer, image: OpenedImage) -> str:
    if image.fault or not image.format:
        return image.fault
    return image_fault(trainer, image.format, image.width, image.height)


def is_loaded(path: str) -> bool:
    """Return whether any trainer loads an image of this suffix."""
    return any(loads(trainer, path) for trainer in TRAINERS)


def outcome_problems(path: str, label: str, image: TrainerOutcome) -> Iterator[Problem]:
    """Yield what trainers do to an image without asking, as warnings; `label` is the path of its label."""
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
        message = (
            "a JPEG that does not end in FF D9: trainers save it anew in its place, through a link too, and drop it "
            "where they cannot write"
        )
        yield Problem("unreadable", "warning", path, message)


# ---- counts by trainer and split ------------------------------------------------------------------------------------

Loads = Counter[tuple[str, Split, str]]  # images by trainer, split, and what the trainer does with them


def add_loads(loaded: Loads, split: Split, images: Iterable[TrainerOutcome]) -> None:
    """Count what each trainer makes of images of one split."""
    for (faults, labelled), count in Counter((image.faults, image.labelled) for image in images).items():
        for trainer, fault in zip(TRAINERS, faults, strict=True):
            if fault is None:
                what = "skipped"
            elif fault:
                what = "dropped"
            else:
                what = "labelled" if labelled else "backgrounds"
            loaded[trainer.name, split, what] += count


def loads_of(loaded: Loads) -> tuple[Load, ...]:
    """Return what each trainer loads of each split."""
    return tuple(
        Load(trainer.name, split, *(loaded[trainer.name, split, what] for what in Load._fields[2:]))
        for trainer in TRAINERS
        for split in SPLITS
        if any(key[:2] == (trainer.name, split) for key in loaded)
    )


def load_note(load: Iterable[Load]) -> str:
    """Return what one trainer loads, as a few words."""
    parts = []
    for each in load:
        rest = [f"{count:,} {what}" for count, what in ((each.dropped, "dropped"), (each.skipped, "not read")) if count]
        loaded = f"{each.split} {each.labelled:,} labelled and {each.backgrounds:,} background images"
        parts.append(", ".join((loaded, *rest)))
    return "; ".join(parts)
