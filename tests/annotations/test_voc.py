"""Pascal VOC: pixels from 1 with both ends, parts of objects, names of files, XML that may not be trusted."""

import pytest

from planbalance.annotations import AnnotationSource, FormatOptions, SourceFile, read_annotations
from planbalance.errors import InputError
from tests.annotations.raw import each, fates, joined, labels, reasons, states

VOLUMES = each("JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg")


def xml(*objects: str, filename: str = "a.jpg", size: str = "<width>200</width><height>100</height>") -> bytes:
    text = f"<annotation><filename>{filename}</filename><size>{size}</size>{''.join(objects)}</annotation>"
    return text.encode()


def an_object(corners: str = "11 21 60 70", name: str = "tear", more: str = "") -> str:
    left, top, right, bottom = corners.split()
    box = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    return f"<object><name>{name}</name>{more}<bndbox>{box}</bndbox></object>"


def source(*files: tuple[str, bytes], origin: int | None = None) -> AnnotationSource:
    return read_annotations("voc", [SourceFile(*one) for one in files], FormatOptions(origin=origin))


def test_pixels_count_from_1_and_both_ends_belong_to_the_box() -> None:
    result = joined(source(("a.xml", xml(an_object(), an_object("1 1 200 100")))), VOLUMES, "tear")
    assert labels(result) == {0: "0 0.175000 0.450000 0.250000 0.500000\n0 0.500000 0.500000 1.000000 1.000000\n"}
    assert fates(result) == ["used", "used"]


def test_with_origin_0_corners_stay_as_they_are() -> None:
    result = joined(source(("a.xml", xml(an_object("0 20 50 70"))), origin=0), VOLUMES, "tear")
    assert labels(result) == {0: "0 0.125000 0.450000 0.250000 0.500000\n"}


def test_a_0_proves_the_other_origin_and_is_refused() -> None:
    with pytest.raises(InputError, match=r"Annotations/a\.xml has ymin 0") as refusal:
        source(("Annotations/a.xml", xml(an_object("5 0 50 70"))))
    assert (refusal.value.kind, refusal.value.exit_code) == ("origin", 3)
    assert "--origin 0" in refusal.value.hint
    assert fates(joined(source(("a.xml", xml(an_object("0 1 50 70"))), origin=1), VOLUMES, "tear")) == ["clipped"]


def test_the_box_of_a_part_is_not_that_of_its_object() -> None:
    part = "<part><name>horn</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    result = joined(source(("a.xml", xml(an_object(more=part)))), VOLUMES, "tear")
    assert labels(result) == {0: "0 0.175000 0.450000 0.250000 0.500000\n"}
    only_part = f"<object><name>tear</name>{part}</object>"
    result = joined(source(("a.xml", xml(an_object())), ("b.xml", xml(only_part, filename="b.jpg"))), VOLUMES, "tear")
    assert (fates(result)[1], reasons(result)[1]) == ("no-geometry", "it has no bndbox")


def test_images_with_a_file_are_reviewed_also_without_an_object() -> None:
    files = (("a.xml", xml(an_object())), ("b.xml", xml(filename="b.jpg")))
    assert states(joined(source(*files), VOLUMES, "tear")) == ["positive", "negative", "unreviewed"]


def test_difficult_objects_are_used_and_counted() -> None:
    found = source(("a.xml", xml(an_object(more="<difficult>1</difficult>"))))
    assert found.warnings == ("1 object is marked as difficult; all are used.",)
    assert fates(joined(found, VOLUMES, "tear")) == ["used"]


def test_a_file_that_names_another_image_is_not_used_for_either() -> None:
    files = (("a.xml", xml(an_object())), ("b.xml", xml(an_object(), filename="c.jpg")))
    result = joined(source(*files), VOLUMES, "tear")
    assert fates(result) == ["used", "unreadable"]
    assert reasons(result)[1] == "its name is not that of its image 'c.jpg'"
    assert states(result) == ["positive", "doubtful", "unreviewed"]


@pytest.mark.parametrize("size", ["<width>0</width><height>0</height>", "", "<width></width><height/>"])
def test_a_size_that_is_not_known_is_not_compared(size: str) -> None:
    assert fates(joined(source(("a.xml", xml(an_object(), size=size))), VOLUMES, "tear")) == ["used"]


def test_another_size_is_a_fate() -> None:
    size = "<width>100</width><height>200</height>"
    assert fates(joined(source(("a.xml", xml(an_object(), size=size))), VOLUMES, "tear")) == ["size-mismatch"]


def test_files_of_one_name_keep_their_folders() -> None:
    files = [(f"{part}/a.xml", xml(an_object(corners))) for part, corners in (("x", "1 1 20 10"), ("y", "1 1 200 100"))]
    result = joined(source(*files), each("img/x/a.png", "img/y/a.png"), "tear")
    assert labels(result) == {
        0: "0 0.050000 0.050000 0.100000 0.100000\n",
        1: "0 0.500000 0.500000 1.000000 1.000000\n",
    }
    assert [row.number for row in result.ledger] == [1, 2]


BOMB = b"""<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""
OUTSIDE = b'<!DOCTYPE annotation [<!ENTITY f SYSTEM "file:///etc/passwd">]><annotation>&f;</annotation>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BOMB, "document type"),
        (OUTSIDE, "document type"),
        (b"<!DOCTYPE annotation SYSTEM 'http://127.0.0.1:9/x.dtd'><annotation/>", "document type"),
        (b"<a>" * 50 + b"</a>" * 50, "nested more than 30 deep"),
        (b"<annotation>" + b"<a>" * 100_000, "nested more than 30 deep"),
        (b"<annotation>" + b"<a/>" * 500_001, "more than 500,000 elements"),
        (b" " * (1 << 24) + b"<a/>", "has 16,777,220 bytes"),
        (b"<annotation>&undefined;</annotation>", "it is not XML"),
        (b"<annotation>", "it is not XML"),
        (b"", "it is not XML"),
        (b"<kml/>", "its first element is not <annotation>"),
        (b"<?xml version='1.0' encoding='nothing'?><annotation/>", "it is not XML"),
        (b'{"images": [], "annotations": [], "categories": []}', "it is not XML"),
    ],
)
def test_xml_that_is_not_safe_or_of_another_form_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        source(("a.xml", data))
    if data.startswith(b"{"):
        assert "--format coco" in refusal.value.hint
