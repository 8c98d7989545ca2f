"""Every annotation has exactly one fate, every slice one state; which it is, another piece of code says too."""

import csv
from collections.abc import Sequence
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.annotations import (
    AnnotationSource,
    ClassMap,
    Joined,
    JoinOptions,
    Reviewed,
    join,
    require_boxes,
    review_lines,
)
from planbalance.errors import InputError
from planbalance.import_files import ledger_csv
from planbalance.import_model import FATES, STATES, Annotation, Box, ImageKey, PathKey, VolumeKey
from planbalance.labels import read_label
from tests.annotations.raw import each, fates, joined, pictures, read, states

IMAGES = ("v/1.png", "v/2.png", "w/3.png")
VOLUMES = [pictures("v/1.png", "v/2.png", name="v", size=(100, 50)), pictures("w/3.png", name="w", size=(100, 50))]
CLASSES = ClassMap(("tear", "cyst"), {"tear": 0, "Tear": 0, "cyst": 1})

corner = st.sampled_from([-10.0, 0.0, 10.0, 25.5, 50.0, 100.0, 120.0])
keys = st.sampled_from([*map(PathKey, (*IMAGES, "none.png")), VolumeKey(volume="v")])
annotations = st.builds(
    Annotation,
    number=st.just(1),
    where=st.just("line 1"),
    key=st.none() | keys,
    label=st.sampled_from(["tear", "Tear", "cyst", "other", ""]),
    reader=st.sampled_from(["R1", "R2"]),
    kind=st.sampled_from(["box", "box", "box", "study", "negative-mark", "no-geometry", "crowd", "unreadable"]),
    box=st.none() | st.builds(Box, corner, corner, corner, corner),
    stated_size=st.sampled_from([None, None, (100, 50), (50, 100)]),
)
reviews = st.lists(st.builds(Reviewed, keys, st.sampled_from(["", "R1", "R2"])), max_size=3)


def source(found: list[Annotation], reviewed: list[Reviewed] | None) -> AnnotationSource:
    return AnnotationSource(
        format="coco",
        annotations=tuple(found),
        labels={},
        reviewed=None if reviewed is None else tuple(reviewed),
    )


def is_image(key: ImageKey | None) -> bool:
    return isinstance(key, PathKey) and key.path in IMAGES


@given(st.lists(annotations, max_size=8), reviews, st.sampled_from(["R1", "all"]))
def test_the_laws_of_fates_and_states(found: list[Annotation], reviewed: list[Reviewed], reader: str) -> None:
    options = JoinOptions(readers=() if reader == "all" else (reader,), all_readers=reader == "all")
    if reader != "all" and all(one.reader != reader for one in found):
        return
    result = join(source(found, reviewed), VOLUMES, CLASSES, options)
    # each annotation has one fate, and the fates sum to all
    assert len(result.ledger) == len(found) == sum(result.fates.values())
    assert tuple(result.fates) == FATES
    assert tuple(result.states) == STATES
    assert sum(result.states.values()) == 3
    assert [len(frames) for frames in result.frames] == [2, 1]
    # the boxes of the labels are the used annotations, but for those of doubtful slices
    text = "".join(outcome.label for frames in result.frames for outcome in frames)
    assert len(text.splitlines()) == result.fates["used"] + result.fates["clipped"] - result.not_written
    assert read_label(text.encode(), 2).problems == ()
    for frames in result.frames:
        for outcome in frames:
            assert bool(outcome.label) == (outcome.state == "positive")
            assert bool(outcome.reasons) == (outcome.state == "doubtful")
    for annotation, row in zip(found, result.ledger, strict=True):
        assert row.fate == expected(annotation, reader) or row.fate == "duplicate"
    for fate, rows in result.examples.items():
        assert rows == tuple(row for row in result.ledger if row.fate == fate)[:3]


def expected(annotation: Annotation, reader: str) -> str:
    """Say the fate once more, from the order of precedence and nothing else (without duplicates)."""
    kind = annotation.kind
    no_box = kind == "no-geometry" or annotation.box is None
    left, top, right, bottom = annotation.box or Box(0, 0, 0, 0)
    fits = (
        ("unreadable", kind == "unreadable"),
        ("other-reader", reader not in ("all", annotation.reader)),
        ("study-level", kind == "study"),
        ("negative-mark", kind == "negative-mark"),
        ("unknown-label", annotation.label not in CLASSES.id_of),
        ("no-image", not is_image(annotation.key) and annotation.key != VolumeKey(volume="v")),
        ("size-mismatch", annotation.stated_size == (50, 100)),
        ("crowd", kind == "crowd"),
        ("no-geometry", no_box),
        ("degenerate", right <= left or bottom <= top),
        ("outside", right <= 0 or bottom <= 0 or left >= 100 or top >= 50),
        ("clipped", left < 0 or top < 0 or right > 100 or bottom > 50),
        ("used", True),
    )
    return next(fate for fate, does in fits if does)


@given(st.lists(annotations, max_size=6))
@settings(max_examples=50)
def test_a_slice_with_an_unusable_finding_is_never_negative(found: list[Annotation]) -> None:
    result = join(source(found, None), VOLUMES, CLASSES, JoinOptions(all_readers=True, reviewed="all"))
    outcome_of = dict(zip(IMAGES, [one for frames in result.frames for one in frames], strict=True))
    for annotation, row in zip(found, result.ledger, strict=True):
        wanted = annotation.label in CLASSES.id_of
        if wanted and isinstance(annotation.key, PathKey) and annotation.key.path in outcome_of:
            state = outcome_of[annotation.key.path].state
            assert state in ("positive", "doubtful") or row.fate == "negative-mark"
            if row.fate not in ("used", "clipped", "duplicate", "negative-mark"):
                assert state == "doubtful"


# ---- what was reviewed ----------------------------------------------------------------------------------------------

RETINANET = "v/1.png,1,1,5,5,tear\nw/3.png,,,,,\n"


@pytest.mark.parametrize(
    ("reviewed", "wanted"),
    [
        ("auto", ["positive", "unreviewed", "negative", "unreviewed"]),
        ("slice", ["positive", "unreviewed", "negative", "unreviewed"]),
        ("volume", ["positive", "negative", "negative", "unreviewed"]),
        ("all", ["positive", "negative", "negative", "negative"]),
        (("v", "x/4.png", "knee"), ["positive", "negative", "unreviewed", "negative"]),
        (("w/3.png",), ["positive", "unreviewed", "negative", "unreviewed"]),
    ],
)
def test_what_counts_as_reviewed(reviewed: str, wanted: list[str]) -> None:
    result = joined(read("retinanet", RETINANET), [*VOLUMES, *each("x/4.png")], "tear", reviewed=reviewed)
    assert states(result) == wanted
    assert result.absent == (("knee",) if "knee" in reviewed else ())


def test_doubtful_slices_can_be_refused() -> None:
    found = read("retinanet", "v/1.png,1,1,5,5,tear\nv/2.png,1,1,1,5,tear\n")
    assert states(joined(found, VOLUMES, "tear")) == ["positive", "doubtful", "unreviewed"]
    with pytest.raises(InputError, match=r"1 slice is doubtful: slice 2 of v \(a box without a size\)") as refusal:
        joined(found, VOLUMES, "tear", doubtful="error")
    assert (refusal.value.kind, refusal.value.exit_code) == ("doubtful-slices", 3)


def test_a_list_of_reviewed_names() -> None:
    assert review_lines(b"\xef\xbb\xbf# mine\r\na\r\n\r\n b c \na\n", "list.txt") == ("a", "b c")
    with pytest.raises(InputError, match=r"list\.txt names no reviewed volume"):
        review_lines(b"# nothing\n", "list.txt")


# ---- the result -----------------------------------------------------------------------------------------------------


def test_without_a_box_there_is_no_dataset() -> None:
    result = joined(read("retinanet", "none.png,1,1,5,5,tear\nv/1.png,,,,,\n"), VOLUMES, "tear")
    with pytest.raises(InputError, match=r"No slice gets a box: 1 negative-mark, 1 no-image\.") as refusal:
        require_boxes([result])
    assert (refusal.value.kind, refusal.value.exit_code) == ("no-usable-box", 3)
    require_boxes([result, joined(read("retinanet", RETINANET), VOLUMES, "tear")])


def ledger_text(results: Sequence[Joined]) -> str:
    return ledger_csv(tuple(map(str, row)) for result in results for row in result.ledger).decode()


def test_the_ledger_has_a_line_for_each_annotation() -> None:
    result = joined(read("retinanet", 'v/1.png,1,1,5,5,tear\nnone.png,1,1,5,5,"a, b"\nv/2.png,1,1\n'), VOLUMES, "tear")
    rows = list(csv.DictReader(StringIO(ledger_text([result, result]))))
    assert len(rows) == 6
    assert rows[0] == {
        "source": "source",
        "number": "1",
        "where": "line 1",
        "image": "v/1.png",
        "label": "tear",
        "class": "tear",
        "reader": "",
        "fate": "used",
        "reason": "",
    }
    assert (rows[1]["image"], rows[1]["label"], rows[1]["class"], rows[1]["fate"]) == (
        *("none.png", "a, b", "", "unknown-label"),
    )
    assert (rows[2]["fate"], rows[2]["reason"]) == ("unreadable", "it has 3 fields, not 6")


def test_the_order_of_the_source_is_the_order_of_the_lines() -> None:
    text = "v/1.png,50,10,60,20,cyst\nv/1.png,0,0,10,10,tear\nv/1.png,50,10,60,20,tear\nv/1.png,50,10,60,20,cyst\n"
    result = joined(read("retinanet", text), VOLUMES, "tear,cyst")
    assert fates(result) == ["used", "used", "used", "duplicate"]
    assert result.frames[0][0].label.splitlines() == [
        "1 0.550000 0.300000 0.100000 0.200000",
        "0 0.050000 0.100000 0.100000 0.200000",
        "0 0.550000 0.300000 0.100000 0.200000",
    ]


def test_another_suffix_is_said() -> None:
    result = joined(read("retinanet", "v/1.jpg,1,1,5,5,tear\n"), VOLUMES, "tear")
    assert result.warnings == ("1 annotation names its image with another suffix.",)


def test_a_source_without_annotations_has_only_states() -> None:
    empty = AnnotationSource(format="coco", annotations=(), labels={}, reviewed=())
    assert states(join(empty, each("a.png"), CLASSES, JoinOptions(reviewed="all"))) == ["negative"]
