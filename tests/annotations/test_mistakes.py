"""Each trap has a test that fails for the mistake it is about: the mistake is made, and the test must see it."""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import pytest
from _pytest.outcomes import Failed

from planbalance.annotations import coco_runs, label_text
from planbalance.annotations.drafts import box_of_corners, hull_of, source_of, whole_of
from planbalance.annotations.fates import FrameOutcome
from planbalance.annotations.image_index import FoundFrames
from planbalance.annotations.source import Reviewed
from planbalance.annotations.voc_xml import Element
from planbalance.errors import PlanbalanceError
from planbalance.import_model import Box, PlaneKey, VolumeKey
from tests.annotations import (
    test_boxes_csv,
    test_coco,
    test_coco_runs,
    test_fastmri_plus,
    test_fates,
    test_image_index,
    test_label_text,
    test_mdai,
    test_mdai_frame,
    test_voc,
    test_xray_tables,
)
from tests.annotations.test_coco_runs import SQUARE


def box_from_0(left: Decimal, top: Decimal, right: Decimal, bottom: Decimal) -> Box:
    return box_of_corners(left + 1, top + 1, right, bottom)


def plane_from_1(volume: str, plane: int) -> PlaneKey:
    return PlaneKey(volume, plane - 1)


def without_unreadable(name: Any, annotations: Any, *more: Any, **others: Any) -> Any:
    return source_of(name, [one for one in annotations if one.kind != "unreadable"], *more, **others)


def keep_the_size(box: Box, width: int, height: int) -> Any:
    """Leave a box as it is that lies over an edge."""
    clipped = label_text.clip(box, width, height)
    return box if isinstance(clipped, Box) else clipped


def half_a_polygon(points: Iterable[tuple[Any, Any]]) -> Box:
    listed = list(points)
    return hull_of(listed[: (len(listed) + 1) // 2])


def negative(*_: Any, **__: Any) -> FrameOutcome:
    return FrameOutcome("negative")


def any_descendant(element: Element, name: str) -> Element | None:
    for child in element.children:
        found = child if child.name == name else any_descendant(child, name)
        if found is not None:
            return found
    return None


def by_file_name(index: Any, key: Any) -> FoundFrames:
    found: FoundFrames = index._of_path(key.uid)
    return found


def without_point(value: Any, what: str) -> int:
    return whole_of("" if "." in str(value) else value, what)


def folders_reviewed(annotations: Any) -> list[Reviewed]:
    return [Reviewed(VolumeKey(volume=one.key.path.partition("/")[0])) for one in annotations]


def without_reader(annotations: Any) -> list[Reviewed]:
    return [Reviewed(one.key) for one in annotations if one.key is not None]


def first_of_several(files: Any, _: Any) -> Any:
    return list(files)[:1]


def rows_first(runs: Iterable[int], height: int, width: int) -> Box:
    return _BOX_OF_RUNS(runs, width, height)


def as_it_is(value: Any, _: Any) -> Any:
    return value


def everybody(*_: Any, **__: Any) -> Callable[[str, str], bool]:
    return lambda *_: True


def nothing(*_: Any) -> None:
    return None


_BOX_OF_RUNS = coco_runs._box


class Mistake(NamedTuple):
    target: str  # what is replaced in planbalance.annotations
    mistaken: Any
    seen_by: Callable[[], None]


MISTAKES = {
    "slices from 1": Mistake(
        "fastmri_plus.PlaneKey",
        plane_from_1,
        test_fastmri_plus.test_slices_count_from_0_and_labels_lose_their_blanks,
    ),
    "a heading is a volume": Mistake(
        "fastmri_plus._FILE_NAME",
        re.compile(".+"),
        test_fastmri_plus.test_only_listed_volumes_are_reviewed_and_text_in_the_list_is_no_volume,
    ),
    "an unreviewed slice is negative": Mistake(
        "fates._Joining._outcome",
        negative,
        test_fastmri_plus.test_only_listed_volumes_are_reviewed_and_text_in_the_list_is_no_volume,
    ),
    "a finding of the study is forgotten": Mistake(
        "fates._DOUBTFUL",
        {},
        test_fastmri_plus.test_a_wanted_finding_of_the_whole_study_makes_its_slices_doubtful,
    ),
    "a box without a size is forgotten": Mistake("fates._DOUBTFUL", {}, test_fates.test_doubtful_slices_can_be_refused),
    "a box over an edge stays as it is": Mistake(
        "fates.clip", keep_the_size, test_fastmri_plus.test_clipped_duplicate_and_flat_boxes_each_have_a_fate
    ),
    "the first of two files is taken": Mistake(
        "image_index._fitting",
        first_of_several,
        partial(test_image_index.test_a_path_that_fits_several_images_is_refused, "a.png", ["x/a.png", "y/a.png"]),
    ),
    "a uid is a file name": Mistake(
        "image_index.ImageIndex._of_uid",
        by_file_name,
        test_mdai.test_the_uid_of_the_header_finds_the_image_whatever_its_file_is_called,
    ),
    "frames are taken as they are": Mistake(
        "mdai._frame", as_it_is, test_mdai.test_the_base_of_frame_numbers_must_be_given_where_a_file_has_several
    ),
    "all readers are used at once": Mistake(
        "fates.chosen_readers", everybody, test_mdai.test_several_readers_are_refused_until_one_is_chosen
    ),
    "sizes are not compared": Mistake(
        "mdai.size_of", nothing, test_mdai.test_a_box_of_an_image_of_another_size_is_not_scaled
    ),
    "5.0 is no number": Mistake(
        "mdai_frame.whole_of", without_point, test_mdai_frame.test_the_key_gives_the_slice_and_the_folder_is_the_volume
    ),
    "half of a polygon is read": Mistake(
        "coco.hull_of",
        half_a_polygon,
        partial(
            test_coco.test_a_box_is_bbox_else_polygons_else_run_lengths,
            {"bbox": None, "segmentation": [[50, 20, 100, 30, 150, 25]]},
        ),
    ),
    "runs go along rows": Mistake(
        "coco_runs._box",
        rows_first,
        partial(test_coco_runs.test_texts_that_pycocotools_2_0_wrote, [50, 70], SQUARE, (5, 10, 61, 41)),
    ),
    "corners from 0": Mistake(
        "voc.box_of_corners", box_from_0, test_voc.test_pixels_count_from_1_and_both_ends_belong_to_the_box
    ),
    "corners from 0 in a CSV": Mistake(
        "boxes_csv.box_of_corners", box_from_0, partial(test_boxes_csv.test_forms_and_origins, "xyxy", 1, "11,21,60,70")
    ),
    "the box of a part is taken": Mistake(
        "voc_xml.Element.first", any_descendant, test_voc.test_the_box_of_a_part_is_not_that_of_its_object
    ),
    "whole volumes are reviewed": Mistake(
        "xray_tables._reviewed",
        folders_reviewed,
        test_xray_tables.test_deeplesion_finds_folder_and_slice_and_only_key_slices_are_reviewed,
    ),
    "an image is reviewed whoever looked at it": Mistake(
        "xray_tables._reviewed",
        without_reader,
        test_xray_tables.test_vinbigdata_has_several_readers_and_no_finding_is_a_mark,
    ),
    "a row that cannot be read is lost": Mistake(
        "xray_tables.source_of",
        without_unreadable,
        test_xray_tables.test_retinanet_rows_of_another_length_are_unreadable,
    ),
    "binary numbers are taken for decimal ones": Mistake(
        "label_text._exact",
        float.as_integer_ratio,
        partial(
            test_label_text.test_lines,
            Box(0.0, 0.0, 90.3, 320.0),
            (320, 320),
            "3 0.141094 0.500000 0.282188 1.000000\n",
        ),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_test_of_a_trap_sees_the_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, mistaken, seen_by = MISTAKES[name]
    seen_by()
    monkeypatch.setattr(f"planbalance.annotations.{target}", mistaken)
    with pytest.raises((AssertionError, Failed, PlanbalanceError)):
        seen_by()
