"""Boxes of the kept slices, read from their label files: how many of which class, and how large, per split.

Sizes are relative to the image, as YOLO labels give them: a box's size is the square root of its area, in percent of
the square root of the image's. So no image needs to be opened.
"""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from planbalance import packed_dataset
from planbalance.labels import read_label
from planbalance.model import SPLITS, Keypoints, Split
from planbalance.packed.entry import PackedError
from planbalance.render.histogram import Histogram, histogram, quartiles

# A label file has a few lines; a larger file is no label.
LARGEST_LABEL: Final = 16 << 20


class LabelBox(NamedTuple):
    """One annotation: its class and the corners of its outline, relative to the image, 0 to 1."""

    class_id: int
    outline: tuple[tuple[float, float], ...]

    @property
    def size(self) -> float:
        """Square root of the outline's bounding area, relative to the image's."""
        xs, ys = [x for x, _ in self.outline], [y for _, y in self.outline]
        return math.sqrt(max(0.0, max(xs) - min(xs)) * max(0.0, max(ys) - min(ys)))


def boxes_of(data: bytes, keypoints: Keypoints | None = None) -> tuple[LabelBox, ...]:
    """Return the valid annotations of a label file; of annotations with keypoints, the boxes.

    Lines that are not valid are left out (`labels` judges them).
    """
    broken = {number for number, _ in read_label(data, None, keypoints).problems}
    boxes = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        fields = line.split()
        if fields and number not in broken:
            box = _box(fields if keypoints is None else fields[:5])
            if box is not None:
                boxes.append(box)
    return tuple(boxes)


def _box(fields: Sequence[bytes]) -> LabelBox | None:
    try:
        class_id, *numbers = map(float, fields)
    except ValueError:
        return None
    if len(numbers) == 4:
        x, y, width, height = numbers
        left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
        return LabelBox(int(class_id), ((left, top), (right, top), (right, bottom), (left, bottom)))
    return LabelBox(int(class_id), tuple(zip(numbers[::2], numbers[1::2], strict=True))) if len(numbers) >= 6 else None


class WantedLabel(NamedTuple):
    """A label file to read: where it lies, what the plan says of its content, and whose slice it labels."""

    path: str
    split: Split
    sha256: str
    keypoints: Keypoints | None = None  # of its annotations
    group: str = ""  # the volume, or the patient


@dataclass
class BoxCounts:
    """What was read so far.

    Attributes:
        sizes: (split, class, size in per mille of the image) -> boxes.
        slices: (split, class) -> slices with at least one box of the class.
        holders: (split, class, group) of each group with at least one box of the class.
        unread: label files that could not be read.
        changed: label files that are not what the plan says; their boxes are not counted.
        read: label files that were read.
    """

    sizes: Counter[tuple[Split, int, int]] = field(default_factory=Counter)
    slices: Counter[tuple[Split, int]] = field(default_factory=Counter)
    holders: set[tuple[Split, int, str]] = field(default_factory=set)
    unread: int = 0
    changed: int = 0
    read: int = 0

    def add(self, other: "BoxCounts") -> None:
        """Add another's counts."""
        self.sizes.update(other.sizes)
        self.slices.update(other.slices)
        self.holders |= other.holders
        self.unread += other.unread
        self.changed += other.changed
        self.read += other.read


def count_boxes(wanted: Iterable[WantedLabel]) -> BoxCounts:
    """Read label files and count their boxes."""
    counts = BoxCounts()
    for label in wanted:
        data = read_small(label.path)
        if data is None:
            counts.unread += 1
        elif label.sha256 and hashlib.sha256(data).hexdigest() != label.sha256:
            counts.changed += 1
        else:
            _count(counts, label, boxes_of(data, label.keypoints))
    return counts


def _count(counts: BoxCounts, label: WantedLabel, boxes: Iterable[LabelBox]) -> None:
    counts.read += 1
    seen = set()
    for box in boxes:
        counts.sizes[label.split, box.class_id, round(1000 * box.size)] += 1
        seen.add(box.class_id)
    for class_id in sorted(seen):
        counts.slices[label.split, class_id] += 1
        counts.holders.add((label.split, class_id, label.group))


def read_small(path: str) -> bytes | None:
    """Return a label file's content, or None where it cannot be read. Never blocks on what is no regular file."""
    try:
        data = packed_dataset.file_at(path, LARGEST_LABEL)
    except (PackedError, OSError):
        return None
    if data is not None:
        return data
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return os.read(descriptor, LARGEST_LABEL)
    except OSError:
        return None
    finally:
        os.close(descriptor)


# ---- boxes by class -------------------------------------------------------------------------------------------------


class ClassRow(NamedTuple):
    """One class, a number for each split.

    Attributes:
        class_id: its id.
        name: its name, or `class 3`.
        boxes: annotations of the class.
        slices: images with at least one of them.
        units: volumes, or patients where they are known, with at least one of them.
        medians: of the boxes' sizes, in per mille of the image.
    """

    class_id: int
    name: str
    boxes: tuple[int, ...]
    slices: tuple[int, ...]
    units: tuple[int, ...]
    medians: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """Boxes of a plan.

    Attributes:
        rows: one for each class that occurs.
        absent: names of classes that one split has and another one, which has boxes, lacks.
        sizes: in per mille of the image, or None where no label was read.
        read: label files that were read.
        note: what was not counted; may be empty.
    """

    rows: tuple[ClassRow, ...]
    absent: tuple[str, ...]
    sizes: Histogram | None
    read: int
    note: str


def box_facts(names: Sequence[str] | None, counts: BoxCounts) -> BoxFacts:
    """Return what was counted, by class and split."""
    by_class: dict[int, dict[Split, list[int]]] = {}
    for (split, class_id, size), number in sorted(counts.sizes.items()):
        by_class.setdefault(class_id, {each: [] for each in SPLITS})[split] += [size] * number
    rows = tuple(_row(names, counts, class_id, by_class[class_id]) for class_id in sorted(by_class))
    sizes: dict[str, list[int]] = {
        split: [size for one in by_class.values() for size in one[split]] for split in SPLITS
    }
    filled = [index for index, split in enumerate(SPLITS) if sizes[split]]
    absent = tuple(row.name for row in rows if not all(row.boxes[index] for index in filled))
    return BoxFacts(rows, absent, histogram(sizes), counts.read, _note(counts))


def _row(names: Sequence[str] | None, counts: BoxCounts, class_id: int, sizes: Mapping[Split, list[int]]) -> ClassRow:
    found = [quartiles(sizes[split]) for split in SPLITS]
    holders = Counter(split for split, held, _ in counts.holders if held == class_id)
    return ClassRow(
        class_id,
        class_name(names, class_id),
        tuple(len(sizes[split]) for split in SPLITS),
        tuple(counts.slices[split, class_id] for split in SPLITS),
        tuple(holders[split] for split in SPLITS),
        tuple(None if one is None else one[2] for one in found),
    )


def _note(counts: BoxCounts) -> str:
    parts = []
    if counts.unread:
        parts.append(f"{counts.unread:,} label files could not be read here")
    if counts.changed:
        parts.append(f"{counts.changed:,} label files are not the ones that were planned")
    return f"Not counted: {'; '.join(parts)}." if parts else ""


def class_name(names: Sequence[str] | None, class_id: int) -> str:
    """Return a class's name, or its number where it has none."""
    if names is not None and 0 <= class_id < len(names) and names[class_id]:
        return names[class_id]
    return f"class {class_id}"
