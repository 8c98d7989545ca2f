"""The data frame of an MD.ai export with its key: folder, InstanceNumber, and shapes as Python text."""

import pytest

from planbalance.annotations import SourceFile
from planbalance.errors import InputError, UsageError
from tests.annotations.raw import fates, joined, labels, read, reasons, series, states

HEADER = "TBreconID,SOPInstanceUID_anon,labelName,data\n"
BOX = "\"{'x': np.float64(128.0), 'y': 64, 'width': 256.0, 'height': np.float64(128)}\""
LINE = "0 0.500000 0.250000 0.500000 0.250000\n"
KEY = SourceFile(
    "key.csv",
    b"tbrecon_id,SOPInstanceUID_anon,InstanceNumber\n77,u1,1.0\n77,u2,2.0\n77,u5,5.0\n78,v1,1\n78,v2,2\n",
)
# InstanceNumber rises where the names of the files fall; the UIDs of the headers are others.
VOLUMES = [series("series-77", ["9.1", "9.2", "9.5"], folder="knees/77"), series("78", ["8.1", "8.2", "8.3"])]


def rows(*lines: str) -> str:
    return HEADER + "\n".join(lines) + "\n"


def test_the_key_gives_the_slice_and_the_folder_is_the_volume() -> None:
    result = joined(read("mdai-frame", rows(f"77.0,u2,Tear,{BOX}", f"78,v1,Tear,{BOX}"), key=KEY), VOLUMES, "Tear")
    assert fates(result) == ["used", "used"]
    assert labels(result) == {1: LINE, 3: LINE}


def test_the_images_of_the_key_are_reviewed() -> None:
    result = joined(read("mdai-frame", rows(f"77,u2,Tear,{BOX}"), key=KEY), VOLUMES, "Tear")
    assert states(result) == ["negative", "positive", "unreviewed", "negative", "negative", "unreviewed"]
    assert result.partly_reviewed == ("series-77", "78")
    assert result.absent == ("77#5",)  # the key has slice 5, but the folder has slices 1 to 3


def test_six_regions_become_one_class() -> None:
    regions = [f"{side} {place}" for side in ("medial", "lateral") for place in ("anterior", "body", "posterior")]
    boxes = [f"\"{{'x': {index}, 'y': 0, 'width': 5, 'height': 5}}\"" for index in range(6)]
    text = rows(*(f"77,u1,{region} ,{box}" for region, box in zip(regions, boxes, strict=True)))
    result = joined(read("mdai-frame", text, key=KEY), VOLUMES, mapping=[(region, "tear") for region in regions])
    assert result.class_names == ("tear",)
    assert fates(result) == ["used"] * 6
    assert len(labels(result)[0].splitlines()) == 6
    assert {row.class_name for row in result.ledger} == {"tear"}


def test_two_regions_with_the_same_box_are_one_line_of_one_class() -> None:
    text = rows(f"77,u1,body,{BOX}", f"77,u1,horn,{BOX}")
    same = joined(read("mdai-frame", text, key=KEY), VOLUMES, mapping=[("body", "tear"), ("horn", "tear")])
    assert fates(same) == ["used", "duplicate"]
    assert fates(joined(read("mdai-frame", text, key=KEY), VOLUMES, "body,horn")) == ["used", "used"]


def test_an_image_that_the_key_does_not_have_is_looked_for_in_the_headers() -> None:
    result = joined(read("mdai-frame", rows(f"77,zz,Tear,{BOX}", f"77,9.1,Tear,{BOX}"), key=KEY), VOLUMES, "Tear")
    assert fates(result) == ["no-image", "used"]
    assert reasons(result)[0] == "the key has no row of this SOPInstanceUID_anon"


@pytest.mark.parametrize(
    ("row", "fate", "reason"),
    [
        (f"78,u1,Tear,{BOX}", "unreadable", "TBreconID is '78', but the key has '77' for its image"),
        ("77,u1,Tear,__import__('os').system('true')", "unreadable", "data is no Python or JSON value"),
        ("77,u1,Tear,nan", "no-geometry", "it has no shape"),
        ("77,u1,Tear,\"{'x': nan, 'y': 1, 'width': 1, 'height': 1}\"", "unreadable", "x is no number: nan"),
        ("77,,Tear,nan", "study-level", ""),
        (f"77,nan,Tear,{BOX}", "unreadable", "it has a shape, but names no image"),
    ],
)
def test_other_rows(row: str, fate: str, reason: str) -> None:
    result = joined(read("mdai-frame", rows(f"78,v1,Tear,{BOX}", row), key=KEY), VOLUMES, "Tear")
    assert fates(result) == ["used", fate]
    assert reason in reasons(result)[1]


def test_columns_of_readers_groups_and_sizes_are_read_where_they_are() -> None:
    header = HEADER.strip() + ",createdById,labelGroupName,width,height\n"
    text = header + f"77,u1,Tear,{BOX},U_1,A,512,512\n77,u2,Tear,{BOX},U_1,A,256.0,256.0\n"
    result = joined(read("mdai-frame", text, key=KEY), VOLUMES, "Tear")
    assert fates(result) == ["used", "size-mismatch"]
    assert result.ledger[0].reader == "U_1"


def test_a_long_drawing_is_read() -> None:
    points = ", ".join(f"[{100 + x}.123456789, {y}.5]" for x in range(100) for y in range(100))
    result = joined(read("mdai-frame", rows(f"77,u1,Tear,\"{{'vertices': [{points}]}}\""), key=KEY), VOLUMES, "Tear")
    assert labels(result) == {0: "0 0.292233 0.097656 0.193359 0.193359\n"}


def test_a_key_that_gives_an_image_two_places_is_refused() -> None:
    key = SourceFile("key.csv", KEY.data + b"78,u1,3\n")
    with pytest.raises(InputError, match=r"gives the image 'u1' two places: slice 1 of '77' and slice 3 of '78'"):
        read("mdai-frame", rows(), key=key)


def test_a_key_with_two_images_at_one_place_is_refused() -> None:
    key = SourceFile("key.csv", KEY.data + b"78,other,2.0\n")
    with pytest.raises(InputError, match=r"has two images at slice 2 of '78': 'v2' and 'other' \(line 7\)"):
        read("mdai-frame", rows(), key=key)


def test_a_row_of_the_key_that_cannot_be_read_is_said() -> None:
    key = SourceFile("key.csv", KEY.data + b"78,u9,\n")
    assert read("mdai-frame", rows(), key=key).warnings == (
        "key.csv: 1 row cannot be read: line 7: InstanceNumber is empty.",
    )


def test_without_a_key_nothing_is_read() -> None:
    with pytest.raises(UsageError, match="--key FILE is missing"):
        read("mdai-frame", rows())


def test_a_folder_of_two_series_is_refused() -> None:
    two = [series("a", ["1"], folder="77"), series("b", ["2"], folder="77", study="4")]
    with pytest.raises(InputError, match=r"2 volumes fit the name 77: 77/0000.dcm, 77/0000.dcm"):
        joined(read("mdai-frame", rows(f"77,u1,Tear,{BOX}"), key=KEY), two, "Tear")


def test_parts_of_one_series_are_found_by_number() -> None:
    first, second = series("77-1", ["1", "2"], folder="77"), series("77-2", ["5"], folder="77", first=5)
    second = type(second)(
        **{name: getattr(second, name) for name in second.__slots__} | {"series_uid": first.series_uid}
    )
    result = joined(read("mdai-frame", rows(f"77,u5,Tear,{BOX}"), key=KEY), [first, second], "Tear")
    assert labels(result) == {2: LINE}
