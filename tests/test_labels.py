"""YOLO label text: which lines count, and what is said about those that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planbalance.audit.trainer_rules import ULTRALYTICS, YOLOV5, label_verdict
from planbalance.labels import EMPTY, LabelFacts, joined, keypoints_of, overshoot_sentence, read_label
from planbalance.model import Keypoints, Overshoot

BOX = b"0 0.5 0.5 0.1 0.2"
TRIANGLE = b"1 0.1 0.1 0.2 0.2 0.3 0.3"

VALID = [
    ("a box", BOX + b"\n", (0,)),
    ("without a newline", BOX, (0,)),
    ("a polygon of 3 points", TRIANGLE, (1,)),
    ("a polygon of 5 points", b"0" + b" 0.5" * 10, (0,)),
    ("two lines", BOX + b"\n" + TRIANGLE + b"\n", (0, 1)),
    ("the same twice", BOX + b"\n" + BOX + b"\n", (0, 0)),
    ("CRLF", BOX + b"\r\n" + BOX + b"\r\n", (0, 0)),
    ("byte order mark", b"\xef\xbb\xbf" + BOX, (0,)),
    ("tabs and blanks", b"\t 0\t0.5  0.5 0.1\t0.2 \t\n", (0,)),
    ("blank lines between", b"\n" + BOX + b"\n\n \n" + BOX, (0, 0)),
    ("class as a float", b"2.0 0.5 0.5 0.1 0.2", (2,)),
    ("bounds", b"0 0 1 1.0 0.0", (0,)),
    ("exponent", b"0 5e-1 0.5 1E-3 0.2", (0,)),
    ("no-break space between", "0\u00a00.5 0.5 0.1 0.2\u00a0\n".encode(), (0,)),
]


@pytest.mark.parametrize(("data", "classes"), [case[1:] for case in VALID], ids=[case[0] for case in VALID])
def test_valid_lines(data: bytes, classes: tuple[int, ...]) -> None:
    assert read_label(data, 3) == LabelFacts(len(classes), classes, ())
    assert read_label(data, None) == LabelFacts(len(classes), classes, ())


@pytest.mark.parametrize(
    "data", [b"", b" ", b"\n", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", "\u00a0\n\u3000".encode()]
)
def test_white_space_only_is_a_negative(data: bytes) -> None:
    assert read_label(data, 1) == EMPTY


INVALID = [
    ("too few numbers", b"0 0.5 0.5 0.1", "3 follow the class"),
    ("with a confidence", b"0 0.68 0.8 0.15 0.09 0.575787", "looks like a confidence (predictions, not annotations)"),
    ("too many for a box", b"0 0.5 0.5 0.1 0.2 3", "5 follow the class"),
    ("six of them, one a word", b"0 0.5 0.5 0.1 0.2 tear", "5 follow the class"),
    ("an odd polygon", b"0" + b" 0.5" * 7, "7 follow the class"),
    ("class alone", b"0", "0 follow the class"),
    ("above 1", b"0 0.5 0.5 1.7 0.2", "width 1.7 is not between 0 and 1"),
    ("below 0", b"0 -0.1 0.5 0.7 0.2", "x centre -0.1 is not between 0 and 1"),
    ("more than a little above 1", b"0 0.5 1.0101 0.7 0.2", "y centre 1.0101 is not"),
    ("more than a little below 0", b"0 -0.0101 0.5 0.7 0.2", "x centre -0.0101 is not"),
    ("a width a little below 0", b"0 0.5 0.5 -0.001 0.2", "width -0.001 is not"),
    ("a polygon wider than what is a little", b"0 -0.01 0.1 1.01 0.1 0.5 0.5", "the polygon is 1.02 of the image's"),
    ("polygon above 1", b"0 0.1 0.1 0.2 0.2 0.3 3", "number 6 3 is not between"),
    ("nan", b"0 nan 0.5 0.5 0.5", "x centre nan is not between"),
    ("inf", b"0 inf 0.5 0.5 0.5", "x centre inf is not between"),
    ("a word", b"0 0.5 0.5 0.5 tear", "height is not a number: tear"),
    ("a comma", b"0,0.5,0.5,0.5,0.5", "0 follow the class"),
    ("an underscore", b"0 0_5 0.5 0.5 0.5", "x centre is not a number: 0_5"),
    ("a negative class", b"-1 0.5 0.5 0.5 0.5", "not a whole number from 0: -1"),
    ("half a class", b"0.5 0.5 0.5 0.5 0.5", "not a whole number from 0: 0.5"),
    ("a class by name", b"tear 0.5 0.5 0.5 0.5", "not a whole number from 0: tear"),
    ("a class with an underscore", b"0_0 0.5 0.5 0.5 0.5", "not a whole number from 0: 0_0"),
    ("a class nan", b"nan 0.5 0.5 0.5 0.5", "not a whole number from 0: nan"),
    ("a class beyond the names", b"1 0.5 0.5 0.5 0.5", "class 1 is not one of the dataset's 1"),
    ("a huge class", b"9" * 5000 + b" 0.5 0.5 0.5 0.5", "not a whole number from 0: 9999"),
    ("bytes that are no text", b"\xff\xfe0\x00", "other characters"),
    ("another alphabet", "0 ٠ 0.5 0.5 0.5".encode(), "other characters"),
    ("a NUL", b"0 0.5 0.5 0.5 \x00", "height is not a number: \\x00"),
]


@pytest.mark.parametrize(("line", "reason"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID])
def test_invalid_lines_are_named_with_their_number(line: bytes, reason: str) -> None:
    facts = read_label(BOX + b"\n\n" + line + b"\n" + BOX, 1)
    assert facts.annotations == 3
    assert facts.classes == (0, 0)
    assert [number for number, _ in facts.problems] == [3]
    assert reason in facts.problems[0][1]
    assert facts.problems[0][1].isprintable()
    assert len(facts.problems[0][1]) < 120


def test_a_class_has_no_limit_without_names_but_that_of_integers() -> None:
    assert read_label(b"77 0.5 0.5 0.5 0.5", None).classes == (77,)
    facts = read_label(b"4294967296 0.5 0.5 0.5 0.5", None)
    assert facts.classes == ()
    assert "too large" in facts.problems[0][1]


def test_all_invalid_lines_are_found_in_one_pass() -> None:
    assert [number for number, _ in read_label(b"x\n" * 4, 1).problems] == [1, 2, 3, 4]


def test_a_line_of_another_alphabet_spoils_itself_only() -> None:
    facts = read_label(BOX + b"\n\xff\xff\n" + BOX + b"\n", 1)
    assert (facts.annotations, facts.classes, [number for number, _ in facts.problems]) == (3, (0, 0), [2])


@given(
    st.binary(max_size=80) | st.text("0123456789.-+eE_ \n\r\tnai\u00a0", max_size=80).map(str.encode),
    st.sampled_from([None, 1, 5]),
)
def test_nothing_in_a_file_raises_and_the_counts_add_up(data: bytes, class_count: int | None) -> None:
    facts = read_label(data, class_count)
    assert facts.annotations == len(facts.classes) + len(facts.problems)
    assert all(0 <= class_id < (class_count or 2**31) for class_id in facts.classes)
    assert facts.annotations <= data.count(b"\n") + data.count(b"\r") + 1


numbers = st.floats(0, 1).map(lambda value: f"{value:.6f}")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4), st.sampled_from([4, 6, 8]).flatmap(lambda n: st.lists(numbers, min_size=n, max_size=n))
        )
    )
)
def test_what_is_written_as_valid_is_read_as_such(lines: list[tuple[int, list[str]]]) -> None:
    text = "".join(f"{class_id} {' '.join(fields)}\n" for class_id, fields in lines)
    assert read_label(text.encode(), 5) == LabelFacts(len(lines), tuple(class_id for class_id, _ in lines), ())


@given(st.text("0157. \r\n", max_size=8).map(str.encode), st.sampled_from((None, 0, 1, 3)))
def test_a_plain_box_is_read_as_it_is_behind_a_blank_line(tail: bytes, class_count: int | None) -> None:
    for data in (b"0 0.5 0.5 0.1 0.2" + tail, tail + b" 0.5 1 .1 1.0\n"):
        alone, behind = read_label(data, class_count), read_label(b"\n" + data, class_count)
        assert behind.problems == tuple((line + 1, reason) for line, reason in alone.problems)
        assert behind[:2] == alone[:2]


# ---- a little beyond the image --------------------------------------------------------------------------------------

BEYOND = [
    ("rounded up", b"0 0.5 1.0000001 0.7 0.2", 1e-7, 1),
    ("rounded down", b"0 -0.0000004 0.5 0.2 0.2", 4e-7, 1),
    ("as far as Ultralytics goes", b"0 0.5 0.5 1.01 0.2", 0.01, 1),
    ("a polygon whose box is within the image", b"0 0.5 0.5 1.005 0.5 0.6 0.7", 0.005, 0),
    ("a polygon whose box is not", b"0 0 0.5 1.005 0.5 0.6 0.7", 0.005, 1),
]


@pytest.mark.parametrize(("line", "most", "dropped"), [case[1:] for case in BEYOND], ids=[case[0] for case in BEYOND])
def test_a_little_beyond_the_image_is_valid_and_counted(line: bytes, most: float, dropped: int) -> None:
    facts = read_label(line + b"\n", 1)
    assert facts[:3] == (1, (0,), ())
    assert facts.overshoot is not None
    assert (facts.overshoot.lines, facts.overshoot.dropped) == (1, dropped)
    assert facts.overshoot.most == pytest.approx(most, rel=0.2)
    assert read_label(line + b"\n" + line + b"\n", 1).overshoot == joined([facts.overshoot] * 2)
    assert not label_verdict(ULTRALYTICS, line, 1).fault
    assert bool(label_verdict(YOLOV5, line, 1).fault) == bool(dropped)


def test_what_single_precision_takes_for_1_is_1() -> None:
    assert read_label(b"0 0.5 1.0000000000000002 0.2 0.2", 1) == LabelFacts(1, (0,), ())
    assert not label_verdict(YOLOV5, b"0 0.5 1.0000000000000002 0.2 0.2", 1).fault


def test_boxes_among_polygons_have_no_tolerance_as_ultralytics_takes_no_such_file() -> None:
    facts = read_label(b"0 0.5 0.5 1.005 0.2\n" + TRIANGLE, 2)
    assert (facts.classes, facts.overshoot) == ((1,), None)
    assert facts.problems == ((1, "width 1.005 is not between 0 and 1"),)


near = st.one_of(
    st.floats(-0.011, 1.011), st.sampled_from((-0.01, -1e-9, 0.0, 1.0, 1.00000001, 1.0000001, 1.009999, 1.01))
)


@given(st.lists(near, min_size=4, max_size=4) | st.lists(near, min_size=6, max_size=6))
def test_a_valid_line_is_one_that_ultralytics_trains_on_and_yolov5_as_counted(numbers: list[float]) -> None:
    line = " ".join(["0", *map(repr, numbers)]).encode()
    facts = read_label(line, 1)
    if facts.problems:
        assert len(numbers) == 6 or label_verdict(ULTRALYTICS, line, 1).fault
    else:
        assert not label_verdict(ULTRALYTICS, line, 1).fault
        dropped = facts.overshoot is not None and facts.overshoot.dropped == 1
        assert bool(label_verdict(YOLOV5, line, 1).fault) == dropped


@pytest.mark.parametrize(
    ("overshoot", "sentence"),
    [
        (Overshoot(1, 0.004, 1), "1 label line reaches up to 0.4 % beyond the image; Ultralytics accepts it, YOLOv5"),
        (Overshoot(12, 0.0045, 12), "12 label lines reach up to 0.45 % beyond the image; Ultralytics accepts them, Y"),
        (Overshoot(2000, 1e-7, 3), "2,000 label lines reach less than 0.01 % beyond the image; Ultralytics accepts th"),
        (
            Overshoot(2000, 0.01, 3),
            "reach up to 1 % beyond the image; Ultralytics accepts them, YOLOv5 drops the image",
        ),
        (Overshoot(2, 0.01, 0), "2 label lines reach up to 1 % beyond the image; Ultralytics accepts them"),
    ],
)
def test_it_is_said_in_a_sentence(overshoot: Overshoot, sentence: str) -> None:
    assert sentence in overshoot_sentence(overshoot)
    assert ("YOLOv5" in overshoot_sentence(overshoot)) == bool(overshoot.dropped)
    assert joined([None, overshoot]) == overshoot
    assert joined([None]) is None


# ---- keypoints ------------------------------------------------------------------------------------------------------

POSE = b"0 0.5 0.5 0.2 0.2"


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ((1, 2), POSE + b" 0.1 0.9"),
        ((1, 3), POSE + b" 0.1 0.9 2"),
        ((2, 3), POSE + b" 0.1 0.9 2.000 0 0 0"),
        ((1, 3), b"\t0.0 0.5 0.5 0.2 0.2 0.1 0.9 1 \r\n"),
    ],
)
def test_lines_with_keypoints_are_valid_where_the_yaml_says_so(shape: tuple[int, int], line: bytes) -> None:
    assert read_label(line, 1, Keypoints(*shape)) == LabelFacts(1, (0,), ())
    assert not label_verdict(ULTRALYTICS, line, 1, Keypoints(*shape)).fault


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (POSE, "kpt_shape [2, 3] wants 11 columns (class, box, keypoints); the line has 5"),
        (POSE + b" 0.1 0.9 2", "the line has 8"),
        (POSE + b" 0.1 0.9 2 0.1 0.9 2 0.8", "the line has 12"),
        (POSE + b" 0.1 0.9 0.5 0.1 0.9 2", "visibility of keypoint 1 0.5 is none of 0, 1 and 2"),
        (POSE + b" 0.1 0.9 3 0.1 0.9 2", "visibility of keypoint 1 3 is none of"),
        (POSE + b" 0.1 0.9 2 0.1 1.9 2", "y of keypoint 2 1.9 is not between 0 and 1"),
        (POSE + b" 0.1 0.9 2 0.1 x 2", "y of keypoint 2 is not a number: x"),
        (b"1" + POSE[1:] + b" 0.1 0.9 2 0.1 0.9 2", "class 1 is not one of the dataset's 1"),
        (b"0 0.5 0.5 -0.001 0.2 0.1 0.9 2 0.1 0.9 2", "width -0.001 is not between"),
    ],
)
def test_other_lines_say_how_many_columns_are_wanted(line: bytes, reason: str) -> None:
    facts = read_label(POSE + b" 0 0 0 0 0 0\n" + line, 1, Keypoints(2, 3))
    assert facts.classes == (0,)
    assert [(number, reason in said) for number, said in facts.problems] == [(2, True)]


def test_keypoints_may_reach_a_little_beyond_the_image_too() -> None:
    line = POSE + b" 1.004 0.9 2"
    facts = read_label(line, 1, Keypoints(1, 3))
    assert (facts.classes, facts.problems) == ((0,), ())
    assert facts.overshoot is not None
    assert facts.overshoot.most == pytest.approx(0.004, rel=0.01)
    assert facts.overshoot.dropped == 0
    assert not label_verdict(ULTRALYTICS, line, 1, Keypoints(1, 3)).fault


@pytest.mark.parametrize(
    "value", [17, [17], [0, 3], [17, 4], [17, 3, 1], ["17", 3], [True, 3], "17,3", {"a": 1}, [1e3, 2]]
)
def test_a_shape_of_keypoints_that_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="K keypoints"):
        keypoints_of(value)
    assert keypoints_of([17, 3]) == Keypoints(17, 3)
    assert keypoints_of(None) is None
