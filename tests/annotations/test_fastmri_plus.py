"""fastMRI+: boxes, slices from 0, whole-study findings, and the list of reviewed volumes."""

import pytest

from planbalance.annotations import FORMATS, JoinOptions, SourceFile, choose_classes, join
from planbalance.errors import InputError
from planbalance.import_model import RawVolume
from tests.annotations.raw import fates, h5, joined, labels, pictures, read, reasons, states
from tests.fastmri import ANNOTATIONS, needs_annotations, slice_counts

HEADER = "file,slice,study_level,x,y,width,height,label\n"
LIST = SourceFile("knee_file_list.csv", b"file1\nfile2\nfile3\n\nKnee data\n")
VOLUMES = [h5("file1", 3), h5("file2", 3), h5("file4", 2)]


def test_slices_count_from_0_and_labels_lose_their_blanks() -> None:
    source = read(
        "fastmri-plus", HEADER + "file1,0,No,32,64,16,8,Tear \nfile1,2,No,0,0,320,320, Tear\n", file_list=LIST
    )
    result = joined(source, VOLUMES, "Tear")
    assert fates(result) == ["used", "used"]
    assert labels(result) == {
        0: "0 0.125000 0.212500 0.050000 0.025000\n",
        2: "0 0.500000 0.500000 1.000000 1.000000\n",
    }


def test_only_listed_volumes_are_reviewed_and_text_in_the_list_is_no_volume() -> None:
    source = read("fastmri-plus", HEADER + "file1,1,No,1,1,2,2,Tear\n", file_list=LIST)
    result = joined(source, VOLUMES, "Tear")
    assert states(result) == ["negative", "positive", "negative", *["negative"] * 3, *["unreviewed"] * 2]
    assert (result.reviewed, result.unreviewed, result.absent) == (("file1", "file2"), ("file4",), ("file3",))
    assert "1 line is no name of a file: 'Knee data'" in result.warnings[0]
    assert "1 reviewed volume or image is not among the images: file3" in result.warnings[1]


def test_without_the_list_nobody_says_what_was_reviewed() -> None:
    source = read("fastmri-plus", HEADER + "file1,1,No,1,1,2,2,Tear\n")
    with pytest.raises(InputError, match="do not say which volumes were reviewed") as refusal:
        joined(source, VOLUMES, "Tear")
    assert refusal.value.exit_code == 3
    assert "--reviewed" in refusal.value.hint
    assert states(joined(source, VOLUMES, "Tear", reviewed="volume"))[:4] == [
        *("negative", "positive", "negative"),
        "unreviewed",
    ]


def test_a_wanted_finding_of_the_whole_study_makes_its_slices_doubtful() -> None:
    text = HEADER + "file1,0,Yes,,,,,artifact\nfile1,1,No,1,1,2,2,Tear\n"
    source = read("fastmri-plus", text, file_list=LIST)
    assert fates(joined(source, VOLUMES, "Tear")) == ["study-level", "used"]
    assert states(joined(source, VOLUMES, "Tear"))[:3] == ["negative", "positive", "negative"]
    both = joined(source, VOLUMES, "Tear,artifact")
    assert states(both)[:3] == ["doubtful"] * 3
    assert (both.not_written, both.ledger[1].fate) == (1, "used")
    assert both.ledger[1].reason == "its slice is doubtful and is not written"


def test_clipped_duplicate_and_flat_boxes_each_have_a_fate() -> None:
    rows = (
        *("file1,0,No,10,-1,20,11,Tear", "file1,0,No,10,-1,20,11,Tear", "file1,0,No,10,-1,20,11.5,Tear"),
        *("file1,1,No,5,5,8,0,Tear", "file1,1,No,320,5,8,8,Tear", "file1,9,No,5,5,8,8,Tear"),
    )
    result = joined(read("fastmri-plus", HEADER + "\n".join(rows), file_list=LIST), VOLUMES, "Tear")
    assert fates(result) == ["clipped", "duplicate", "clipped", "degenerate", "outside", "no-image"]
    assert labels(result)[0].splitlines()[0] == "0 0.062500 0.015625 0.062500 0.031250"
    assert states(result)[:3] == ["positive", "doubtful", "negative"]
    assert reasons(result)[5] == "this volume has 3 slices, and none at place 9 from 0"


def test_one_name_in_two_folders_is_refused() -> None:
    source = read("fastmri-plus", HEADER + "file1,0,No,1,1,2,2,Tear\n", file_list=LIST)
    volumes = [*VOLUMES, RawVolume(name="other", kind="h5", files=h5("file1", 1, folder="single").files, frames=())]
    with pytest.raises(InputError, match=r"2 volumes fit the name file1: multicoil/file1.h5, single/file1.h5"):
        joined(source, volumes, "Tear")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("file1,0,No,,,,,Tear", "x is empty"),
        ("file1,0,maybe,1,1,2,2,Tear", "study_level is neither"),
        ("file1,0.5,No,1,1,2,2,Tear", "slice is no whole number: '0.5'"),
        ("file1,0,No,1,1,nan,2,Tear", "width is no number: 'nan'"),
        ("file1,0,No,1,1,1e30,2,Tear", "width is beyond"),
        ("file1,0,No,1,1,2,2,Bone, edema", "it has 9 fields, not 8"),
        ("file1,0,No,1,1", "it has 5 fields, not 8"),
        (",0,No,1,1,2,2,Tear", "file is empty"),
        ("file1,0,No,1,1,2,2,\x07", "label holds a control character"),
    ],
)
def test_a_row_that_cannot_be_read_is_kept_with_its_reason(row: str, reason: str) -> None:
    text = f"{HEADER}file1,2,No,1,1,2,2,Tear\n{row}\n"
    result = joined(read("fastmri-plus", text, file_list=LIST), VOLUMES, "Tear")
    assert fates(result) == ["used", "unreadable"]
    assert reason in reasons(result)[1]
    assert result.ledger[1].where == "line 3"


def test_a_wanted_row_that_cannot_be_read_makes_its_slice_doubtful() -> None:
    text = HEADER + "file1,1,No,1,1,?,2,Tear\nfile1,2,No,1,1,?,2,Other\nfile2,0,No,1,1,1,1,Tear\n"
    result = joined(read("fastmri-plus", text, file_list=LIST), VOLUMES, "Tear")
    assert states(result)[:3] == ["negative", "doubtful", "negative"]


def test_a_row_with_a_comma_too_many_makes_its_slice_doubtful() -> None:
    text = HEADER + "file1,1,No,1,1,2,2,Bone, edema\nfile1,2,No,1,1,2,2,Tear\nfile1,2,No,1,1\n"
    result = joined(read("fastmri-plus", text, file_list=LIST), VOLUMES, "Tear")
    assert fates(result) == ["unreadable", "used", "unreadable"]
    assert states(result)[:3] == ["negative", "doubtful", "doubtful"]


def test_pictures_are_flipped() -> None:
    assert [name for name, row in FORMATS.items() if row.flips_up_down] == ["fastmri-plus"]


def test_slices_of_a_volume_of_pictures_are_counted_from_its_first_one() -> None:
    source = read("fastmri-plus", HEADER + "file1,1,No,1,1,2,2,Tear\n", file_list=LIST)
    assert states(joined(source, [pictures("a/1.png", "a/2.png", name="file1")], "Tear")) == ["negative", "positive"]


@needs_annotations
def test_the_real_knee_list_has_16_148_boxes_of_1_172_volumes() -> None:
    data = [SourceFile(name, (ANNOTATIONS / name).read_bytes()) for name in ("knee.csv", "knee_file_list.csv")]
    source = read("fastmri-plus", data[0].data, file_list=data[1])
    volumes = [h5(name, count) for name, count in slice_counts().items()]
    result = join(source, volumes, choose_classes([source], tuple(source.labels), ()), JoinOptions())
    found = {fate: count for fate, count in result.fates.items() if count}
    assert found == {"study-level": 13, "degenerate": 1, "duplicate": 5, "clipped": 6, "used": 16_142}
    assert sum(found.values()) == 16_167
    assert (len(result.reviewed), result.unreviewed, result.absent) == (1_172, (), ())
