"""What Ultralytics and YOLOv5 make of images and labels; `test_trainers_themselves.py` asks the packages."""

import pytest

from planbalance.audit.trainer_rules import (
    TRAINERS,
    ULTRALYTICS,
    YOLOV5,
    Trainer,
    image_fault,
    label_verdict,
    loads,
)
from planbalance.model import Keypoints
from planbalance.path_relation import label_for_trainers

BOX = b"0 0.5 0.5 0.1 0.1\n"
POLYGON = b"0 0.1 0.1 0.2 0.1 0.2 0.2\n"

# (label, classes, why Ultralytics drops it, why YOLOv5 does, lines dropped as doubles by each)
LABELS = [
    pytest.param(b"", 1, "", "", 0, 0, id="empty"),
    pytest.param(b" \n\t\n", 1, "", "", 0, 0, id="white space"),
    pytest.param(BOX, 1, "", "", 0, 0, id="a box"),
    pytest.param(BOX * 3, 1, "", "", 2, 2, id="a box three times"),
    pytest.param(b"\xef\xbb\xbf" + BOX, 1, "", "not numbers", 0, 0, id="a byte order mark"),
    pytest.param(BOX[:-5] + b"\n", 1, "of 4 numbers", "of 4 numbers", 0, 0, id="a number short"),
    pytest.param(b"0 0.5 0.5 0.1 0.1 0.9\n", 1, "of 6 numbers", "of 6 numbers", 0, 0, id="with confidence"),
    pytest.param(b"0 0.5 0.5 0.1 x\n", 1, "not numbers", "not numbers", 0, 0, id="a word"),
    pytest.param(b"0 0.5 0.5 1.005 0.1\n", 1, "", "beyond 1", 0, 0, id="a little too wide"),
    pytest.param(b"0 0.5 0.5 1.01 0.1\n", 1, "", "beyond 1", 0, 0, id="as wide as Ultralytics takes it"),
    pytest.param(b"0 0.5 0.5 1.0000000000000002 0.1\n", 1, "", "", 0, 0, id="1 in single precision"),
    pytest.param(b"0 0.5 0.5 1.5 0.1\n", 1, "beyond 1", "beyond 1", 0, 0, id="too wide"),
    pytest.param(b"0 nan 0.5 0.5 0.1\n", 1, "beyond 1", "beyond 1", 0, 0, id="not a number"),
    pytest.param(b"0 -0.005 0.5 0.5 0.1\n", 1, "", "negative", 0, 0, id="a little outside"),
    pytest.param(b"0 0.5 0.5 -0.005 0.1\n", 1, "negative", "negative", 0, 0, id="a negative width"),
    pytest.param(b"-1 0.5 0.5 0.5 0.1\n", 1, "negative", "negative", 0, 0, id="a negative class"),
    pytest.param(b"0.5 0.5 0.5 0.5 0.1\n", 1, "no whole number", "", 0, 0, id="half a class"),
    pytest.param(b"1 0.5 0.5 0.1 0.1\n", 1, "beyond the 1", "", 0, 0, id="a class too many"),
    pytest.param(b"7 0.5 0.5 0.1 0.1\n", None, "", "", 0, 0, id="no names, no limit"),
    pytest.param(POLYGON, 1, "", "", 0, 0, id="a polygon"),
    pytest.param(POLYGON + BOX, 1, "boxes and polygons", "", 0, 0, id="both kinds"),
    pytest.param(POLYGON * 2, 1, "", "", 1, 1, id="a polygon twice"),
    pytest.param(
        POLYGON + b"0 0.2 0.2 0.1 0.2 0.2 0.1 0.1 0.1\n", 1, "", "", 0, 1, id="two polygons with one box around them"
    ),
    pytest.param(POLYGON[:-5] + b"\n", 1, "of 6 numbers", "of 6 numbers", 0, 0, id="a polygon of 2 1/2 points"),
    pytest.param(
        POLYGON[:-1] + b" 0.5\n",
        1,
        "odd count of coordinates",
        "odd count of coordinates",
        0,
        0,
        id="a polygon of 3 1/2 points",
    ),
]


@pytest.mark.parametrize(("data", "classes", "ultralytics", "yolov5", "doubles", "doubles_5"), LABELS)
def test_labels(data: bytes, classes: int | None, ultralytics: str, yolov5: str, doubles: int, doubles_5: int) -> None:
    for trainer, fault, count in ((ULTRALYTICS, ultralytics, doubles), (YOLOV5, yolov5, doubles_5)):
        verdict = label_verdict(trainer, data, classes)
        assert (fault in verdict.fault, bool(verdict.fault)) == (True, bool(fault)), trainer.name
        assert verdict.duplicates == count, trainer.name


POSE = b"0 0.5 0.5 0.1 0.1 0.2 0.2 2 0.3 0.3 0\n"


@pytest.mark.parametrize(
    ("data", "fault", "doubles"),
    [
        (POSE, "", 0),
        (POSE * 3, "", 2),
        (b"", "", 0),
        (BOX, "a line of 5 numbers where 11 are wanted", 0),
        (POSE + BOX, "a line of 5 numbers where 11 are wanted", 0),
        (POSE.replace(b"0.3 0.3", b"0.3 1.2"), "coordinates beyond 1", 0),
        (POSE.replace(b"0.3 0.3", b"0.3 1.01"), "", 0),
        (POSE.replace(b"0.3 0.3", b"-0.005 0.3"), "", 0),
        (POSE.replace(b"0.3 0.3", b"-0.02 0.3"), "negative values", 0),
        (POSE.replace(b"0.1 0.1", b"-0.001 0.1"), "negative values", 0),
        (POSE.replace(b"0.1 0.1", b"1.3 0.1"), "", 0),  # only keypoints are held against 1
        (b"1" + POSE[1:], "a class beyond the 1 of the yaml", 0),
        (POSE.replace(b"0.2 0.2 2", b"0.2 0.2 1e300"), "", 0),
    ],
)
def test_labels_with_keypoints(data: bytes, fault: str, doubles: int) -> None:
    assert label_verdict(ULTRALYTICS, data, 1, Keypoints(2, 3)) == (fault, doubles)


def test_yolov5_takes_keypoints_for_polygons() -> None:
    assert label_verdict(YOLOV5, POSE, 1, Keypoints(2, 3)).fault == "coordinates beyond 1"
    assert not label_verdict(YOLOV5, BOX[:-1] + b" 0.2 0.2\n", 1, Keypoints(1, 2)).fault


def test_a_class_of_any_size_without_names_is_judged() -> None:
    assert not label_verdict(YOLOV5, b"1e300 0.5 0.5 0.1 0.1\n" * 2, None).fault


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("/d/images/train/a.png", "/d/labels/train/a.txt"),
        ("/images/d/images/train/v.1/a.b.png", "/images/d/labels/train/v.1/a.b.txt"),
        ("/d/pictures/train/a.png", "/d/pictures/train/a.txt"),
        ("/d/train/images/a.png", "/d/train/labels/a.txt"),
    ],
)
def test_the_last_images_folder_becomes_labels(image: str, label: str) -> None:
    assert label_for_trainers(image) == label


@pytest.mark.parametrize(
    ("suffix", "by"),
    [("png", TRAINERS), ("JPG", TRAINERS), ("dcm", ()), ("pfm", (YOLOV5,)), ("jp2", (ULTRALYTICS,)), ("jpeg2000", ())],
)
def test_suffixes(suffix: str, by: tuple[Trainer, ...]) -> None:
    assert tuple(trainer for trainer in TRAINERS if loads(trainer, f"/images/a.b.{suffix}")) == by


def test_small_pictures_and_formats_in_disguise() -> None:
    assert all("9 × 64 pixels" in image_fault(trainer, "PNG", 9, 64) for trainer in TRAINERS)
    assert not any(image_fault(trainer, "PNG", 10, 10) for trainer in TRAINERS)
    assert all(image_fault(trainer, "GIF", 64, 64) for trainer in TRAINERS)  # a GIF called .png
