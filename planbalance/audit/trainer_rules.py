"""How Ultralytics and YOLOv5 judge an image and its label before they train on it. Pure over bytes.

Read in Ultralytics 8.4 (`data/utils.py`, `data/base.py`) and YOLOv5 7.0 (`utils/dataloaders.py`), and compared
with the packages themselves by an optional test. A file that is refused takes its image out of the training: the
trainer says "corrupt" in its log, and goes on.
"""

import struct
from collections.abc import Sequence
from math import isnan
from typing import Final, NamedTuple

from planbalance.labels import ONE_BOX, SLACK, as_single, box_around
from planbalance.model import Keypoints

_BOTH: Final = frozenset(("bmp", "dng", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"))
LEAST_SIDE: Final = 10  # pixels


class Trainer(NamedTuple):
    """A trainer and the suffixes of the images that it loads."""

    name: str
    suffixes: frozenset[str]


ULTRALYTICS: Final = Trainer("Ultralytics", _BOTH | {"avif", "heic", "heif", "jp2"})
YOLOV5: Final = Trainer("YOLOv5", _BOTH | {"pfm"})
TRAINERS: Final = (ULTRALYTICS, YOLOV5)


class LabelVerdict(NamedTuple):
    """What a trainer makes of a label: a reason to drop the image or "", and how many lines it drops as duplicates."""

    fault: str
    duplicates: int = 0


Row = Sequence[float]  # the numbers of a line
_FINE: Final = LabelVerdict("")
_BEYOND: Final = "coordinates beyond 1"


def loads(trainer: Trainer, image: str) -> bool:
    """Return whether a trainer's glob and its list of suffixes take an image."""
    return image.rpartition(".")[2].lower() in trainer.suffixes


def image_fault(trainer: Trainer, kind: str, width: int, height: int) -> str:
    """Return why a picture that opens is dropped all the same, or ""."""
    if width < LEAST_SIDE or height < LEAST_SIDE:
        return f"{width} × {height} pixels: less than {LEAST_SIDE} a side"
    known = trainer.suffixes | ({"jpeg2000"} if trainer is ULTRALYTICS else set())
    return "" if kind.lower() in known else f"{kind} is not a format of {trainer.name}"


def label_verdict(
    trainer: Trainer, data: bytes, class_count: int | None, keypoints: Keypoints | None = None
) -> LabelVerdict:
    """Return what a trainer makes of a label file's bytes; `keypoints` as the yaml has them, which YOLOv5 ignores.

    With keypoints Ultralytics trains a pose model.
    """
    if keypoints is None and (box := ONE_BOX.fullmatch(data)) and (class_count is None or int(box[1]) < class_count):
        return _FINE
    try:
        text = data.decode("utf-8-sig" if trainer is ULTRALYTICS else "utf-8")
        rows = [_singles(list(map(float, line.split()))) for line in text.strip().splitlines() if line.split()]
    except (UnicodeDecodeError, ValueError):
        return LabelVerdict("a line is not numbers")
    if not rows or isnan(sum(map(sum, rows))):
        return LabelVerdict(_BEYOND if rows else "")  # NaN is no coordinate either
    if keypoints is not None and trainer is ULTRALYTICS:
        fault = _pose_fault(rows, class_count, keypoints)
        return LabelVerdict(fault, 0 if fault else _duplicates(rows))
    polygons = any(len(row) > 6 for row in rows)
    fault, boxes = _boxes(trainer, rows) if polygons else _plain_boxes(rows)
    fault = fault or _value_fault(trainer, boxes, class_count)
    if fault:
        return LabelVerdict(fault)
    compared = rows if polygons and trainer is ULTRALYTICS else boxes
    return LabelVerdict("", _duplicates(compared))


def _duplicates(rows: Sequence[Sequence[float]]) -> int:
    return len(rows) - len(set(map(tuple, rows)))


def _singles(row: list[float]) -> Row:
    """Return numbers as trainers hold them: 1.0000000000000002 is 1 in single precision."""
    try:
        return struct.unpack(f"{len(row)}f", struct.pack(f"{len(row)}f", *row))
    except OverflowError:  # trainers have infinity there
        return row


def _pose_fault(rows: Sequence[Row], class_count: int | None, keypoints: Keypoints) -> str:
    """Return why Ultralytics drops labels with keypoints: it bounds their x and y from above, not the box."""
    wrong = next((len(row) for row in rows if len(row) != keypoints.columns), None)
    if wrong is not None:
        return f"a line of {wrong} numbers where {keypoints.columns} are wanted"
    dims = keypoints.dims
    places = [row[at] for row in rows for start in range(5, len(row), dims) for at in (start, start + 1)]
    if max(places) > as_single(1 + SLACK):
        return _BEYOND
    least = min(map(min, rows))
    if least < 0 and (least < -SLACK or min(min(row[3:5]) for row in rows) < 0):
        return "negative values"
    return _class_fault([row[0] for row in rows], class_count)


def _plain_boxes(rows: Sequence[Row]) -> tuple[str, Sequence[Row]]:
    wrong = next((len(row) for row in rows if len(row) != 5), None)
    return (f"a line of {wrong} numbers where 5 are wanted" if wrong is not None else ""), rows


def _boxes(trainer: Trainer, rows: Sequence[Row]) -> tuple[str, Sequence[Row]]:
    """Return the boxes around polygons; with YOLOv5 a box among them is taken for a polygon of two points."""
    if trainer is ULTRALYTICS and any(len(row) == 5 for row in rows):
        return "boxes and polygons in one file", []
    if any(len(row) % 2 == 0 or len(row) < 3 for row in rows):
        return "a polygon with an odd count of coordinates", []
    return "", [_singles([row[0], *box_around(row[1:])]) for row in rows]


def _value_fault(trainer: Trainer, boxes: Sequence[Row], class_count: int | None) -> str:
    slack = SLACK if trainer is ULTRALYTICS else 0.0
    if max(max(box[1:]) for box in boxes) > as_single(1 + slack):
        return _BEYOND
    if not all(box[0] >= 0 and min(box[1:]) >= -slack and min(box[3:]) >= 0 for box in boxes):
        return "negative values"
    if trainer is YOLOV5:
        return ""
    return _class_fault([box[0] for box in boxes], class_count)


def _class_fault(classes: Sequence[float], class_count: int | None) -> str:
    if any(one % 1 for one in classes):
        return "a class that is no whole number"
    if class_count is not None and any(one >= class_count for one in classes):
        return f"a class beyond the {class_count} of the yaml"
    return ""
