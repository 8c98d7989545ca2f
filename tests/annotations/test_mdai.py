"""MD.ai exports: joined by the UID of the header, shapes, readers, label groups, deleted labels, frames."""

from typing import Any

import pytest

from planbalance.errors import InputError
from tests.annotations.raw import fates, joined, labels, multi_frame, read_json, reasons, series, states

LONG = f"1.2.840.{'1' * 56}"  # UIDs have up to 64 letters
KNEE = series("knee", ["1.1", "1.2", "1.3"], study=LONG)
OTHER = series("other", ["2.1"], study="2.2.2")
BOX = {"x": 128, "y": 64, "width": 256, "height": 128}
LINE = "0 0.500000 0.250000 0.500000 0.250000\n"


def export(*annotations: dict[str, Any], groups: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    tear = {"id": "L_1", "name": "Tear ", "scope": "INSTANCE", "annotationMode": "bbox"}
    normal = {"id": "L_2", "name": "Normal", "scope": "EXAM", "annotationMode": None}
    return {
        "labelGroups": [{"id": "G_1", "name": "Readers A", "labels": [tear, normal]}] if groups is None else groups,
        "datasets": [{"id": "D_1", "annotations": list(annotations)}],
    }


def annotation(uid: str | None = "1.1", **values: Any) -> dict[str, Any]:
    first = {
        "id": "A_1",
        "labelId": "L_1",
        "StudyInstanceUID": LONG,
        "SeriesInstanceUID": f"{LONG}.knee",
        "SOPInstanceUID": uid,
        "frameNumber": None,
        "width": 512,
        "height": 512,
        "data": BOX,
        "createdById": "U_1",
    }
    return {**first, **values}


def test_the_uid_of_the_header_finds_the_image_whatever_its_file_is_called() -> None:
    result = joined(read_json("mdai", export(annotation("1.2"))), [KNEE], "Tear")
    assert labels(result) == {1: LINE}
    assert states(result) == ["negative", "positive", "negative"]
    assert result.ledger[0].image == "knee/0001.dcm"
    assert result.ledger[0].where == "annotation A_1"


def test_only_studies_with_an_annotation_are_reviewed() -> None:
    result = joined(read_json("mdai", export(annotation())), [KNEE, OTHER], "Tear")
    assert states(result) == ["positive", "negative", "negative", "unreviewed"]
    exam = annotation(None, labelId="L_2", data=None, StudyInstanceUID="2.2.2", SeriesInstanceUID=None)
    result = joined(read_json("mdai", export(annotation(), exam)), [KNEE, OTHER], "Tear")
    assert fates(result) == ["used", "study-level"]
    assert states(result)[3] == "negative"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"vertices": [[128, 64], [384, 100], [200, 192]]}, LINE),
        ({"cx": 256, "cy": 128, "rx": 128, "ry": 64}, LINE),
        ({"foreground": [[[128, 64], [200, 80]], [[384, 192], [300, 70]]], "background": [[[0, 0], [1, 1]]]}, LINE),
        ({"x": "128.0", "y": 64.0, "width": 256, "height": 128}, LINE),
        ({"x": 0.3, "y": 0, "width": 0.6, "height": 512}, "0 0.001172 0.500000 0.001172 1.000000\n"),
    ],
)
def test_a_shape_becomes_the_box_around_it(data: Any, line: str) -> None:
    assert labels(joined(read_json("mdai", export(annotation(data=data))), [KNEE], "Tear")) == {0: line}


@pytest.mark.parametrize(
    ("data", "fate", "reason"),
    [
        ({"x": 1, "y": 2}, "no-geometry", "a location"),
        (None, "no-geometry", "no shape"),
        ({}, "no-geometry", "no shape"),
        ({"vertices": []}, "no-geometry", "no points"),
        ({"vertices": [[5, 5], [9, 5]]}, "degenerate", "it goes from (5, 5) to (9, 5)"),
        ({"vertices": [[5, 5], [9]]}, "unreadable", "no list of points"),
        ({"x": 1, "y": 2, "width": None, "height": 3}, "unreadable", "width is empty"),
        ({"points": 3}, "unreadable", "shape is unknown: 'points'"),
        ([1, 2], "unreadable", "shape is unknown: list"),
        ({"x": True, "y": 2, "width": 1, "height": 3}, "unreadable", "x is no number: True"),
    ],
)
def test_a_finding_without_a_box_makes_its_slice_doubtful(data: Any, fate: str, reason: str) -> None:
    result = joined(read_json("mdai", export(annotation(data=data), annotation("1.2"))), [KNEE], "Tear")
    assert fates(result) == [fate, "used"]
    assert reason in reasons(result)[0]
    assert states(result) == ["doubtful", "positive", "negative"]


def test_a_box_of_an_image_of_another_size_is_not_scaled() -> None:
    result = joined(read_json("mdai", export(annotation(width=256, height=256))), [KNEE], "Tear")
    assert fates(result) == ["size-mismatch"]
    assert reasons(result) == ["the image is 512 x 512, not 256 x 256"]
    assert states(result)[0] == "doubtful"


def test_a_uid_that_no_image_has_is_not_taken_for_a_file_name() -> None:
    result = joined(read_json("mdai", export(annotation("0000"), annotation("1.1"))), [KNEE], "Tear")
    assert fates(result) == ["no-image", "used"]


def test_a_deleted_label_is_shown_by_its_id() -> None:
    source = read_json("mdai", export(annotation(), annotation("1.2", labelId="L_gone")))
    assert source.labels == {"L_gone": 1, "Normal": 0, "Tear": 1}
    assert ["'L_gone'" in warning for warning in source.warnings] == [True]
    assert fates(joined(source, [KNEE], "Tear")) == ["used", "unknown-label"]
    mapping = [("L_gone", "tear"), ("Tear", "tear")]
    assert fates(joined(source, [KNEE], mapping=mapping, all_readers=True)) == ["used", "used"]


def two_readers() -> Any:
    return read_json(
        "mdai",
        export(annotation(), annotation("1.2", createdById="U_2"), annotation("1.3", createdById="U_2", labelId="L_2")),
    )


def test_several_readers_are_refused_until_one_is_chosen() -> None:
    with pytest.raises(InputError, match=r"made annotations with wanted labels: U_1 \(1\), U_2 \(1\)") as refusal:
        joined(two_readers(), [KNEE], "Tear")
    assert (refusal.value.kind, refusal.value.exit_code) == ("several-readers", 3)
    one = joined(two_readers(), [KNEE, OTHER], "Tear", readers=("U_1",))
    assert fates(one) == ["used", "other-reader", "other-reader"]
    assert states(one) == ["positive", "negative", "negative", "unreviewed"]
    assert fates(joined(two_readers(), [KNEE], "Tear", all_readers=True)) == ["used", "used", "unknown-label"]
    with pytest.raises(InputError, match=r"--reader U_9 is in no annotation; there are U_1, U_2"):
        joined(two_readers(), [KNEE], "Tear", readers=("U_9",))


def test_a_study_that_only_another_reader_saw_is_not_reviewed() -> None:
    other = annotation("2.1", createdById="U_2", StudyInstanceUID="2.2.2")
    source = read_json("mdai", export(annotation(), other))
    assert states(joined(source, [KNEE, OTHER], "Tear", readers=("U_1",)))[3] == "unreviewed"


def test_several_label_groups_are_refused_until_one_is_chosen() -> None:
    groups = [{"id": f"G_{one}", "name": "Readers", "labels": [{"id": f"L_{one}", "name": "Tear"}]} for one in "12"]
    source = read_json("mdai", export(annotation(), annotation("1.2", labelId="L_2"), groups=groups))
    with pytest.raises(InputError, match=r"Readers \(G_1\) \(1\), Readers \(G_2\) \(1\)") as refusal:
        joined(source, [KNEE], "Tear")
    assert refusal.value.kind == "several-label-groups"
    assert fates(joined(source, [KNEE], "Tear", label_groups=("Readers (G_2)",))) == ["other-reader", "used"]
    assert fates(joined(source, [KNEE], "Tear", all_readers=True)) == ["used", "used"]


def test_a_chosen_reader_who_used_several_label_groups_is_asked_about_again_and_the_reverse() -> None:
    groups = [
        {"id": f"G_{one}", "name": f"Group {one}", "labels": [{"id": f"L_{one}", "name": "Tear"}]} for one in "12"
    ]
    made = [annotation(), annotation("1.2", labelId="L_2"), annotation("1.3", createdById="U_2")]
    source = read_json("mdai", export(*made, groups=groups))
    with pytest.raises(InputError, match=r"Group 1 \(1\), Group 2 \(1\)\. These are what --reader U_1") as refusal:
        joined(source, [KNEE], "Tear", readers=("U_1",))
    assert refusal.value.kind == "several-label-groups"
    with pytest.raises(InputError, match=r"U_1 \(1\), U_2 \(1\)\. These are what --label-group Group 1") as refusal:
        joined(source, [KNEE], "Tear", label_groups=("Group 1",))
    assert refusal.value.kind == "several-readers"
    both = joined(source, [KNEE], "Tear", readers=("U_1",), label_groups=("Group 1", "Group 2"))
    assert fates(both) == ["used", "used", "other-reader"]
    assert fates(joined(source, [KNEE], "Tear", readers=("U_1",), label_groups=("Group 2",))) == [
        *("other-reader", "used", "other-reader")
    ]
    assert fates(joined(source, [KNEE], "Tear", label_groups=("Group 2",))) == ["other-reader", "used", "other-reader"]


def test_unwanted_labels_ask_for_no_reader() -> None:
    source = read_json("mdai", export(annotation(), annotation("1.2", createdById="U_2", labelId="L_2")))
    assert fates(joined(source, [KNEE], "Tear")) == ["used", "unknown-label"]


FRAMES = multi_frame("cine", "5.5", 3)


def test_the_base_of_frame_numbers_must_be_given_where_a_file_has_several() -> None:
    document = export(annotation("5.5", frameNumber=1))
    with pytest.raises(InputError, match="not whether the first one is 0 or 1") as refusal:
        joined(read_json("mdai", document), [FRAMES], "Tear")
    assert refusal.value.kind == "frame-base"
    assert labels(joined(read_json("mdai", document, frame_base=0), [FRAMES], "Tear")) == {1: LINE}
    assert labels(joined(read_json("mdai", document, frame_base=1), [FRAMES], "Tear")) == {0: LINE}


@pytest.mark.parametrize("number", [None, 0, 1])
def test_a_file_of_one_frame_needs_no_base(number: int | None) -> None:
    assert fates(joined(read_json("mdai", export(annotation(frameNumber=number))), [KNEE], "Tear")) == ["used"]


def test_a_finding_on_an_unnamed_frame_makes_all_frames_doubtful() -> None:
    source = read_json("mdai", export(annotation("5.5"), annotation("5.5", frameNumber=9)), frame_base=0)
    result = joined(source, [FRAMES], "Tear")
    assert fates(result) == ["no-image", "no-image"]
    assert reasons(result) == ["it has 3 frames, and none is named", "it has 3 frames, not frame 9"]
    assert states(result) == ["doubtful"] * 3


def test_one_uid_in_two_files_is_refused() -> None:
    with pytest.raises(InputError, match=r"2 images have the SOPInstanceUID 1.1: knee/0000.dcm, copy/0000.dcm"):
        joined(read_json("mdai", export(annotation())), [KNEE, series("copy", ["1.1"])], "Tear")


def test_a_finding_of_the_exam_is_of_the_study() -> None:
    source = read_json("mdai", export(annotation(), annotation(None, labelId="L_1", data=None)))
    result = joined(source, [KNEE], "Tear")
    assert fates(result) == ["used", "study-level"]
    assert states(result) == ["doubtful"] * 3


def test_a_finding_of_the_exam_is_of_all_its_series() -> None:
    groups = [{"id": "G", "name": "g", "labels": [{"id": "L_1", "name": "Tear", "scope": "EXAM"}]}]
    second = series("second", ["3.1"], study=LONG)
    for one in (annotation(data=None), annotation(None, data=None)):
        result = joined(read_json("mdai", export(one, groups=groups)), [KNEE, second], "Tear")
        assert states(result) == ["doubtful"] * 4
    groups[0]["labels"] = [{"id": "L_1", "name": "Tear", "scope": "SERIES"}]
    result = joined(read_json("mdai", export(annotation(data=None), groups=groups)), [KNEE, second], "Tear")
    assert states(result) == [*["doubtful"] * 3, "negative"]


def test_a_line_is_used_and_said() -> None:
    label = {"id": "L_1", "name": "Tear", "annotationMode": "line"}
    source = read_json(
        "mdai",
        export(annotation(data={"vertices": [[1, 1], [9, 9]]}), groups=[{"id": "G", "name": "g", "labels": [label]}]),
    )
    assert source.warnings == (
        "1 annotation is a line: a box is the smallest one around its line, and may be smaller than the finding.",
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "it is no JSON object"),
        ({"labelGroups": []}, "it has no list 'datasets'"),
        ({"labelGroups": [], "datasets": [{"annotations": {"0": annotation()}}]}, "whose annotations are no list"),
        ({"images": [], "annotations": [], "categories": []}, "it has no list 'labelGroups'"),
    ],
)
def test_another_json_file_is_refused(document: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        read_json("mdai", document)
    assert refusal.value.exit_code == 3
    if isinstance(document, dict) and "images" in document:
        assert refusal.value.hint == "It looks like coco: give --format coco."
