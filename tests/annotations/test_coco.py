"""COCO: ids that are any integer, boxes, polygons, run lengths, crowds, images without annotations."""

import json
from typing import Any

import pytest

from planbalance.errors import InputError
from tests.annotations.raw import each, fates, joined, labels, read, read_json, reasons, states

VOLUMES = each("train/a.jpg", "train/b.jpg", "c.jpg")
LINE = "0 0.500000 0.250000 0.500000 0.100000\n"


def document(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    first = {
        "images": [
            {"id": 0, "file_name": "train/a.jpg", "width": 200, "height": 100},
            {"id": 7, "file_name": "images/train/b.jpg", "width": 200, "height": 100},
        ],
        "categories": [{"id": 0, "name": "tear"}, {"id": 90, "name": "cyst "}],
        "annotations": list(annotations),
    }
    return {**first, **more}


def annotation(**values: Any) -> dict[str, Any]:
    return {"id": 5, "image_id": 0, "category_id": 0, "bbox": [50, 20, 100, 10], **values}


def test_ids_may_be_0_and_classes_go_by_name() -> None:
    source = read_json("coco", document(annotation(), annotation(category_id=90, image_id=7.0)))
    result = joined(source, VOLUMES, "cyst,tear")
    assert labels(result) == {0: LINE.replace("0 ", "1 ", 1), 1: LINE}
    assert source.labels == {"cyst": 1, "tear": 1}


def test_images_without_annotations_are_negative_and_others_unreviewed() -> None:
    assert states(joined(read_json("coco", document(annotation())), VOLUMES, "tear")) == [
        *("positive", "negative", "unreviewed")
    ]


@pytest.mark.parametrize(
    "geometry",
    [
        {"bbox": None, "segmentation": [[50, 20, 150, 25, 100, 30]]},
        {"bbox": [], "segmentation": [[50, 20, 60, 30], [140, 21, 150, 29]]},
        {"segmentation": [[0, 0, 1, 1, 2, 2]]},  # bbox decides
        {"bbox": None, "segmentation": {"size": [100, 200], "counts": [5020, 10, *[90, 10] * 99, 5070]}},
    ],
)
def test_a_box_is_bbox_else_polygons_else_run_lengths(geometry: dict[str, Any]) -> None:
    assert labels(joined(read_json("coco", document(annotation(**geometry))), VOLUMES, "tear")) == {0: LINE}


@pytest.mark.parametrize(
    ("values", "fate", "reason"),
    [
        ({"iscrowd": 1}, "crowd", ""),
        ({"iscrowd": 1, "bbox": None}, "crowd", ""),
        ({"bbox": None}, "no-geometry", "neither bbox nor segmentation"),
        ({"bbox": [0, 0, 0, 5]}, "degenerate", ""),
        ({"bbox": None, "segmentation": {"size": [100, 200], "counts": [20000]}}, "no-geometry", "marks no pixel"),
        ({"bbox": None, "segmentation": {"size": [100, 200], "counts": [9, 0, 19991]}}, "no-geometry", "no pixel"),
        ({"bbox": None, "segmentation": {"size": [100, 200], "counts": [9]}}, "unreadable", "do not fit its size"),
        ({"bbox": None, "segmentation": {"size": [10**9, 10**9], "counts": [1]}}, "unreadable", "size of the mask"),
        ({"bbox": None, "segmentation": [[1, 2, 3]]}, "unreadable", "a polygon is no list"),
        ({"bbox": [1, 2, 3]}, "unreadable", "bbox is not [x, y, width, height]"),
        ({"bbox": [1, 2, 3, "x"]}, "unreadable", "bbox is no number: 'x'"),
        ({"image_id": 99}, "no-image", "images has no image with the id 99"),
        ({"image_id": True}, "unreadable", "image_id is no id"),
        ({"category_id": 5}, "unknown-label", ""),
        ({"category_id": None}, "unreadable", "category_id is no id"),
        ({"bbox": [-5, 10, 10, 10]}, "clipped", ""),
        ({"bbox": [200, 10, 10, 10]}, "outside", "the image is 200 x 100"),
    ],
)
def test_other_annotations(values: dict[str, Any], fate: str, reason: str) -> None:
    result = joined(read_json("coco", document(annotation(**values), annotation(image_id=7))), VOLUMES, "tear")
    assert fates(result) == [fate, "used"]
    assert reason in reasons(result)[0]
    doubtful = fate not in ("no-image", "unknown-label", "clipped") and values.get("image_id", 0) is not True
    assert (states(result)[0] == "doubtful") == doubtful


def test_a_stated_size_that_differs_is_a_fate_and_without_annotations_a_warning() -> None:
    images = [{"id": one, "file_name": f"{one}.jpg", "width": 100, "height": 200} for one in (1, 2)]
    source = read_json("coco", document(annotation(image_id=1), images=images))
    result = joined(source, each("1.jpg", "2.jpg"), "tear")
    assert fates(result) == ["size-mismatch"]
    assert states(result) == ["doubtful", "negative"]
    assert result.warnings == ("2 images have another size than the annotation files state: 1.jpg, 2.jpg.",)


def test_nan_of_pythons_json_spoils_its_row_only() -> None:
    text = json.dumps(document(annotation(bbox=[float("nan"), 1, 1, 1]), annotation(image_id=7)))
    result = joined(read("coco", text), VOLUMES, "tear")
    assert fates(result) == ["unreadable", "used"]


def test_one_id_for_two_images_or_categories_is_refused() -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]
    with pytest.raises(InputError, match="two images with the id 1"):
        read_json("coco", document(images=images))
    with pytest.raises(InputError, match="two categories with the id 1"):
        read_json("coco", document(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]))


def test_two_names_for_one_image_are_refused() -> None:
    images = [{"id": 1, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y/a.jpg"}]
    with pytest.raises(InputError, match=r"two names of the annotation file fit one image: x/a\.jpg and y/a\.jpg"):
        joined(read_json("coco", document(annotation(image_id=1), images=images)), each("a.jpg"), "tear")


def test_an_image_without_a_name_is_said_and_its_annotation_kept() -> None:
    source = read_json("coco", document(annotation(image_id=1), images=[{"id": 1}, {"id": None}]))
    assert [one.reason for one in source.annotations] == ["its image cannot be read: image 1: file_name is empty"]
    assert "2 images cannot be read" in source.warnings[0]


def test_a_category_that_the_file_does_not_declare_is_said() -> None:
    source = read_json("coco", document(annotation(), annotation(category_id=8), annotation(category_id=8)))
    (warning,) = source.warnings
    assert warning.startswith("2 annotations have labels that the file does not name, and so perhaps a finding")
    assert "'category 8'" in warning
    assert fates(joined(source, VOLUMES, "tear")) == ["used", "unknown-label", "unknown-label"]
    assert read_json("coco", document(annotation())).warnings == ()
