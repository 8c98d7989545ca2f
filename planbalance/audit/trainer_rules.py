"""How Ultralytics and YOLOv5 judge an image and its label before they train on it. Pure over bytes.

Read in Ultralytics 8.4 (`data/utils.py`, `data/base.py`) and YOLOv5 7.0 (`utils/dataloaders.py`), and held against the
packages themselves by an optional test. A file that is refused takes its image out of the training: the trainer says
"corrupt" in its log, and goes on.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from planbalance.labels import ONE_BOX

_BOTH: Final = frozenset(("bmp", "dng", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"))
_SLACK: Final = 0.01  # Ultralytics' tolerance of coordinates
LEAST_SIDE: Final = 10  # pixels


class Trainer(NamedTuple):
    """One of the two."""

    name: str
    suffixes: frozenset[str]


ULTRALYTICS: Final = Trainer("Ultralytics", _BOTH | {"avif", "heic", "heif", "jp2"})
YOLOV5: Final = Trainer("YOLOv5", _BOTH | {"pfm"})
TRAINERS: Final = (ULTRALYTICS, YOLOV5)


class LabelVerdict(NamedTuple):
    """What a trainer makes of a label: a reason to drop the image or "", and how many lines it drops as doubles."""

    fault: str
    duplicates: int = 0


_FINE: Final = LabelVerdict("")


def label_of(image: str) -> str:
    """Return where trainers look for an image's label: the last `/images/` becomes `/labels/`, the suffix `.txt`."""
    head, found, tail = image.rpartition("/images/")
    path = f"{head}/labels/{tail}" if found else image
    return f"{path.rpartition('.')[0] or path}.txt"


def loads(trainer: Trainer, image: str) -> bool:
    """Return whether a trainer's glob and its list of suffixes take an image."""
    return image.rpartition(".")[2].lower() in trainer.suffixes


def image_fault(trainer: Trainer, kind: str, width: int, height: int) -> str:
    """Return why a picture that opens is dropped all the same, or ""."""
    if width < LEAST_SIDE or height < LEAST_SIDE:
        return f"{width} × {height} pixels: less than {LEAST_SIDE} a side"
    known = trainer.suffixes | ({"jpeg2000"} if trainer is ULTRALYTICS else set())
    return "" if kind.lower() in known else f"{kind} is not a format of {trainer.name}"


def label_verdict(trainer: Trainer, data: bytes, class_count: int | None) -> LabelVerdict:
    """Return what a trainer makes of a label file's bytes."""
    if (box := ONE_BOX.fullmatch(data)) and (class_count is None or int(box[1]) < class_count):
        return _FINE
    try:
        text = data.decode("utf-8-sig" if trainer is ULTRALYTICS else "utf-8")
        rows = [[float(field) for field in line.split()] for line in text.strip().splitlines() if line.split()]
    except (UnicodeDecodeError, ValueError):
        return LabelVerdict("a line is not numbers")
    if not rows:
        return LabelVerdict("")
    polygons = any(len(row) > 6 for row in rows)
    fault, boxes = _boxes(trainer, rows) if polygons else _plain_boxes(rows)
    fault = fault or _value_fault(trainer, boxes, class_count)
    if fault:
        return LabelVerdict(fault)
    told_apart = rows if polygons and trainer is ULTRALYTICS else boxes
    return LabelVerdict("", len(rows) - len({struct.pack(f"{len(row)}f", *row) for row in told_apart}))


def _plain_boxes(rows: list[list[float]]) -> tuple[str, list[list[float]]]:
    wrong = next((len(row) for row in rows if len(row) != 5), None)
    return (f"a line of {wrong} numbers where 5 are wanted" if wrong is not None else ""), rows


def _boxes(trainer: Trainer, rows: list[list[float]]) -> tuple[str, list[list[float]]]:
    """Return the boxes around polygons; with YOLOv5 a box among them is taken for a polygon of two points."""
    if trainer is ULTRALYTICS and any(len(row) == 5 for row in rows):
        return "boxes and polygons in one file", []
    if any(len(row) % 2 == 0 or len(row) < 3 for row in rows):
        return "a polygon with half a point", []
    return "", [_box_around(row) for row in rows]


def _box_around(row: Sequence[float]) -> list[float]:
    left, right, top, bottom = min(row[1::2]), max(row[1::2]), min(row[2::2]), max(row[2::2])
    return [row[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def _value_fault(trainer: Trainer, boxes: list[list[float]], class_count: int | None) -> str:
    slack = _SLACK if trainer is ULTRALYTICS else 0.0
    if not all(value <= 1 + slack for box in boxes for value in box[1:]):  # not a number is no coordinate either
        return "coordinates beyond 1"
    if not all(box[0] >= 0 and min(box[1:]) >= -slack and min(box[3:]) >= 0 for box in boxes):
        return "negative values"
    if trainer is YOLOV5:
        return ""
    if any(box[0] % 1 for box in boxes):
        return "a class that is no whole number"
    if class_count is not None and any(box[0] >= class_count for box in boxes):
        return f"a class beyond the {class_count} of the yaml"
    return ""
