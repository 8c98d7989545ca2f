import hashlib
import os
from pathlib import Path

import pytest

from planbalance.page.boxes import BoxCounts, WantedLabel, box_facts, boxes_of, class_name, count_boxes
from tests.builders import write


def test_boxes_and_polygons_are_outlines_and_what_is_not_valid_is_left_out() -> None:
    found = boxes_of(b"\xef\xbb\xbf0 0.5 0.5 0.2 0.4\r\n\n2 0.1 0.1 0.3 0.1 0.2 0.5\n1 0.5 0.5 1.7 0.2\nnonsense\n")
    assert [box.class_id for box in found] == [0, 2]
    assert sum(found[0].outline, ()) == pytest.approx((0.4, 0.3, 0.6, 0.3, 0.6, 0.7, 0.4, 0.7))
    assert found[1].outline == ((0.1, 0.1), (0.3, 0.1), (0.2, 0.5))
    assert found[0].size == pytest.approx((0.2 * 0.4) ** 0.5)
    assert found[1].size == pytest.approx((0.2 * 0.4) ** 0.5)


def test_boxes_are_counted_by_class_and_split_and_what_was_not_is_said(tmp_path: Path) -> None:
    data = b"0 0.5 0.5 0.1 0.1\n0 0.2 0.2 0.1 0.1\n1 0.5 0.5 0.3 0.3\n"
    path = str(write(tmp_path / "a.txt", data))
    os.mkfifo(tmp_path / "pipe")
    right = hashlib.sha256(data).hexdigest()
    counts = count_boxes(
        [
            WantedLabel(path, "train", right),
            WantedLabel(path, "test", right),
            WantedLabel(path, "test", "0" * 64),
            WantedLabel(str(tmp_path / "nowhere.txt"), "val", right),
            WantedLabel(str(tmp_path), "val", right),
        ]
    )
    found = box_facts(("tear",), counts)
    assert [(row.name, row.boxes, row.slices) for row in found.rows] == [
        ("tear", (2, 0, 2), (1, 0, 1)),
        ("class 1", (1, 0, 1), (1, 0, 1)),
    ]
    assert found.sizes is not None
    assert [row.total for row in found.sizes.rows] == [3, 0, 3]
    assert found.note == (
        "Not counted: 2 label files could not be read here; 1 label files are not the ones that were planned."
    )


def test_a_class_that_a_split_lacks_is_told_where_that_split_has_boxes(tmp_path: Path) -> None:
    both = str(write(tmp_path / "a.txt", b"0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.3 0.3\n"))
    one = str(write(tmp_path / "b.txt", b"0 0.5 0.5 0.2 0.2\n"))
    found = box_facts(("tear", "cyst"), count_boxes([WantedLabel(both, "train", ""), WantedLabel(one, "test", "")]))
    assert found.absent == ("cyst",)
    assert [row.medians for row in found.rows] == [(100, None, 200), (300, None, None)]
    assert box_facts(None, count_boxes([WantedLabel(both, "train", "")])).absent == ()


def test_a_group_with_a_class_is_counted_once_however_many_of_its_slices_have_it(tmp_path: Path) -> None:
    label = str(write(tmp_path / "a.txt", b"0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.3 0.3\n"))
    wanted = [WantedLabel(label, "test", "", None, group) for group in ("p1", "p1", "p2")]
    counts = count_boxes(wanted[:1])
    counts.add(count_boxes(wanted[1:]))
    (row,) = box_facts(("tear",), counts).rows
    assert (row.class_id, row.slices, row.units) == (0, (0, 0, 3), (0, 0, 2))


def test_nothing_read_is_nothing_known() -> None:
    found = box_facts(None, BoxCounts())
    assert (found.rows, found.sizes, found.note) == ((), None, "")


def test_a_class_without_a_name_is_its_number() -> None:
    assert [class_name(("a", ""), index) for index in (-1, 0, 1, 2)] == ["class -1", "a", "class 1", "class 2"]
    assert class_name(None, 0) == "class 0"
