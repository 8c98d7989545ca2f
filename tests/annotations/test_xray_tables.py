"""RSNA, keras-retinanet, VinBigData and DeepLesion."""

import pytest

from planbalance.annotations import FORMATS, FormatName
from planbalance.errors import InputError
from tests.annotations.raw import each, fates, joined, labels, pictures, read, reasons, states

RSNA = "patientId,x,y,width,height,Target\n"
VIN = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
LESION = "File_name,Patient_index,Key_slice_index,Bounding_boxes,Possibly_noisy,Image_size\n"
LINE = "0 0.500000 0.250000 0.500000 0.100000\n"


# ---- RSNA -----------------------------------------------------------------------------------------------------------


def test_rsna_target_0_is_a_negative_mark_and_the_class_is_named() -> None:
    text = RSNA + "p1,50.0,20.0,100.0,10.0,1\np1,0,0,200,100,1\np2,,,,,0\n"
    result = joined(read("rsna", text, finding="opacity"), each("p1.dcm", "p2.dcm", "p3.dcm"), "opacity")
    assert fates(result) == ["used", "used", "negative-mark"]
    assert labels(result) == {0: LINE + "0 0.500000 0.500000 1.000000 1.000000\n"}
    assert states(result) == ["positive", "negative", "unreviewed"]
    assert result.patients == ("p1", "p2", "")


def test_rsna_needs_a_name_for_its_finding() -> None:
    with pytest.raises(InputError, match="rsna knows one finding only") as refusal:
        read("rsna", RSNA)
    assert (refusal.value.kind, refusal.value.exit_code) == ("no-classes", 3)
    assert [name for name, row in FORMATS.items() if row.one_class] == ["rsna", "deeplesion"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("p1,1,1,2,2,2", "Target is neither 0 nor 1: 2"),
        ("p1,1,1,2,2,", "Target is empty"),
        ("p1,1,1,2,2,0", "Target is 0, but there is a box"),
        ("p1,,,,,1", "x is empty"),
    ],
)
def test_rsna_rows_that_contradict_themselves_are_unreadable(row: str, reason: str) -> None:
    result = joined(read("rsna", f"{RSNA}{row}\n", finding="opacity"), each("p1.dcm"), "opacity")
    assert (fates(result), reasons(result)) == (["unreadable"], [reason])
    assert states(result) == ["doubtful"]


def test_two_patients_in_one_volume_are_refused() -> None:
    source = read("rsna", RSNA + "p1,,,,,0\np2,,,,,0\n", finding="opacity")
    with pytest.raises(InputError, match="give the volume chest two patients"):
        joined(source, [pictures("p1.png", "p2.png", name="chest")], "opacity")


# ---- keras-retinanet ------------------------------------------------------------------------------------------------


def test_retinanet_has_no_header_and_a_path_alone_is_an_image_without_a_finding() -> None:
    text = "/home/x/data/img/a.jpg,50,20,150,30,tear\n/home/x/data/img/b.jpg,,,,,\n"
    result = joined(read("retinanet", text), each("img/a.jpg", "img/b.jpg", "img/c.jpg"), "tear")
    assert fates(result) == ["used", "negative-mark"]
    assert labels(result) == {0: LINE}
    assert states(result) == ["positive", "negative", "unreviewed"]


def test_retinanet_rows_of_another_length_are_unreadable() -> None:
    source = read("retinanet", "a.jpg,50,20,150,30,tear\nb.jpg,50,20,150,30\nc.jpg,x,20,150,30,tear\n")
    result = joined(source, each("a.jpg", "b.jpg", "c.jpg"), "tear")
    assert fates(result) == ["used", "unreadable", "unreadable"]
    assert states(result) == ["positive", "doubtful", "doubtful"]
    assert reasons(result)[1:] == ["it has 5 fields, not 6", "x1 is no number: 'x'"]


@pytest.mark.parametrize("text", ["path,x1,y1,x2,y2,class\na.jpg,1,2,3,4,tear\n", VIN, RSNA, "one\ntwo\n"])
def test_retinanet_with_a_header_is_another_format(text: str) -> None:
    with pytest.raises(InputError, match="is not path,x1,y1,x2,y2,class") as refusal:
        read("retinanet", text)
    assert refusal.value.kind == "other-format"


# ---- VinBigData -----------------------------------------------------------------------------------------------------


def vinbigdata() -> str:
    return VIN + "\n".join(
        (
            *("i1,Nodule/Mass,8,R1,50,20,150,30", "i1,Nodule/Mass,8,R2,51,20,150,30", "i2,No finding,14,R1,,,,"),
            *("i3,No finding,14,R2,,,,", "i2,Nodule/Mass,8,R1,,20,150,30"),
        )
    )


def test_vinbigdata_has_several_readers_and_no_finding_is_a_mark() -> None:
    source = read("vinbigdata", vinbigdata())
    volumes = each("i1.dicom", "i2.dicom", "i3.dicom")
    assert source.labels == {"Nodule/Mass": 3}
    with pytest.raises(InputError, match="Several readers made annotations"):
        joined(source, volumes, "Nodule/Mass")
    result = joined(source, volumes, "Nodule/Mass", readers=("R1",))
    assert fates(result) == ["used", "other-reader", "negative-mark", "other-reader", "unreadable"]
    assert labels(result) == {0: LINE}
    assert states(result) == ["positive", "doubtful", "unreviewed"]
    assert states(joined(source, volumes, "Nodule/Mass", all_readers=True)) == ["positive", "doubtful", "negative"]


def test_a_box_beside_a_mark_of_no_finding_is_said() -> None:
    text = VIN + "i1,Nodule,8,R1,50,20,150,30\ni1,No finding,14,R2,,,,\n"
    result = joined(read("vinbigdata", text), each("i1.png"), "Nodule")
    assert result.warnings == ("1 slice has a box, but also a mark that there is no finding: i1.png.",)


# ---- DeepLesion -----------------------------------------------------------------------------------------------------


def test_deeplesion_finds_folder_and_slice_and_only_key_slices_are_reviewed() -> None:
    text = LESION + '000001_01_02_109.png,1,109,"50, 20, 150, 30",1,"200, 100"\n'
    slices = [f"Images_png/000001_01_02/{number}.png" for number in (108, 109, 110)]
    source = read("deeplesion", text, finding="lesion")
    result = joined(source, [pictures(*slices, name="000001_01_02")], "lesion")
    assert labels(result) == {1: LINE}
    assert states(result) == ["unreviewed", "positive", "unreviewed"]
    assert result.partly_reviewed == ("000001_01_02",)
    assert result.patients == ("000001",)
    assert result.warnings == ("1 lesion is marked as Possibly_noisy.",)
    assert FORMATS["deeplesion"].zero_value == 32768


@pytest.mark.parametrize(
    ("row", "fate", "reason"),
    [
        ('000001_01_02_109.png,1,108,"1, 2, 3, 4",0,', "unreadable", "Key_slice_index is 108, but File_name is"),
        ('000001_01_02_109.png,1,109,"1, 2, 3",0,', "unreadable", "Bounding_boxes has 3 numbers, not 4"),
        ('109.png,1,109,"1, 2, 3, 4",0,', "unreadable", "File_name is not like"),
        ('000001_01_02_109.png,1,109,"1, 2, 3, 4",0,"512, 512"', "size-mismatch", "not 512 x 512"),
    ],
)
def test_other_deeplesion_rows(row: str, fate: str, reason: str) -> None:
    volume = pictures("000001_01_02/109.png")
    result = joined(read("deeplesion", f"{LESION}{row}\n", finding="lesion"), [volume], "lesion")
    assert fates(result) == [fate]
    assert reason in reasons(result)[0]


# ---- all ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fastmri-plus", "rsna", "vinbigdata", "deeplesion"])
@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("file,slice,study_level,x,y,width,height,label\n", "fastmri-plus"),
        (RSNA, "rsna"),
        (VIN, "vinbigdata"),
        (LESION, "deeplesion"),
        ("TBreconID;SOPInstanceUID_anon;labelName;data\n", "mdai-frame"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax\n", "boxes-csv"),
        ("a.jpg,1,2,3,4,tear\n", "retinanet"),
        ('{"labelGroups": []}', "mdai"),
        ("<annotation/>", "voc"),
    ],
)
def test_another_header_is_refused_with_the_nearest_format(name: FormatName, text: str, nearest: str) -> None:
    if name == nearest:
        return
    with pytest.raises(InputError) as refusal:
        read(name, text, finding="x")
    assert (refusal.value.kind, refusal.value.exit_code) == ("other-format", 3)
    assert refusal.value.hint == f"It looks like {nearest}: give --format {nearest}."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (RSNA.encode() + b'p1,"1,1,2,2,1\np2,1,1,2,2,1\n', "is not CSV text"),
        (RSNA.encode() + b"p\xff,1,1,2,2,1\n", "is not UTF-8 text"),
        (RSNA.encode() + b'p1,"' + b"x" * (1 << 24) + b'y",1,2,2,1\n', "is not CSV text"),
        (b"", "its first line has no column"),
        (b"patientId,x,x,y,width,height,Target\n", "more than one column 'x'"),
    ],
)
def test_a_file_that_is_no_table_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read("rsna", data, finding="x")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_that_spreadsheets_write_are_read(encoding: str) -> None:
    text = (RSNA + "p1,50,20,100,10,1\n").replace(",", ";").replace("\n", "\r\n")
    result = joined(read("rsna", text.encode(encoding), finding="opacity"), each("p1.dcm"), "opacity")
    assert labels(result) == {0: LINE}
