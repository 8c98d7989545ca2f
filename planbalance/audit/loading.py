"""What each trainer would load of a data set, image by image: labelled, background, dropped, or not read at all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from planbalance.audit.trainer_rules import TRAINERS, image_fault, label_of, label_verdict, loads
from planbalance.audit.tree import read
from planbalance.decode import NoPictureError, probe
from planbalance.model import Load, Split

_LABEL_BYTES: Final = 1 << 26
_JPEG: Final = frozenset(("JPEG", "MPO"))


class Taken(NamedTuple):
    """What the trainers do with one image.

    Attributes:
        faults: for each trainer why it drops the image, "" where it does not, None where it passes it over.
        labelled: the label holds a line.
        missing: there is no label where trainers look for it.
        duplicates: lines that are dropped as doubles of another.
        rewritten: a JPEG that does not end as one: trainers save it anew in its place.
    """

    faults: tuple[str | None, ...]
    labelled: bool
    missing: bool
    duplicates: int
    rewritten: bool


def taken(path: str, data: bytes | None, class_count: int | None) -> Taken:
    """Return what the trainers do with an image; `data` is its content, None where it was not read."""
    label = read(label_of(path), follow=True, keep=True, most=_LABEL_BYTES)
    text = label.data or b""
    faults: list[str | None] = []
    duplicates = 0
    kind, fault, size = _probed(data)
    for trainer in TRAINERS:
        if not loads(trainer, path):
            faults.append(None)
            continue
        verdict = label_verdict(trainer, text, class_count)
        duplicates = max(duplicates, verdict.duplicates)
        faults.append(fault or (image_fault(trainer, kind, *size) if kind else "") or verdict.fault)
    rewritten = kind in _JPEG and data is not None and not data.endswith(b"\xff\xd9")
    return Taken(tuple(faults), bool(text.strip()), label.kind == "missing", duplicates, rewritten)


def _probed(data: bytes | None) -> tuple[str, str, tuple[int, int]]:
    """Return format, fault and size; all empty where the pixels are not looked at."""
    if data is None:
        return "", "", (0, 0)
    try:
        found = probe(data)
    except NoPictureError as error:
        return "", str(error), (0, 0)
    return found.format, "", (found.width, found.height)


def count_loads(images: Iterable[tuple[Sequence[Split], Taken]]) -> tuple[Load, ...]:
    """Return what each trainer loads of each split."""
    counts: dict[tuple[str, Split], Counter[str]] = {}
    for splits, image in images:
        for split in splits:
            for trainer, fault in zip(TRAINERS, image.faults, strict=True):
                of = counts.setdefault((trainer.name, split), Counter())
                if fault is None:
                    of["skipped"] += 1
                elif fault:
                    of["dropped"] += 1
                else:
                    of["labelled" if image.labelled else "backgrounds"] += 1
    return tuple(
        Load(trainer.name, split, of["labelled"], of["backgrounds"], of["dropped"], of["skipped"])
        for trainer in TRAINERS
        for (name, split), of in sorted(counts.items(), key=_by_split)
        if name == trainer.name
    )


def _by_split(entry: tuple[tuple[str, Split], Counter[str]]) -> int:
    return ("train", "val", "test").index(entry[0][1])


def load_note(load: Iterable[Load]) -> str:
    """Return what one trainer loads, as a few words."""
    parts = []
    for each in load:
        rest = [f"{count:,} {what}" for count, what in ((each.dropped, "dropped"), (each.skipped, "not read")) if count]
        loaded = f"{each.split} {each.labelled:,} labelled and {each.backgrounds:,} background images"
        parts.append(", ".join((loaded, *rest)))
    return "; ".join(parts)
