"""Any CSV: nothing is guessed, and each form and origin means what the docs say."""

from typing import Any

import pytest

from planbalance.errors import InputError, UsageError
from planbalance.import_model import BoxForm
from tests.annotations.raw import each, fates, h5, joined, labels, pictures, read, reasons, series, states

LINE = "0 0.175000 0.450000 0.250000 0.500000\n"  # pixels 10 to 60 of 200, 20 to 70 of 100
CORNERS = {"image": "filename", "left": "a", "top": "b", "right": "c", "bottom": "d", "label": "class"}
SIZES = {"image": "filename", "x": "a", "y": "b", "width": "c", "height": "d", "label": "class"}
HEADER = "filename,a,b,c,d,class,who,n\n"


def columns(form: BoxForm, **more: str) -> dict[str, str]:
    return {**(CORNERS if form == "xyxy" else SIZES), **more}


@pytest.mark.parametrize(
    ("form", "origin", "numbers"),
    [
        ("xyxy", 0, "10,20,60,70"),
        ("xyxy", 1, "11,21,60,70"),
        ("xywh", 0, "10,20,50,50"),
        ("xywh", 1, "11,21,50,50"),
        ("cxcywh", 0, "35,45,50,50"),
        ("cxcywh", 1, "36,46,50,50"),
    ],
)
def test_forms_and_origins(form: BoxForm, origin: int, numbers: str) -> None:
    source = read("boxes-csv", f"{HEADER}a.png,{numbers},tear,,\n", columns=columns(form), box=form, origin=origin)
    assert labels(joined(source, each("x/a.png"), "tear")) == {0: LINE}


@pytest.mark.parametrize(("base", "value"), [(0, 1), (1, 2)])
def test_slices_of_volumes_count_from_the_base(base: int, value: int) -> None:
    options: dict[str, Any] = {"columns": columns("xyxy", slice="n"), "box": "xyxy", "origin": 0, "slice_base": base}
    source = read("boxes-csv", f"{HEADER}v.h5,10,20,60,70,tear,,{value}\n", **options)
    for volume in (
        h5("v", 3, size=(200, 100)),
        pictures("v/a.png", "v/b.png", "v/c.png", name="v.h5"),
        series("v.h5", ["1", "2", "3"], size=(200, 100)),
        series("v.h5", ["1", "2", "3"], size=(200, 100), first=0),
    ):
        result = joined(source, [volume], "tear")
        assert labels(result) == {1: LINE}
        assert states(result) == ["unreviewed", "positive", "unreviewed"]


def test_slices_with_gaps_cannot_be_counted() -> None:
    options: dict[str, Any] = {"columns": columns("xyxy", slice="n"), "box": "xyxy", "origin": 0, "slice_base": 1}
    source = read("boxes-csv", f"{HEADER}v,10,20,60,70,tear,,2\n", **options)
    with pytest.raises(InputError, match="not numbered from 0 or 1 without a gap") as refusal:
        joined(source, [series("v", ["1", "2"], first=4)], "tear")
    assert refusal.value.kind == "slice-numbers"


def test_readers_and_lines_without_a_box() -> None:
    text = (
        f"{HEADER}a.png,10,20,60,70,tear,R1,\nb.png,,,,,,R1,\nc.png,,,,,tear,R1,\nd.png,10,20,60,70,tear,R2,\n"
        "d.png,1,2,3,,tear,R1,\n"
    )
    source = read("boxes-csv", text, columns=columns("xyxy", reader="who"), box="xyxy", origin=0)
    result = joined(source, each("a.png", "b.png", "c.png", "d.png"), "tear", readers=("R1",))
    assert fates(result) == ["used", "negative-mark", "no-geometry", "other-reader", "unreadable"]
    assert states(result) == ["positive", "negative", "doubtful", "doubtful"]
    assert reasons(result)[2] == "it has a label and no box"


def test_without_a_label_column_the_class_is_named() -> None:
    fewer = {name: column for name, column in CORNERS.items() if name != "label"}
    source = read("boxes-csv", f"{HEADER}a.png,10,20,60,70,,,\n", columns=fewer, box="xyxy", origin=0, finding="tear")
    assert labels(joined(source, each("a.png"), "tear")) == {0: LINE}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {}}, "--columns NAME=COLUMN,... is missing"),
        ({"box": None}, r"--box xyxy\|xywh\|cxcywh is missing"),
        ({"columns": {**CORNERS, "volume": "v"}}, "either image or volume"),
        ({"columns": {name: one for name, one in CORNERS.items() if name != "image"}}, "either image or volume"),
        ({"columns": {"volume": "v", **{k: v for k, v in CORNERS.items() if k != "image"}}}, "volume and no slice"),
        ({"columns": {**CORNERS, "width": "w"}}, "--columns has width"),
        ({"columns": {**CORNERS, "colour": "w"}}, "--columns has the names colour"),
        ({"box": "xywh"}, "--columns has no x, y, width, height"),
    ],
)
def test_what_is_not_said_is_not_guessed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        read("boxes-csv", HEADER, **{"columns": CORNERS, "box": "xyxy", "origin": 0, **options})
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"origin": None}, "origin"),
        ({"columns": {**CORNERS, "slice": "n"}}, "slice-base"),
        ({"columns": {name: column for name, column in CORNERS.items() if name != "label"}}, "no-classes"),
    ],
)
def test_what_is_unclear_is_refused(options: dict[str, Any], kind: str) -> None:
    with pytest.raises(InputError, match="It is not clear") as refusal:
        read("boxes-csv", HEADER, **{"columns": CORNERS, "box": "xyxy", "origin": 0, **options})
    assert (refusal.value.kind, refusal.value.exit_code) == (kind, 3)


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="has no column 'class'; its columns are 'filename'"):
        read("boxes-csv", "filename,a,b,c,d\n", columns=CORNERS, box="xyxy", origin=0)


@pytest.mark.parametrize(("form", "numbers"), [("xyxy", "0,5,9,9"), ("xywh", "5,0,4,4")])
def test_a_box_that_begins_at_0_is_said_where_pixels_count_from_1(form: BoxForm, numbers: str) -> None:
    text = f"{HEADER}a.png,{numbers},tear,,\na.png,3,3,9,9,tear,,\n"
    said = [read("boxes-csv", text, columns=columns(form), box=form, origin=origin).warnings for origin in (0, 1)]
    assert said == [(), ("1 box begins at 0, but by --origin 1 the first pixel is 1.",)]
